// Sending intents and hearing what became of them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "services/cli/client.h"
#include "shared/domain/intent.h"

namespace cube::cli {

// What became of a set of intent items, by the id or name that they concern. All of them are in the
// log, durably.
struct IntentResult {
  std::uint64_t last_intent = 0;             // sequence of the last message
  std::map<std::string, OutcomeItem> items;  // those that were heard of
  bool manager_heard = true;                 // false: in the log, but no manager has answered
};

// Every task has an id. Waits for the outcome at most the request timeout, then asks.
[[nodiscard]] Result<IntentResult> SubmitTasks(Client& client,
                                               const std::vector<SubmitTask>& tasks);
[[nodiscard]] Result<IntentResult> StopTasks(Client& client, const std::vector<StopTask>& tasks);

[[nodiscard]] Result<IntentResult> SendCordon(Client& client, const std::vector<NodeName>& nodes,
                                              bool cordon);
[[nodiscard]] Result<IntentResult> SendDrain(Client& client, const std::vector<DrainNode>& nodes);

[[nodiscard]] Result<IntentResult> SendSubmitJob(Client& client, const JobSpec& spec);
[[nodiscard]] Result<IntentResult> SendScaleJob(Client& client, const ScaleJob& scale);
[[nodiscard]] Result<IntentResult> SendStopJob(Client& client, const StopJob& stop);

// `<name>-<8 random base32>`: a repeated submission is not a second task.
[[nodiscard]] TaskId RandomTaskId(const TaskName& name);

}  // namespace cube::cli
