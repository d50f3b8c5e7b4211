// cube version: of this program, of the server and of the manager that answers.
#include <fmt/format.h>

#include "services/cli/commands.h"
#include "services/cli/exit_code.h"
#include "services/cli/render/format.h"
#include "services/cli/session.h"
#include "services/cli/show.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;

Result<int> Version(Session& session) {
  const Terminal& terminal = session.terminal();
  Json json = {{"client", CUBE_VERSION}, {"server", nullptr}, {"manager", nullptr}};
  // A cluster that does not answer is no failure here: what was asked for is known.
  const auto client = session.client();
  if (client) {
    json["server"] = (*client)->ServerVersion();
    const auto cluster = (*client)->Cluster();
    if (cluster) {
      json["manager"] = cluster->version();
    } else {
      terminal.Say(cluster.error().Text());
    }
  } else {
    terminal.Say(client.error().Text());
  }
  const Format format = FormatOf(session.args());
  if (format == Format::kJson || format == Format::kYaml) {
    ShowJson(session, json);
    return kExitDone;
  }
  if (format == Format::kName) {
    terminal.out << CUBE_VERSION << "\n";
    return kExitDone;
  }
  const auto text = [](const Json& value) {
    return value.is_string() ? value.get<std::string>() : std::string("unknown");
  };
  terminal.out << fmt::format(
      "client   {}\nserver   {}\nmanager  {}\n", CUBE_VERSION,
      json["server"].is_string() ? "nats-server " + text(json["server"]) : text(json["server"]),
      text(json["manager"]));
  return kExitDone;
}

}  // namespace

CommandSpec VersionCommand() {
  return {.name = "version",
          .summary = "Print the versions of this program, the NATS server and the manager.",
          .flags = ShowFlags(),
          .examples = {{"all three", "cube version"}, {"for a program", "cube version -o json"}},
          .exit_codes = {kExitDone, kExitUsage},
          .run = Version};
}

}  // namespace cube::cli
