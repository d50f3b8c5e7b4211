// cube node: nodes with what they have, what is promised, and how they are; cordon and drain.
#include <fmt/format.h>

#include "services/cli/commands.h"
#include "services/cli/details.h"
#include "services/cli/drain.h"
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

namespace {

CommandSpec Cordon(bool cordon) {
  const std::string name = cordon ? "cordon" : "uncordon";
  return {.name = name,
          .summary = cordon ? "Keep new tasks off nodes; what runs there runs on."
                            : "Let tasks be placed on nodes again; ends a drain.",
          .operands = "NODE...",
          .examples = {{"one node", "cube node " + name + " node-a"},
                       {"two nodes", "cube node " + name + " node-a node-b"}},
          .exit_codes = {kExitDone, kExitNotFound, kExitConflict, kExitUsage, kExitUnreachable},
          .operands_min = 1,
          .operands_max = kOperandsMany,
          .word = Word::kNode,
          .run = cordon ? CordonNodes : UncordonNodes};
}

CommandSpec Drain() {
  return {
      .name = "drain",
      .summary = "Move all tasks off nodes, one by one, and wait until nothing runs there.",
      .operands = "NODE...",
      .flags = {{.name = "deadline",
                 .value = "TIME",
                 .help = "tasks that fit nowhere else are stopped after this time and wait",
                 .fallback = "10m"},
                {.name = "detach", .letter = 'd', .help = "return as soon as it is accepted"},
                {.name = "timeout",
                 .value = "TIME",
                 .help = "how long to wait until nothing runs there; 0 = for ever",
                 .fallback = "30m"}},
      .examples = {{"before an upgrade of the machine; 'cube node uncordon node-a' when it is back",
                    "cube node drain node-a"},
                   {"at once, without waiting", "cube node drain -d --deadline 0 node-a"}},
      .exit_codes = {kExitDone, kExitFailed, kExitNotConverged, kExitNotFound, kExitConflict,
                     kExitUsage, kExitUnreachable, kExitInterrupted},
      .operands_min = 1,
      .operands_max = kOperandsMany,
      .word = Word::kNode,
      .run = DrainNodes};
}

}  // namespace

CommandSpec NodeCommand() {
  const std::vector<int> exit_codes = {kExitDone, kExitNotFound, kExitConflict, kExitUsage,
                                       kExitUnreachable};
  return {
      .name = "node",
      .summary = "Show the nodes of the cluster, and take them out of service.",
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
            .run = Inspect},
           Drain(),
           Cordon(true),
           Cordon(false)},
      .default_child = "ls"};
}

}  // namespace cube::cli
