// Protobuf <-> domain for the values that several messages and the services' records share.
// Shells that build queries and records use these; everybody else uses codec.h.
#pragma once

#include <cube/v1/common.pb.h>
#include <cube/v1/decisions.pb.h>
#include <cube/v1/facts.pb.h>
#include <cube/v1/spec.pb.h>

#include "shared/base/error.h"
#include "shared/domain/decision.h"
#include "shared/domain/fact.h"
#include "shared/domain/task_spec.h"

namespace cube::wire {

void ToProto(const TaskSpec& from, v1::TaskSpec& to);
// Checks everything that Validate checks; the error's field is relative to the spec.
[[nodiscard]] Result<TaskSpec> FromProto(const v1::TaskSpec& from);

void ToProto(const Resources& from, v1::Resources& to);
[[nodiscard]] Resources FromProto(const v1::Resources& from);  // unchecked amounts
void ToProto(const Stamp& from, v1::Stamp& to);
[[nodiscard]] Stamp FromProto(const v1::Stamp& from);
void ToProto(const Term& from, v1::Term& to);
[[nodiscard]] Term FromProto(const v1::Term& from);
void ToProto(const Position& from, v1::StreamPosition& to);
[[nodiscard]] Position FromProto(const v1::StreamPosition& from);
void ToProto(const BoundPort& from, v1::BoundPort& to);
[[nodiscard]] Result<BoundPort> FromProto(const v1::BoundPort& from);

void ToProto(const LaunchFact& from, v1::LaunchFact& to);
[[nodiscard]] Result<LaunchFact> FromProto(const v1::LaunchFact& from);
void ToProto(const HealthFact& from, v1::HealthFact& to);
[[nodiscard]] Result<HealthFact> FromProto(const v1::HealthFact& from);
void ToProto(const AttemptHeld& from, v1::AttemptHeld& to);
[[nodiscard]] Result<AttemptHeld> FromProto(const v1::AttemptHeld& from);
void ToProto(const NodeDescription& from, v1::NodeDescription& to);
[[nodiscard]] Result<NodeDescription> FromProto(const v1::NodeDescription& from);
void ToProto(const NodeLoad& from, v1::NodeLoad& to);
// The error's field is "cpu", "memory" or "disk".
[[nodiscard]] Result<NodeLoad> FromProto(const v1::NodeLoad& from);
void ToProto(const Settings& from, v1::Settings& to);
[[nodiscard]] Settings FromProto(const v1::Settings& from);
void ToProto(const TermStart& from, v1::TermStart& to);
[[nodiscard]] TermStart FromProto(const v1::TermStart& from);
// An explanation by itself: its runner_up index is meaningless, the name is not kept.
void ToProto(const Explanation& from, v1::Explanation& to);
[[nodiscard]] Explanation FromProto(const v1::Explanation& from);
void ToProto(const Error& from, v1::Failure& to);
[[nodiscard]] Error FromProto(const v1::Failure& from);

}  // namespace cube::wire
