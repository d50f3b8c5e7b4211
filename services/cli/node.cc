// cube node: nodes with what they have, what is promised, and how they are.
#include <fmt/format.h>

#include "services/cli/commands.h"
#include "services/cli/details.h"
#include "services/cli/exit_code.h"
#include "services/cli/render/format.h"
#include "services/cli/session.h"
#include "services/cli/show.h"

namespace cube::cli {
namespace {

Result<int> List(Session& session) {
  CUBE_TRY(Client * client, session.client());
  CUBE_TRY(const auto nodes, client->Nodes());
  CUBE_TRY_VOID(ShowNodes(session, *client, nodes, /*detailed=*/false));
  return kExitDone;
}

Result<int> Inspect(Session& session) {
  CUBE_TRY(Client * client, session.client());
  CUBE_TRY(const auto nodes, client->Nodes());
  std::vector<v1::NodeView> named;
  for (const auto& word : session.args().operands) {
    CUBE_TRY(const std::string name, FindNode(*client, word));
    for (const auto& node : nodes) {
      if (node.name() == name) named.push_back(node);
    }
  }
  const Format format = FormatOf(session.args());
  if (format == Format::kTable || format == Format::kWide) {
    for (const auto& node : named) {
      CUBE_TRY_VOID(ShowNodeDetails(session, *client, node));
    }
  } else {
    CUBE_TRY_VOID(ShowNodes(session, *client, named, /*detailed=*/true));
  }
  return kExitDone;
}

}  // namespace

CommandSpec NodeCommand() {
  const std::vector<int> exit_codes = {kExitDone, kExitNotFound, kExitConflict, kExitUsage,
                                       kExitUnreachable};
  return {
      .name = "node",
      .summary = "Show the nodes of the cluster.",
      .examples = {{"all nodes", "cube node"}, {"one of them", "cube node inspect node-a"}},
      .exit_codes = exit_codes,
      .children =
          {{.name = "ls",
            .summary = "List nodes with capacity, what is promised and used, load, tasks and age.",
            .flags = ReadFlags(),
            .examples = {{"all nodes", "cube node ls"},
                         {"their names and labels, for a program", "cube node ls -o json"}},
            .exit_codes = exit_codes,
            .run = List},
           {.name = "inspect",
            .summary = "Show all about nodes: use, load, last events; -o json with every counter.",
            .operands = "NODE...",
            .flags = ReadFlags(),
            .examples = {{"one node", "cube node inspect node-a"},
                         {"two nodes, for a program", "cube node inspect -o yaml node-a node-b"}},
            .exit_codes = exit_codes,
            .operands_min = 1,
            .operands_max = kOperandsMany,
            .word = Word::kNode,
            .run = Inspect}},
      .default_child = "ls"};
}

}  // namespace cube::cli
