#include <limits>
#include <type_traits>

#include "shared/domain/isolation.h"
#include "shared/domain/rules.h"
#include "shared/domain/signals.h"
#include "shared/domain/validate.h"
#include "shared/wire/convert.h"
#include "shared/wire/internal.h"

namespace cube::wire {
namespace internal {

v1::Protocol ProtocolToProto(Protocol protocol) {
  return protocol == Protocol::kUdp ? v1::PROTOCOL_UDP : v1::PROTOCOL_UNSPECIFIED;
}

Result<Protocol> ProtocolFromProto(v1::Protocol protocol) {
  switch (protocol) {
    case v1::PROTOCOL_UNSPECIFIED:
    case v1::PROTOCOL_TCP:
      return Protocol::kTcp;
    case v1::PROTOCOL_UDP:
      return Protocol::kUdp;
    default:
      break;
  }
  return UnknownEnum(protocol, "protocol");
}

Result<std::uint16_t> PortFromProto(std::uint32_t port, std::uint32_t port_min,
                                    std::string_view field) {
  if (port < port_min || port > std::numeric_limits<std::uint16_t>::max()) {
    return Fail(Code::kInvalid, "must be " + std::to_string(port_min) + " to 65535",
                std::string(field));
  }
  return static_cast<std::uint16_t>(port);
}

std::unexpected<Error> UnknownEnum(int value, std::string_view field) {
  return Fail(Code::kInvalid, "has no value number " + std::to_string(value), std::string(field));
}

void RestartToProto(const RestartPolicy& from, v1::RestartPolicy& to) {
  switch (from.mode) {
    case RestartMode::kNo:
      to.set_mode(v1::RESTART_MODE_NO);
      break;
    case RestartMode::kOnFailure:
      to.set_mode(v1::RESTART_MODE_ON_FAILURE);
      break;
    case RestartMode::kAlways:
      to.set_mode(v1::RESTART_MODE_ALWAYS);
      break;
  }
  to.set_launches_max(from.launches_max);
}

}  // namespace internal

namespace {

using internal::At;
using internal::RestartToProto;
using internal::UnknownEnum;

void PortToProto(const PortSpec& from, v1::PortSpec& to) {
  to.set_port(from.port);
  to.set_host_port(from.host_port);
  to.set_protocol(internal::ProtocolToProto(from.protocol));
  to.set_name(from.name);
}

Result<PortSpec> PortSpecFromProto(const v1::PortSpec& from) {
  PortSpec port;
  CUBE_TRY(port.port, internal::PortFromProto(from.port(), 1, "port"));
  CUBE_TRY(port.host_port, internal::PortFromProto(from.host_port(), 0, "host_port"));
  CUBE_TRY(port.protocol, internal::ProtocolFromProto(from.protocol()));
  port.name = from.name();
  return port;
}

Result<RestartPolicy> RestartFromProto(const v1::RestartPolicy& from) {
  switch (from.mode()) {
    case v1::RESTART_MODE_UNSPECIFIED:
      if (from.launches_max() == 0) return RestartPolicy{};
      return Fail(Code::kInvalid, "a number of launches needs a mode", "restart");
    case v1::RESTART_MODE_NO:
      return RestartPolicy{RestartMode::kNo, from.launches_max()};
    case v1::RESTART_MODE_ON_FAILURE:
      return RestartPolicy{RestartMode::kOnFailure, from.launches_max()};
    case v1::RESTART_MODE_ALWAYS:
      return RestartPolicy{RestartMode::kAlways, from.launches_max()};
    default:
      break;
  }
  return UnknownEnum(from.mode(), "restart");
}

void HealthToProto(const HealthCheck& from, v1::HealthCheck& to) {
  switch (from.kind) {
    case HealthCheck::Kind::kHttp:
      to.set_kind(v1::HealthCheck::KIND_HTTP);
      break;
    case HealthCheck::Kind::kTcp:
      to.set_kind(v1::HealthCheck::KIND_TCP);
      break;
    case HealthCheck::Kind::kCommand:
      to.set_kind(v1::HealthCheck::KIND_COMMAND);
      break;
  }
  to.set_http_path(from.http_path);
  to.set_port_name(from.port_name);
  for (const std::string& argument : from.command) to.add_command(argument);
  to.set_interval_ns(from.interval.count());
  to.set_timeout_ns(from.timeout.count());
  to.set_start_period_ns(from.start_period.count());
  to.set_retries(from.retries);
  to.set_successes(from.successes);
  if (from.on_failure == HealthCheck::OnFailure::kNone) {
    to.set_on_failure(v1::HealthCheck::ON_FAILURE_NONE);  // else what absence means
  }
  to.set_port(from.port);
}

template <class Number>
void TakeIfSet(Number from, auto& to) {
  if (from != 0) to = std::remove_cvref_t<decltype(to)>(from);
}

Result<HealthCheck> HealthFromProto(const v1::HealthCheck& from) {
  HealthCheck health;
  switch (from.kind()) {
    case v1::HealthCheck::KIND_HTTP:
      health.kind = HealthCheck::Kind::kHttp;
      break;
    case v1::HealthCheck::KIND_TCP:
      health.kind = HealthCheck::Kind::kTcp;
      break;
    case v1::HealthCheck::KIND_COMMAND:
      health.kind = HealthCheck::Kind::kCommand;
      break;
    default:
      return UnknownEnum(from.kind(), "health.kind");
  }
  health.http_path = from.http_path();
  health.port_name = from.port_name();
  health.command.assign(from.command().begin(), from.command().end());
  if (from.port() != 0) {
    CUBE_TRY(health.port, internal::PortFromProto(from.port(), 1, "health.port"));
  }
  TakeIfSet(from.interval_ns(), health.interval);
  TakeIfSet(from.timeout_ns(), health.timeout);
  health.start_period = Duration(from.start_period_ns());
  TakeIfSet(from.retries(), health.retries);
  TakeIfSet(from.successes(), health.successes);
  switch (from.on_failure()) {
    case v1::HealthCheck::ON_FAILURE_UNSPECIFIED:
    case v1::HealthCheck::ON_FAILURE_RESTART:
      break;
    case v1::HealthCheck::ON_FAILURE_NONE:
      health.on_failure = HealthCheck::OnFailure::kNone;
      break;
    default:
      return UnknownEnum(from.on_failure(), "health.on_failure");
  }
  return health;
}

void RescheduleToProto(const ReschedulePolicy& from, v1::TaskSpec& to) {
  switch (from.mode) {
    case ReschedulePolicy::Mode::kNever:
      to.mutable_reschedule()->set_mode(v1::ReschedulePolicy::MODE_NEVER);
      break;
    case ReschedulePolicy::Mode::kOnLost:
      break;  // what absence means
    case ReschedulePolicy::Mode::kOnFailure:
      to.mutable_reschedule()->set_mode(v1::ReschedulePolicy::MODE_ON_FAILURE);
      to.mutable_reschedule()->set_moves_max(from.moves_max);
      break;
  }
}

Result<ReschedulePolicy> RescheduleFromProto(const v1::TaskSpec& from) {
  using Mode = ReschedulePolicy::Mode;
  const std::uint32_t moves = from.reschedule().moves_max();
  switch (from.reschedule().mode()) {
    case v1::ReschedulePolicy::MODE_UNSPECIFIED:
      // Absent, or in the older form.
      return ReschedulePolicy{from.reschedule_never() ? Mode::kNever : Mode::kOnLost, moves};
    case v1::ReschedulePolicy::MODE_NEVER:
      return ReschedulePolicy{Mode::kNever, moves};
    case v1::ReschedulePolicy::MODE_ON_LOST:
      return ReschedulePolicy{Mode::kOnLost, moves};
    case v1::ReschedulePolicy::MODE_ON_FAILURE:
      return ReschedulePolicy{Mode::kOnFailure, moves == 0 ? kMovesDefault : moves};
    default:
      break;
  }
  return UnknownEnum(from.reschedule().mode(), "reschedule");
}

void ConstraintToProto(const Constraint& from, v1::Constraint& to) {
  to.set_label(from.label);
  switch (from.op) {
    case Constraint::Op::kEquals:
      to.set_op(v1::Constraint::OP_EQUALS);
      break;
    case Constraint::Op::kNotEquals:
      to.set_op(v1::Constraint::OP_NOT_EQUALS);
      break;
    case Constraint::Op::kIn:
      to.set_op(v1::Constraint::OP_IN);
      break;
    case Constraint::Op::kExists:
      to.set_op(v1::Constraint::OP_EXISTS);
      break;
  }
  for (const std::string& value : from.values) to.add_values(value);
}

Result<Constraint> ConstraintFromProto(const v1::Constraint& from) {
  Constraint constraint;
  constraint.label = from.label();
  switch (from.op()) {
    case v1::Constraint::OP_EQUALS:
      constraint.op = Constraint::Op::kEquals;
      break;
    case v1::Constraint::OP_NOT_EQUALS:
      constraint.op = Constraint::Op::kNotEquals;
      break;
    case v1::Constraint::OP_IN:
      constraint.op = Constraint::Op::kIn;
      break;
    case v1::Constraint::OP_EXISTS:
      constraint.op = Constraint::Op::kExists;
      break;
    default:
      return UnknownEnum(from.op(), "op");
  }
  constraint.values.assign(from.values().begin(), from.values().end());
  return constraint;
}

void AffinityToProto(const Affinity& from, v1::Affinity& to) {
  ConstraintToProto(from.rule, *to.mutable_rule());
  to.set_weight(from.weight);
}

Result<Affinity> AffinityFromProto(const v1::Affinity& from) {
  auto rule = ConstraintFromProto(from.rule());
  if (!rule) return At(std::move(rule).error(), "rule");
  return Affinity{*std::move(rule), from.weight()};
}

void IsolationToProto(const TaskSpec& from, v1::TaskSpec& to) {
  for (const VolumeSpec& volume : from.volumes) {
    v1::VolumeSpec& proto = *to.add_volumes();
    proto.set_source(volume.source);
    proto.set_target(volume.target);
    proto.set_read_only(volume.read_only);
  }
  to.set_network(from.network);
  for (const std::string& name : from.cap_add) to.add_cap_add(name);
  for (const std::string& name : from.cap_drop) to.add_cap_drop(name);
  to.set_read_only_root(from.read_only_root);
}

Result<void> IsolationFromProto(const v1::TaskSpec& from, TaskSpec& spec) {
  CUBE_TRY_VOID(
      internal::CheckCount(static_cast<std::size_t>(from.volumes_size()), kVolumesMax, "volumes"));
  for (const v1::VolumeSpec& proto : from.volumes()) {
    spec.volumes.push_back({proto.source(), proto.target(), proto.read_only()});
  }
  spec.network = from.network();
  spec.cap_add.assign(from.cap_add().begin(), from.cap_add().end());
  spec.cap_drop.assign(from.cap_drop().begin(), from.cap_drop().end());
  spec.read_only_root = from.read_only_root();
  return {};
}

void PullToProto(PullPolicy from, v1::TaskSpec& to) {
  switch (from) {
    case PullPolicy::kMissing:
      break;  // what absence means
    case PullPolicy::kAlways:
      to.set_pull(v1::PULL_POLICY_ALWAYS);
      break;
    case PullPolicy::kNever:
      to.set_pull(v1::PULL_POLICY_NEVER);
      break;
  }
}

Result<PullPolicy> PullFromProto(v1::PullPolicy from) {
  switch (from) {
    case v1::PULL_POLICY_UNSPECIFIED:
    case v1::PULL_POLICY_MISSING:
      return PullPolicy::kMissing;
    case v1::PULL_POLICY_ALWAYS:
      return PullPolicy::kAlways;
    case v1::PULL_POLICY_NEVER:
      return PullPolicy::kNever;
    default:
      break;
  }
  return UnknownEnum(from, "pull");
}

// One text for each policy, so that equal wishes are equal specifications.
std::string CanonicalPolicy(const std::string& text) {
  if (text.empty()) return text;
  return ParsePolicy(text, "scheduler").value_or(text);  // Validate refuses what is none
}

// One text for each signal, so that equal wishes are equal specifications.
std::string CanonicalSignal(const std::string& text) {
  const auto number = ParseSignal(text);
  return number ? SignalName(*number) : text;  // Validate refuses what is none
}

Result<void> ListsFromProto(const v1::TaskSpec& from, TaskSpec& spec) {
  CUBE_TRY_VOID(
      internal::CheckCount(static_cast<std::size_t>(from.ports_size()), kPortsMax, "ports"));
  for (const v1::PortSpec& proto : from.ports()) {
    auto port = PortSpecFromProto(proto);
    if (!port) return At(std::move(port).error(), "ports", spec.ports.size());
    spec.ports.push_back(*std::move(port));
  }
  CUBE_TRY_VOID(internal::CheckCount(static_cast<std::size_t>(from.constraints_size()),
                                     kConstraintsMax, "constraints"));
  for (const v1::Constraint& proto : from.constraints()) {
    auto constraint = ConstraintFromProto(proto);
    if (!constraint) {
      return At(std::move(constraint).error(), "constraints", spec.constraints.size());
    }
    spec.constraints.push_back(*std::move(constraint));
  }
  CUBE_TRY_VOID(internal::CheckCount(static_cast<std::size_t>(from.affinities_size()),
                                     kAffinitiesMax, "affinities"));
  for (const v1::Affinity& proto : from.affinities()) {
    auto affinity = AffinityFromProto(proto);
    if (!affinity) return At(std::move(affinity).error(), "affinities", spec.affinities.size());
    spec.affinities.push_back(*std::move(affinity));
  }
  return {};
}

}  // namespace

void ToProto(const TaskSpec& from, v1::TaskSpec& to) {
  to.set_name(from.name.str());
  to.set_image(from.image);
  for (const std::string& argument : from.command) to.add_command(argument);
  for (const std::string& argument : from.entrypoint) to.add_entrypoint(argument);
  for (const auto& [key, value] : from.env) (*to.mutable_env())[key] = value;
  for (const auto& [key, value] : from.labels) (*to.mutable_labels())[key] = value;
  to.set_user(from.user);
  to.set_workdir(from.workdir);
  for (const PortSpec& port : from.ports) PortToProto(port, *to.add_ports());
  if (from.resources != Resources{}) ToProto(from.resources, *to.mutable_resources());
  if (from.restart != RestartPolicy{}) RestartToProto(from.restart, *to.mutable_restart());
  if (from.health) HealthToProto(*from.health, *to.mutable_health());
  to.set_stop_signal(from.stop_signal);
  if (from.stop_grace != TaskSpec{}.stop_grace) to.set_stop_grace_ns(from.stop_grace.count());
  to.set_priority(from.priority);
  for (const Constraint& constraint : from.constraints) {
    ConstraintToProto(constraint, *to.add_constraints());
  }
  to.set_engine(from.engine);
  PullToProto(from.pull, to);
  RescheduleToProto(from.reschedule, to);
  to.set_scheduler(from.scheduler);
  for (const Affinity& affinity : from.affinities) AffinityToProto(affinity, *to.add_affinities());
  to.set_distinct(from.distinct);
  IsolationToProto(from, to);
}

Result<TaskSpec> FromProto(const v1::TaskSpec& from) {
  TaskSpec spec;
  CUBE_TRY(spec.name, TaskName::Parse(from.name(), "name"));
  spec.image = from.image();
  spec.command.assign(from.command().begin(), from.command().end());
  spec.entrypoint.assign(from.entrypoint().begin(), from.entrypoint().end());
  for (const auto& [key, value] : from.env()) spec.env.emplace(key, value);
  for (const auto& [key, value] : from.labels()) spec.labels.emplace(key, value);
  spec.user = from.user();
  spec.workdir = from.workdir();
  CUBE_TRY_VOID(ListsFromProto(from, spec));
  if (from.has_resources()) spec.resources = FromProto(from.resources());
  if (from.has_restart()) {
    CUBE_TRY(spec.restart, RestartFromProto(from.restart()));
  }
  if (from.has_health()) {
    CUBE_TRY(spec.health, HealthFromProto(from.health()));
  }
  spec.stop_signal = CanonicalSignal(from.stop_signal());
  if (from.has_stop_grace_ns()) spec.stop_grace = Duration(from.stop_grace_ns());
  spec.priority = from.priority();
  spec.engine = from.engine();
  CUBE_TRY(spec.pull, PullFromProto(from.pull()));
  CUBE_TRY(spec.reschedule, RescheduleFromProto(from));
  spec.scheduler = CanonicalPolicy(from.scheduler());
  spec.distinct = from.distinct();
  CUBE_TRY_VOID(IsolationFromProto(from, spec));
  CUBE_TRY_VOID(Validate(spec));
  return spec;
}

}  // namespace cube::wire
