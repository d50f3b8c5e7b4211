#include "shared/wire/internal.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/wire_format_lite.h>

#include <limits>

#include "shared/base/check.h"
#include "shared/wire/codec.h"

namespace cube::wire {

void QuietProtobuf() {
  static const auto quiet = [] { return google::protobuf::SetLogHandler(nullptr); }();
  static_cast<void>(quiet);
}

}  // namespace cube::wire

namespace cube::wire::internal {
namespace {

class Hash {
 public:
  template <class Integer>
  void Add(Integer value) {
    state_ ^=
        static_cast<std::size_t>(value) + 0x9e3779b97f4a7c15ULL + (state_ << 6) + (state_ >> 2);
  }
  void AddText(std::string_view text) { Add(std::hash<std::string_view>()(text)); }
  void AddTexts(const std::vector<std::string>& texts) {
    Add(texts.size());
    for (const std::string& text : texts) AddText(text);
  }
  void AddMap(const std::map<std::string, std::string>& map) {
    Add(map.size());
    for (const auto& [key, value] : map) {
      AddText(key);
      AddText(value);
    }
  }
  [[nodiscard]] std::size_t value() const { return state_; }

 private:
  std::size_t state_ = 0;
};

}  // namespace

std::vector<std::string_view> Elements(std::string_view payload, int field) {
  using google::protobuf::internal::WireFormatLite;
  const std::uint32_t wanted =
      WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  std::vector<std::string_view> elements;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(payload.data()),
                                            static_cast<int>(payload.size()));
  while (const std::uint32_t tag = in.ReadTag()) {
    std::uint32_t size = 0;
    if (tag != wanted) {
      if (!WireFormatLite::SkipField(&in, tag)) break;
      continue;
    }
    if (!in.ReadVarint32(&size)) break;
    const auto from = static_cast<std::size_t>(in.CurrentPosition());
    if (size > payload.size() - from || !in.Skip(static_cast<int>(size))) break;
    elements.push_back(payload.substr(from, size));
  }
  return elements;
}

std::string Serialize(const google::protobuf::MessageLite& message) {
  const std::size_t size = message.ByteSizeLong();
  CUBE_CHECK(size <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  std::string bytes(size, '\0');
  google::protobuf::io::ArrayOutputStream array(bytes.data(), static_cast<int>(size));
  google::protobuf::io::CodedOutputStream out(&array);
  out.SetSerializationDeterministic(true);
  message.SerializeWithCachedSizes(&out);
  CUBE_CHECK(!out.HadError());
  return bytes;
}

Result<void> Parse(std::string_view payload, std::string_view what,
                   google::protobuf::MessageLite& message) {
  QuietProtobuf();
  if (payload.size() > kMessageBytesMax) {
    return Fail(Code::kInvalid, "has " + std::to_string(payload.size()) + " bytes; at most " +
                                    std::to_string(kMessageBytesMax) + " are allowed");
  }
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return NotThat(payload, what);
  }
  return {};
}

std::unexpected<Error> NotThat(std::string_view payload, std::string_view what) {
  return Fail(Code::kInvalid, "these " + std::to_string(payload.size()) + " bytes are not " +
                                  std::string(what) + " (protobuf cube.v1)");
}

std::unexpected<Error> At(Error error, std::string_view prefix) {
  std::string field(prefix);
  if (!error.field.empty() && error.field.front() != '[') field += '.';
  error.field = field + error.field;
  return std::unexpected(std::move(error));
}

std::unexpected<Error> At(Error error, std::string_view list, std::size_t index) {
  return At(std::move(error), std::string(list) + "[" + std::to_string(index) + "]");
}

std::unexpected<Error> OutOfTable(std::string_view field, std::uint32_t index, std::size_t size) {
  return Fail(Code::kInvalid,
              "index " + std::to_string(index) + " is outside of the message's table of " +
                  std::to_string(size),
              std::string(field));
}

Result<void> CheckCount(std::size_t count, std::size_t count_max, std::string_view field) {
  if (count <= count_max) return {};
  return Fail(Code::kInvalid,
              "has " + std::to_string(count) + " entries; at most " + std::to_string(count_max) +
                  " are allowed",
              std::string(field));
}

Result<void> CheckLength(std::string_view text, std::size_t length_max, std::string_view field) {
  if (text.size() <= length_max) return {};
  return Fail(Code::kInvalid,
              "has " + std::to_string(text.size()) + " bytes; at most " +
                  std::to_string(length_max) + " are allowed",
              std::string(field));
}

Result<void> CheckCounter(std::uint32_t number, std::string_view field) {
  if (number <= kCounterMax) return {};
  return Fail(Code::kInvalid, "is larger than any that was given", std::string(field));
}

Result<void> CheckStamp(const Stamp& stamp, std::string_view field) {
  if (stamp.term_id != 0 && stamp.cycle != 0) return {};
  return Fail(Code::kInvalid, "needs a term id and a cycle", std::string(field));
}

Result<void> CheckStampOrNone(const Stamp& stamp, std::string_view field) {
  if (stamp == Stamp{}) return {};
  return CheckStamp(stamp, field);
}

Result<void> CheckTerm(const Term& term, std::string_view field) {
  if (term.epoch != 0 && term.id != 0) return {};
  return Fail(Code::kInvalid, "needs an epoch and a term id", std::string(field));
}

std::uint32_t SpecTable::Index(const TaskSpecPtr& spec) {
  CUBE_CHECK(spec != nullptr);
  if (spec.get() == last_) return last_index_;
  last_ = spec.get();
  const auto [known, fresh] =
      by_pointer_.try_emplace(spec.get(), static_cast<std::uint32_t>(specs_.size()));
  if (fresh && !IsShared(spec)) {
    const std::size_t hash = HashSpec(*spec);
    const auto [begin, end] = by_value_.equal_range(hash);
    const auto equal = std::find_if(
        begin, end, [&](const auto& entry) { return **specs_[entry.second] == *spec; });
    if (equal == end) {
      by_value_.emplace(hash, known->second);
    } else {
      known->second = equal->second;
    }
  }
  if (known->second == specs_.size()) specs_.push_back(&spec);
  last_index_ = known->second;
  return last_index_;
}

std::size_t HashSpec(const TaskSpec& spec) {
  Hash hash;
  hash.AddText(spec.name.str());
  hash.AddText(spec.image);
  hash.AddTexts(spec.command);
  hash.AddTexts(spec.entrypoint);
  hash.AddMap(spec.env);
  hash.AddMap(spec.labels);
  hash.AddText(spec.user);
  hash.AddText(spec.workdir);
  for (const PortSpec& port : spec.ports) {
    hash.Add(port.port);
    hash.Add(port.host_port);
    hash.Add(static_cast<int>(port.protocol));
    hash.AddText(port.name);
  }
  hash.Add(spec.resources.cpu_millis);
  hash.Add(spec.resources.memory_bytes);
  hash.Add(spec.resources.disk_bytes);
  hash.Add(static_cast<int>(spec.restart.mode));
  hash.Add(spec.restart.launches_max);
  hash.Add(static_cast<bool>(spec.health));
  hash.AddText(spec.stop_signal);
  hash.Add(spec.stop_grace.count());
  hash.Add(spec.priority);
  const auto add_rule = [&hash](const Constraint& rule) {
    hash.AddText(rule.label);
    hash.Add(static_cast<int>(rule.op));
    hash.AddTexts(rule.values);
  };
  for (const Constraint& constraint : spec.constraints) add_rule(constraint);
  hash.AddText(spec.engine);
  hash.Add(static_cast<int>(spec.pull));
  hash.Add(static_cast<int>(spec.reschedule.mode));
  hash.Add(spec.reschedule.moves_max);
  hash.AddText(spec.scheduler);
  for (const Affinity& affinity : spec.affinities) {
    add_rule(affinity.rule);
    hash.Add(affinity.weight);
  }
  hash.Add(spec.distinct);
  hash.Add(spec.volumes.size());
  for (const VolumeSpec& volume : spec.volumes) {
    hash.AddText(volume.source);
    hash.AddText(volume.target);
    hash.Add(volume.read_only);
  }
  hash.AddText(spec.network);
  return hash.value();
}

std::size_t HashExplanation(const Explanation& explanation) {
  Hash hash;
  hash.AddText(explanation.scheduler);
  hash.Add(explanation.nodes);
  for (const FilterCount& count : explanation.filtered) {
    hash.AddText(count.filter);
    hash.Add(count.nodes);
  }
  hash.Add(explanation.score);
  hash.Add(explanation.runner_up_score);
  hash.Add(explanation.feasible);
  hash.AddText(explanation.runner_up.str());
  return hash.value();
}

}  // namespace cube::wire::internal
