// The human form of health checks and reschedule policies. For this folder.
#pragma once

#include <nlohmann/json.hpp>

#include "shared/base/error.h"
#include "shared/domain/task_spec.h"

namespace cube::wire::internal {

// {"http": "/health", "port": "web", ...}; errors name fields from "health" on.
[[nodiscard]] Result<HealthCheck> HealthFromHuman(const nlohmann::json& value);
[[nodiscard]] nlohmann::ordered_json HealthToHuman(const HealthCheck& health);

}  // namespace cube::wire::internal
