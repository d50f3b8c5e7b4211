// Random valid domain values: same seed, same value. Small enough to read when a test prints one.
#pragma once

#include <string>

#include "shared/base/random.h"
#include "shared/domain/assign.h"
#include "shared/domain/decision.h"
#include "shared/domain/fact.h"
#include "shared/domain/intent.h"

namespace cube::testing {

[[nodiscard]] std::string RandomToken(Random& random, std::size_t length_max = 20);
// Valid UTF-8 without NUL; may be empty, may hold quotes, control characters and emoji.
[[nodiscard]] std::string RandomText(Random& random, std::size_t characters_max = 12);

// Valid by Validate.
[[nodiscard]] TaskSpec RandomSpec(Random& random);
[[nodiscard]] TaskSpecPtr RandomSpecPtr(Random& random);
[[nodiscard]] std::vector<SubmitTask> RandomSubmits(Random& random);
[[nodiscard]] JobSpec RandomJob(Random& random);
[[nodiscard]] std::vector<StopJob> RandomJobStops(Random& random);
[[nodiscard]] std::vector<ScaleJob> RandomScales(Random& random);
[[nodiscard]] std::vector<NodeName> RandomNodes(Random& random);
[[nodiscard]] std::vector<DrainNode> RandomDrains(Random& random);
[[nodiscard]] std::vector<StopTask> RandomStops(Random& random);

[[nodiscard]] Explanation RandomExplanation(Random& random);
[[nodiscard]] DecisionItem RandomDecision(Random& random);
[[nodiscard]] DecisionBatch RandomDecisions(Random& random);

[[nodiscard]] LaunchFact RandomLaunchFact(Random& random);
[[nodiscard]] FactBatch RandomFacts(Random& random);

[[nodiscard]] AssignBatch RandomAssign(Random& random);
[[nodiscard]] DesiredPage RandomDesired(Random& random);
[[nodiscard]] Heartbeat RandomHeartbeat(Random& random);

}  // namespace cube::testing
