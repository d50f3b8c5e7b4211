// Deep comparison of values that hold specifications by pointer.
#pragma once

#include "shared/domain/assign.h"
#include "shared/domain/decision.h"
#include "shared/domain/intent.h"

namespace cube::testing {

[[nodiscard]] bool Equal(const TaskSpecPtr& a, const TaskSpecPtr& b);
[[nodiscard]] bool Equal(const IntentItem& a, const IntentItem& b);
[[nodiscard]] bool Equal(const DecisionItem& a, const DecisionItem& b);
[[nodiscard]] bool Equal(const DecisionBatch& a, const DecisionBatch& b);
[[nodiscard]] bool Equal(const Assignment& a, const Assignment& b);
[[nodiscard]] bool Equal(const AssignBatch& a, const AssignBatch& b);
[[nodiscard]] bool Equal(const DesiredPage& a, const DesiredPage& b);
[[nodiscard]] bool Equal(const Heartbeat& a, const Heartbeat& b);

}  // namespace cube::testing
