#include "shared/domain/rules.h"
#include "shared/domain/text.h"
#include "shared/domain/validate.h"
#include "shared/wire/convert.h"
#include "shared/wire/internal.h"

namespace cube::wire {
namespace {

using internal::At;
using internal::CheckCount;
using internal::CheckLength;
using internal::UnknownEnum;

v1::LaunchState StateToProto(LaunchState state) {
  switch (state) {
    case LaunchState::kPulling:
      return v1::LAUNCH_STATE_PULLING;
    case LaunchState::kStarting:
      return v1::LAUNCH_STATE_STARTING;
    case LaunchState::kRunning:
      return v1::LAUNCH_STATE_RUNNING;
    case LaunchState::kExited:
      return v1::LAUNCH_STATE_EXITED;
  }
  return v1::LAUNCH_STATE_UNSPECIFIED;
}

Result<LaunchState> StateFromProto(v1::LaunchState state) {
  switch (state) {
    case v1::LAUNCH_STATE_PULLING:
      return LaunchState::kPulling;
    case v1::LAUNCH_STATE_STARTING:
      return LaunchState::kStarting;
    case v1::LAUNCH_STATE_RUNNING:
      return LaunchState::kRunning;
    case v1::LAUNCH_STATE_EXITED:
      return LaunchState::kExited;
    default:
      break;
  }
  return UnknownEnum(state, "state");
}

v1::ExitCause CauseToProto(ExitCause cause) {
  switch (cause) {
    case ExitCause::kNone:
      return v1::EXIT_CAUSE_UNSPECIFIED;
    case ExitCause::kExited:
      return v1::EXIT_CAUSE_EXITED;
    case ExitCause::kSignaled:
      return v1::EXIT_CAUSE_SIGNALED;
    case ExitCause::kOutOfMemory:
      return v1::EXIT_CAUSE_OUT_OF_MEMORY;
    case ExitCause::kVanished:
      return v1::EXIT_CAUSE_VANISHED;
    case ExitCause::kStartFailed:
      return v1::EXIT_CAUSE_START_FAILED;
    case ExitCause::kUnhealthy:
      return v1::EXIT_CAUSE_UNHEALTHY;
  }
  return v1::EXIT_CAUSE_UNSPECIFIED;
}

Result<ExitCause> CauseFromProto(v1::ExitCause cause) {
  switch (cause) {
    case v1::EXIT_CAUSE_UNSPECIFIED:
      return ExitCause::kNone;
    case v1::EXIT_CAUSE_EXITED:
      return ExitCause::kExited;
    case v1::EXIT_CAUSE_SIGNALED:
      return ExitCause::kSignaled;
    case v1::EXIT_CAUSE_OUT_OF_MEMORY:
      return ExitCause::kOutOfMemory;
    case v1::EXIT_CAUSE_VANISHED:
      return ExitCause::kVanished;
    case v1::EXIT_CAUSE_START_FAILED:
      return ExitCause::kStartFailed;
    case v1::EXIT_CAUSE_UNHEALTHY:
      return ExitCause::kUnhealthy;
    default:
      break;
  }
  return UnknownEnum(cause, "cause");
}

Result<EngineDescription> EngineFromProto(const v1::EngineDescription& from) {
  CUBE_TRY_VOID(CheckToken(from.kind(), "kind"));
  CUBE_TRY_VOID(CheckLength(from.version(), kWordBytesMax, "version"));
  return EngineDescription{from.kind(), from.version(), from.limits(), from.up()};
}

Result<void> CheckIsOf(const AttemptHeld& held, const LaunchKey& key) {
  if (key.task == held.task && key.attempt == held.attempt) return {};
  return Fail(Code::kInvalid, "is of another attempt than the one that is held");
}

}  // namespace

void ToProto(const LaunchFact& from, v1::LaunchFact& to) {
  to.set_task(from.key.task.str());
  to.set_attempt(from.key.attempt);
  to.set_launch(from.key.launch);
  ToProto(from.placement, *to.mutable_placement());
  to.set_state(StateToProto(from.state));
  to.set_cause(CauseToProto(from.cause));
  to.set_exit_code(from.exit_code);
  to.set_detail(CleanText(from.detail, kSentenceBytesMax));
  to.set_container_id(CleanText(from.container_id, kWordBytesMax));
  for (const BoundPort& port : from.ports) ToProto(port, *to.add_ports());
  to.set_started_at_ns(ToNanos(from.started_at));
  to.set_finished_at_ns(ToNanos(from.finished_at));
  to.set_final(from.final);
  to.set_stop_asked(from.stop_asked);
  to.set_restart_at_ns(ToNanos(from.restart_at));
}

Result<LaunchFact> FromProto(const v1::LaunchFact& from) {
  LaunchFact fact;
  CUBE_TRY(fact.key.task, TaskId::Parse(from.task(), "task"));
  if (from.attempt() == 0) return Fail(Code::kInvalid, "must be at least 1", "attempt");
  fact.key.attempt = from.attempt();
  fact.key.launch = from.launch();
  fact.placement = FromProto(from.placement());
  CUBE_TRY_VOID(internal::CheckStamp(fact.placement, "placement"));
  CUBE_TRY(fact.state, StateFromProto(from.state()));
  CUBE_TRY(fact.cause, CauseFromProto(from.cause()));
  if ((fact.state == LaunchState::kExited) != (fact.cause != ExitCause::kNone)) {
    return Fail(Code::kInvalid, "is there if, and only if, the launch has ended", "cause");
  }
  fact.exit_code = from.exit_code();
  CUBE_TRY_VOID(CheckLength(from.detail(), kSentenceBytesMax, "detail"));
  fact.detail = from.detail();
  CUBE_TRY_VOID(CheckLength(from.container_id(), kWordBytesMax, "container_id"));
  fact.container_id = from.container_id();
  CUBE_TRY_VOID(CheckCount(static_cast<std::size_t>(from.ports_size()), kPortsMax, "ports"));
  for (const v1::BoundPort& proto : from.ports()) {
    auto port = FromProto(proto);
    if (!port) return At(std::move(port).error(), "ports", fact.ports.size());
    fact.ports.push_back(*port);
  }
  fact.started_at = WallFromNanos(from.started_at_ns());
  fact.finished_at = WallFromNanos(from.finished_at_ns());
  fact.final = from.final();
  fact.stop_asked = from.stop_asked();
  fact.restart_at = WallFromNanos(from.restart_at_ns());
  return fact;
}

void ToProto(const HealthFact& from, v1::HealthFact& to) {
  to.set_task(from.key.task.str());
  to.set_attempt(from.key.attempt);
  to.set_launch(from.key.launch);
  ToProto(from.placement, *to.mutable_placement());
  to.set_healthy(from.healthy);
  to.set_reason(CleanText(from.reason, kSentenceBytesMax));
}

Result<HealthFact> FromProto(const v1::HealthFact& from) {
  HealthFact fact;
  CUBE_TRY(fact.key.task, TaskId::Parse(from.task(), "task"));
  if (from.attempt() == 0) return Fail(Code::kInvalid, "must be at least 1", "attempt");
  fact.key.attempt = from.attempt();
  fact.key.launch = from.launch();
  fact.placement = FromProto(from.placement());
  CUBE_TRY_VOID(internal::CheckStamp(fact.placement, "placement"));
  fact.healthy = from.healthy();
  CUBE_TRY_VOID(CheckLength(from.reason(), kSentenceBytesMax, "reason"));
  fact.reason = from.reason();
  return fact;
}

void ToProto(const AttemptHeld& from, v1::AttemptHeld& to) {
  to.set_task(from.task.str());
  to.set_attempt(from.attempt);
  ToProto(from.placement, *to.mutable_placement());
  if (from.spec != nullptr) ToProto(*from.spec, *to.mutable_spec());
  if (from.observed) ToProto(*from.observed, *to.mutable_observed());
  if (from.health) ToProto(*from.health, *to.mutable_health());
}

Result<AttemptHeld> FromProto(const v1::AttemptHeld& from) {
  AttemptHeld held;
  CUBE_TRY(held.task, TaskId::Parse(from.task(), "task"));
  if (from.attempt() == 0) return Fail(Code::kInvalid, "must be at least 1", "attempt");
  CUBE_TRY_VOID(internal::CheckCounter(from.attempt(), "attempt"));
  held.attempt = from.attempt();
  held.placement = FromProto(from.placement());
  CUBE_TRY_VOID(internal::CheckStamp(held.placement, "placement"));
  if (from.has_spec()) {
    auto spec = FromProto(from.spec());
    if (!spec) return At(std::move(spec).error(), "spec");
    // It may come into a decision, as that of an intent does.
    if (EncodedBytesMax(*spec) > 2 * kIntentItemBytesMax) {  // a bound above its true size
      return Fail(Code::kInvalid,
                  "is larger than " + std::to_string(kIntentItemBytesMax) + " bytes", "spec");
    }
    held.spec = std::make_shared<const TaskSpec>(*std::move(spec));
  }
  if (from.has_observed()) {
    auto observed = FromProto(from.observed());
    if (!observed) return At(std::move(observed).error(), "observed");
    if (auto of = CheckIsOf(held, observed->key); !of) return At(std::move(of).error(), "observed");
    held.observed = *std::move(observed);
  }
  if (from.has_health()) {
    auto health = FromProto(from.health());
    if (!health) return At(std::move(health).error(), "health");
    if (auto of = CheckIsOf(held, health->key); !of) return At(std::move(of).error(), "health");
    held.health = *std::move(health);
  }
  return held;
}

void ToProto(const NodeDescription& from, v1::NodeDescription& to) {
  ToProto(from.capacity, *to.mutable_capacity());
  to.set_tasks_max(from.tasks_max);
  for (const auto& [key, value] : from.labels) {
    (*to.mutable_labels())[key] = CleanText(value, kTextLengthMax);
  }
  for (const EngineDescription& engine : from.engines) {
    v1::EngineDescription* proto = to.add_engines();
    proto->set_kind(engine.kind);
    proto->set_version(CleanText(engine.version, kWordBytesMax));
    proto->set_limits(engine.limits);
    proto->set_up(engine.up);
  }
  to.set_version(CleanText(from.version, kWordBytesMax));
  to.set_address(CleanText(from.address, kWordBytesMax));
}

Result<NodeDescription> FromProto(const v1::NodeDescription& from) {
  NodeDescription node;
  node.capacity = FromProto(from.capacity());
  if (auto good = CheckResources(node.capacity); !good) {
    return At(std::move(good).error(), "capacity");
  }
  if (from.tasks_max() > kNodeTasksMax) {
    return Fail(Code::kInvalid, "may be at most " + std::to_string(kNodeTasksMax), "tasks_max");
  }
  node.tasks_max = from.tasks_max();
  CUBE_TRY_VOID(CheckCount(from.labels().size(), kLabelsMax, "labels"));
  for (const auto& [key, value] : from.labels()) {
    CUBE_TRY_VOID(CheckLabelKey(key, "labels"));
    CUBE_TRY_VOID(CheckLength(value, kTextLengthMax, "labels." + key));
    node.labels.emplace(key, value);
  }
  CUBE_TRY_VOID(CheckCount(static_cast<std::size_t>(from.engines_size()), kEnginesMax, "engines"));
  for (const v1::EngineDescription& proto : from.engines()) {
    auto engine = EngineFromProto(proto);
    if (!engine) return At(std::move(engine).error(), "engines", node.engines.size());
    node.engines.push_back(*std::move(engine));
  }
  CUBE_TRY_VOID(CheckLength(from.version(), kWordBytesMax, "version"));
  node.version = from.version();
  CUBE_TRY_VOID(CheckLength(from.address(), kWordBytesMax, "address"));
  // It names the machine; one that gives none is its own, under a name that begins so.
  if (from.address().starts_with('/')) {
    return Fail(Code::kInvalid, "may not begin with '/'; give a host name or an IP address",
                "address");
  }
  node.address = from.address();
  return node;
}

}  // namespace cube::wire
