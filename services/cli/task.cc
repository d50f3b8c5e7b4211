// cube task: one task with its specification.
#include "services/cli/commands.h"
#include "services/cli/details.h"
#include "services/cli/exit_code.h"
#include "services/cli/render/format.h"
#include "services/cli/session.h"
#include "services/cli/show.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;

Result<int> Inspect(Session& session) {
  CUBE_TRY(Client * client, session.client());
  const Format format = FormatOf(session.args());
  Json all = Json::array();
  for (const auto& word : session.args().operands) {
    CUBE_TRY(const auto task, client->Find(word));
    if (format == Format::kName) {
      session.terminal().out << task.id() << "\n";
    } else if (format == Format::kTable || format == Format::kWide) {
      CUBE_TRY_VOID(ShowTaskDetails(session, *client, task));
    } else {
      all.push_back(TaskDetailJson(task));
    }
  }
  if (format == Format::kJson || format == Format::kYaml) ShowJson(session, all);
  return kExitDone;
}

}  // namespace

CommandSpec TaskCommand() {
  const std::vector<int> exit_codes = {kExitDone, kExitNotFound, kExitConflict, kExitUsage,
                                       kExitUnreachable};
  auto flags = ReadFlags();
  return {.name = "task",
          .summary = "Show single tasks.",
          .examples = {{"all about a task", "cube task inspect web"},
                       {"its specification, for a program", "cube task inspect -o json web"}},
          .exit_codes = exit_codes,
          .children = {
              {.name = "inspect",
               .summary = "Show all about tasks, with their specification.",
               .operands = "TASK...",
               .flags = std::move(flags),
               .examples = {{"all about a task", "cube task inspect web"},
                            {"its specification, for a program", "cube task inspect -o json web"}},
               .exit_codes = exit_codes,
               .operands_min = 1,
               .operands_max = kOperandsMany,
               .word = Word::kTask,
               .run = Inspect}}};
}

}  // namespace cube::cli
