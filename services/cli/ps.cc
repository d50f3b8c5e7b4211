// cube ps: tasks as a table.
#include <fmt/format.h>

#include "services/cli/commands.h"
#include "services/cli/exit_code.h"
#include "services/cli/render/format.h"
#include "services/cli/resolve.h"
#include "services/cli/session.h"
#include "services/cli/show.h"

namespace cube::cli {
namespace {

const std::vector<std::string>& Statuses() {
  static const std::vector<std::string> kStatuses = {
      "pending",    "scheduled", "pulling",   "starting", "running", "unhealthy",
      "restarting", "stopping",  "completed", "failed",   "stopped", "lost"};
  return kStatuses;
}

// "state=failed", "name=web", "node=a", "label=k=v".
Result<void> AddFilter(const std::string& text, v1::QueryRequest& request) {
  const std::size_t equals = text.find('=');
  const std::string key = text.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
  if ((key == "state" || key == "status") && !value.empty()) {
    if (std::ranges::find(Statuses(), value) == Statuses().end()) {
      const auto nearest = Nearest(value, Statuses());
      if (value == "refused") {
        return Fail(Code::kInvalid,
                    fmt::format("--filter: what was refused is no task: 'cube events' shows it. A "
                                "state is one of {}",
                                fmt::join(Statuses(), ", ")));
      }
      return Fail(Code::kInvalid,
                  fmt::format("--filter: '{}' is not a state.{} It is one of {}", value,
                              nearest ? fmt::format(" Did you mean '{}'?", *nearest) : "",
                              fmt::join(Statuses(), ", ")));
    }
    request.add_statuses(value);
    if (IsFinished(value)) request.set_include_finished(true);
    return {};
  }
  if (key == "name" && !value.empty()) {
    request.set_match(value);
    return {};
  }
  if (key == "job" && !value.empty()) {
    request.set_job(value);
    return {};
  }
  if (key == "node" && !value.empty()) {
    request.set_node(value);
    return {};
  }
  return Fail(Code::kInvalid,
              fmt::format("--filter cannot be '{}': write state=STATE, name=NAME, job=JOB "
                          "or node=NODE",
                          text));
}

Result<v1::QueryRequest> RequestFor(const Args& args) {
  v1::QueryRequest request;
  request.set_include_finished(args.Has("all"));
  for (const auto& text : args.All("filter")) CUBE_TRY_VOID(AddFilter(text, request));
  for (const auto& text : args.All("label")) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Fail(Code::kInvalid, fmt::format("--label cannot be '{}': write key=value", text));
    }
    (*request.mutable_labels())[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return request;
}

Result<int> Ps(Session& session) {
  const Args& args = session.args();
  CUBE_TRY(v1::QueryRequest request, RequestFor(args));
  CUBE_TRY(Client * client, session.client());
  if (const auto node = args.Get("node")) request.set_node(*node);
  if (!request.node().empty()) {
    CUBE_TRY(const std::string node, FindNode(*client, request.node()));
    request.set_node(node);
  }
  if (FormatOf(args) == Format::kName) {  // there may be a million, of which all else is dropped
    std::string ids;
    CUBE_TRY_VOID(client->EachTask(
        request, [&ids](const v1::TaskView& task) { ids.append(task.id()).push_back('\n'); }));
    session.terminal().out << ids;
    return kExitDone;
  }
  CUBE_TRY(const auto tasks, client->Tasks(request));
  CUBE_TRY_VOID(ShowTasks(session, *client, tasks));
  return kExitDone;
}

}  // namespace

CommandSpec PsCommand() {
  CommandSpec command{
      .name = "ps",
      .summary = "List tasks: those that have not ended, or all of them.",
      .flags =
          {{.name = "all", .letter = 'a', .help = "finished tasks too"},
           {.name = "filter",
            .value = "KEY=VALUE",
            .help = "only these: state=failed, name=web, job=web or node=a",
            .repeated = true},
           {.name = "node", .value = "NODE", .help = "only those on a node", .word = Word::kNode},
           {.name = "label",
            .letter = 'l',
            .value = "KEY=VALUE",
            .help = "only those with this label",
            .repeated = true}},
      .examples = {{"what runs now", "cube ps"},
                   {"ids of all that have failed, for a script",
                    "cube ps -a -q --filter state=failed"}},
      .exit_codes = {kExitDone, kExitNotFound, kExitUsage, kExitUnreachable, kExitInterrupted},
      .run = Ps};
  const auto more = ReadFlags();
  command.flags.insert(command.flags.end(), more.begin(), more.end());
  return command;
}

}  // namespace cube::cli
