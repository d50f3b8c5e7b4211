#include "shared/wire/convert.h"

#include <array>

#include "shared/domain/rules.h"
#include "shared/domain/text.h"
#include "shared/domain/validate.h"
#include "shared/wire/internal.h"

namespace cube::wire {

void ToProto(const Resources& from, v1::Resources& to) {
  to.set_cpu_millis(from.cpu_millis);
  to.set_memory_bytes(from.memory_bytes);
  to.set_disk_bytes(from.disk_bytes);
}
Resources FromProto(const v1::Resources& from) {
  return {from.cpu_millis(), from.memory_bytes(), from.disk_bytes()};
}

void ToProto(const Stamp& from, v1::Stamp& to) {
  to.set_term_id(from.term_id);
  to.set_cycle(from.cycle);
}
Stamp FromProto(const v1::Stamp& from) { return {from.term_id(), from.cycle()}; }

void ToProto(const Term& from, v1::Term& to) {
  to.set_epoch(from.epoch);
  to.set_term_id(from.id);
}
Term FromProto(const v1::Term& from) { return {from.epoch(), from.term_id()}; }

void ToProto(const Position& from, v1::StreamPosition& to) {
  to.set_seq(from.seq);
  to.set_time_ns(ToNanos(from.time));
  to.set_generation(from.generation);
}
Position FromProto(const v1::StreamPosition& from) {
  return {from.seq(), WallFromNanos(from.time_ns()), from.generation()};
}

void ToProto(const BoundPort& from, v1::BoundPort& to) {
  to.set_port(from.port);
  to.set_host_port(from.host_port);
  to.set_protocol(internal::ProtocolToProto(from.protocol));
}
Result<BoundPort> FromProto(const v1::BoundPort& from) {
  BoundPort port;
  CUBE_TRY(port.port, internal::PortFromProto(from.port(), 1, "port"));
  CUBE_TRY(port.host_port, internal::PortFromProto(from.host_port(), 1, "host_port"));
  CUBE_TRY(port.protocol, internal::ProtocolFromProto(from.protocol()));
  return port;
}

void ToProto(const NodeLoad& from, v1::NodeLoad& to) {
  to.set_cpu(from.cpu);
  to.set_memory(from.memory);
  to.set_disk(from.disk);
}
Result<NodeLoad> FromProto(const v1::NodeLoad& from) {
  const auto sixteenths = [](std::uint32_t value, std::string_view field) -> Result<std::uint8_t> {
    if (value <= kLoadFull) return static_cast<std::uint8_t>(value);
    return Fail(Code::kInvalid, "must be 0 to 16 sixteenths", std::string(field));
  };
  NodeLoad load;
  CUBE_TRY(load.cpu, sixteenths(from.cpu(), "cpu"));
  CUBE_TRY(load.memory, sixteenths(from.memory(), "memory"));
  CUBE_TRY(load.disk, sixteenths(from.disk(), "disk"));
  return load;
}

void ToProto(const Settings& from, v1::Settings& to) {
  to.set_scheduler(from.scheduler);
  to.set_finished_age_max_ns(from.finished_age_max.count());
  to.set_finished_count_max(from.finished_count_max);
}
Settings FromProto(const v1::Settings& from) {
  Settings settings;
  settings.scheduler = from.scheduler();
  settings.finished_age_max = Duration(from.finished_age_max_ns());
  settings.finished_count_max = from.finished_count_max();
  return settings;
}

void ToProto(const TermStart& from, v1::TermStart& to) {
  to.set_cluster(from.cluster);
  to.set_manager(CleanText(from.manager, kWordBytesMax));
  to.set_validation_version(from.validation_version);
  ToProto(from.settings, *to.mutable_settings());
  to.set_reset(CleanText(from.reset, kSentenceBytesMax));
}
TermStart FromProto(const v1::TermStart& from) {
  TermStart start;
  start.cluster = from.cluster();
  start.manager = from.manager();
  start.validation_version = from.validation_version();
  start.settings = FromProto(from.settings());
  start.reset = from.reset();
  return start;
}

void ToProto(const Explanation& from, v1::Explanation& to) {
  to.set_scheduler(from.scheduler);
  to.set_nodes(from.nodes);
  for (const FilterCount& count : from.filtered) {
    v1::FilterCount* filtered = to.add_filtered();
    filtered->set_filter(count.filter);
    filtered->set_nodes(count.nodes);
  }
  to.set_score(from.score);
  to.set_runner_up_score(from.runner_up_score);
  to.set_feasible(from.feasible);
}
Explanation FromProto(const v1::Explanation& from) {
  Explanation explanation;
  explanation.scheduler = from.scheduler();
  explanation.nodes = from.nodes();
  explanation.filtered.reserve(static_cast<std::size_t>(from.filtered_size()));
  for (const v1::FilterCount& filtered : from.filtered()) {
    explanation.filtered.push_back({filtered.filter(), filtered.nodes()});
  }
  explanation.score = from.score();
  explanation.runner_up_score = from.runner_up_score();
  explanation.feasible = from.feasible();
  return explanation;
}

void ToProto(const Error& from, v1::Failure& to) {
  to.set_code(std::string(CodeName(from.code)));
  to.set_message(CleanText(from.message, kSentenceBytesMax));
  to.set_field(CleanText(from.field, kSentenceBytesMax));
}
Error FromProto(const v1::Failure& from) {
  constexpr std::array kCodes{Code::kInvalid,      Code::kNotFound, Code::kConflict,
                              Code::kUnavailable,  Code::kTimedOut, Code::kAborted,
                              Code::kPrecondition, Code::kResource, Code::kPermission,
                              Code::kUnsupported,  Code::kDataLoss, Code::kInternal};
  Error error;  // a code of a later version is kInternal: an unexpected answer
  for (Code code : kCodes) {
    if (CodeName(code) == from.code()) error.code = code;
  }
  error.message = from.message();
  error.field = from.field();
  return error;
}

}  // namespace cube::wire
