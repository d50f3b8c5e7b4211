#include "services/worker/core/health.h"

#include <algorithm>

#include "shared/domain/isolation.h"
#include "shared/domain/rules.h"

namespace cube::worker {
namespace {

constexpr const char* kLoopback = "127.0.0.1";

// Inside the container: the one that is given, the named one, or the lowest of the tcp ports.
std::uint16_t PortOf(const TaskSpec& spec) {
  const HealthCheck& check = *spec.health;
  if (check.port != 0) return check.port;
  std::uint16_t lowest = 0;
  for (const PortSpec& port : spec.ports) {
    if (port.protocol != Protocol::kTcp) continue;
    if (!check.port_name.empty() && port.name != check.port_name) continue;
    if (lowest == 0 || port.port < lowest) lowest = port.port;
  }
  return lowest;
}

}  // namespace

HealthState BeginChecks(const HealthCheck& check, WallTime started_at, std::optional<bool> known,
                        Now now) {
  HealthState state;
  state.healthy = known;
  state.due = now.mono;
  if (known) {
    state.counts_from = now.mono;
    return state;
  }
  // The first failure counts where docker's first check would be; a clock that has jumped can
  // make it no later than that.
  const Duration grace = std::max(check.start_period, check.interval);
  const Duration left = IsSet(started_at) ? started_at + grace - now.wall : grace;
  state.counts_from = now.mono + std::clamp(left, Duration(0), grace);
  return state;
}

bool CountResult(HealthState& state, const HealthCheck& check, bool passed, MonoTime now) {
  state.probe = 0;
  if (passed) {
    state.failures = 0;
    state.successes = std::min(state.successes + 1, check.successes);
    state.due = now + check.interval;
    state.counts_from = now;  // it has come up: the start period is over
    if (state.successes < check.successes || state.healthy == true) return false;
    state.healthy = true;
    return true;
  }
  state.successes = 0;
  if (now >= state.counts_from) {
    state.failures = std::min(state.failures + 1, check.retries);
    state.counts_from = now + check.interval;
  }
  if (state.failures >= check.retries && state.healthy != false) {
    state.healthy = false;
    state.due = now + check.interval;
    return true;
  }
  CountNothing(state, check, now);
  return false;
}

void CountNothing(HealthState& state, const HealthCheck& check, MonoTime now) {
  state.probe = 0;
  state.due = now + check.interval;
  if (state.healthy) return;
  const MonoTime eager = now + state.pause;
  state.pause = std::min(state.pause * 2, check.interval);
  // At the latest when a failure counts again.
  state.due = std::min(eager, std::max(state.counts_from, now + kEagerPauseMin));
}

engine::ProbeRequest ProbeOf(const TaskSpec& spec, const engine::LaunchStatus& status,
                             std::uint64_t id) {
  const HealthCheck& check = *spec.health;
  engine::ProbeRequest request;
  request.id = id;
  request.key = status.key;
  request.kind = check.kind;
  request.timeout = check.timeout;
  if (check.kind == HealthCheck::Kind::kCommand) {
    request.command = check.command;
    return request;
  }
  request.path = check.http_path;
  request.port = PortOf(spec);
  request.host = status.address;
  if (!request.host.empty()) return request;
  // A port inside a container is not one of the node, where something else may answer.
  if (EngineOf(spec) == kEngineProcess || spec.network == kNetworkHost) request.host = kLoopback;
  for (const BoundPort& bound : status.ports) {
    if (bound.protocol == Protocol::kTcp && bound.port == request.port) {
      request.host = kLoopback;
      request.port = bound.host_port;
      break;
    }
  }
  return request;
}

}  // namespace cube::worker
