// cube manager, cube worker: start the sibling programs, as git does.
#include "services/cli/commands.h"
#include "services/cli/exit_code.h"
#include "services/cli/programs.h"
#include "services/cli/session.h"

namespace cube::cli {
namespace {

// Global flags that only this program knows.
bool IsOnlyOurs(const std::string& flag) {
  return flag == "context" || flag == "request-timeout" || flag == "no-color" || flag == "help";
}

// Global flags that stood before the command are the service's too.
std::vector<std::string> ArgumentsFor(Session& session) {
  std::vector<std::string> args;
  for (const auto& flag : GlobalFlags()) {
    if (!session.args().Has(flag.name) || IsOnlyOurs(flag.name)) continue;
    args.push_back("--" + flag.name);
    if (!flag.value.empty()) args.push_back(session.args().Text(flag.name));
  }
  const auto& operands = session.args().operands;
  args.insert(args.end(), operands.begin(), operands.end());
  return args;
}

Result<int> Become(Session& session, const std::string& program) {
  CUBE_TRY(const std::string path, FindProgram(program));
  return std::unexpected(Exec(path, ArgumentsFor(session)));
}

CommandSpec Service(const std::string& name, const std::string& summary,
                    std::vector<Example> examples) {
  return {.name = name,
          .summary = summary,
          .operands = "[FLAGS]",
          .examples = std::move(examples),
          .operands_max = kOperandsMany,
          .passes_through = true,
          .run = [program = "cube-" + name](Session& session) { return Become(session, program); }};
}

}  // namespace

CommandSpec ManagerCommand() {
  return Service("manager", "Start a manager: it becomes the program cube-manager.",
                 {{"a manager for the server on this machine", "cube manager"},
                  {"its flags", "cube manager --help"}});
}

CommandSpec WorkerCommand() {
  return Service("worker", "Start a worker: it becomes the program cube-worker.",
                 {{"this machine as a node of a cluster",
                   "cube worker --server nats://10.0.0.1:4222 --name node-a"},
                  {"its flags", "cube worker --help"}});
}

}  // namespace cube::cli
