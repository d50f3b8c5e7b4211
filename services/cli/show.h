// Lists of tasks and nodes in the format that was asked for: what several commands print.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/cli/session.h"
#include "services/cli/views.h"

namespace cube::cli {

// -o table, wide, json, yaml, name; a table asks the cluster for its name (part of containers').
[[nodiscard]] Result<void> ShowTasks(Session& session, Client& client,
                                     const std::vector<v1::TaskView>& tasks);
// With what they use; `detailed`: every single value, for programs.
[[nodiscard]] Result<void> ShowNodes(Session& session, Client& client,
                                     const std::vector<v1::NodeView>& nodes, bool detailed);
// One value as JSON or YAML.
void ShowJson(Session& session, const nlohmann::ordered_json& value);

// The whole name of a node: exact, or a unique prefix.
[[nodiscard]] Result<std::string> FindNode(Client& client, const std::string& word);

}  // namespace cube::cli
