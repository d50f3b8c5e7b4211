// The small texts of the human form: amounts, ports, policies.
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <vector>

#include "shared/domain/isolation.h"
#include "shared/domain/rules.h"
#include "shared/domain/text.h"
#include "shared/domain/validate.h"
#include "shared/wire/human.h"

namespace cube::wire {
namespace {

std::string Quoted(std::string_view text) { return "'" + CleanText(text, kQuotedLengthMax) + "'"; }

// A decimal number without sign or exponent: digits / 10^decimals.
struct Decimal {
  std::int64_t digits = 0;
  int decimals = 0;
};
constexpr int kDecimalsMax = 9;

// Takes "12", "1.5", ".5" from the front; nullopt if there is none or it does not fit.
std::optional<Decimal> TakeDecimal(std::string_view& text) {
  Decimal number;
  bool point = false;
  std::size_t used = 0;
  std::size_t count = 0;
  for (; used < text.size(); ++used) {
    const char c = text[used];
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (c < '0' || c > '9') break;
    ++count;
    if (point && ++number.decimals > kDecimalsMax) return std::nullopt;
    if (__builtin_mul_overflow(number.digits, 10, &number.digits) ||
        __builtin_add_overflow(number.digits, c - '0', &number.digits)) {
      return std::nullopt;
    }
  }
  if (count == 0 || text[used - 1] == '.') return std::nullopt;
  text.remove_prefix(used);
  return number;
}

// number * unit if that is a whole number of 63 bits.
std::optional<std::int64_t> Times(Decimal number, std::int64_t unit) {
  __extension__ using Wide = __int128;
  Wide product = static_cast<Wide>(number.digits) * unit;
  for (int i = 0; i < number.decimals; ++i) {
    if (product % 10 != 0) return std::nullopt;
    product /= 10;
  }
  if (product > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  return static_cast<std::int64_t>(product);
}

struct Unit {
  std::string_view name;
  std::int64_t bytes;
};
constexpr std::int64_t kKi = 1024;
constexpr std::array<Unit, 10> kUnits{{{"", 1},
                                       {"B", 1},
                                       {"Ki", kKi},
                                       {"Mi", kKi* kKi},
                                       {"Gi", kKi* kKi* kKi},
                                       {"Ti", kKi* kKi* kKi* kKi},
                                       {"k", 1000},
                                       {"M", 1'000'000},
                                       {"G", 1'000'000'000},
                                       {"T", 1'000'000'000'000}}};
constexpr std::array<Unit, 4> kDockerUnits{
    {{"b", 1}, {"k", kKi}, {"m", kKi* kKi}, {"g", kKi* kKi* kKi}}};

std::optional<std::int64_t> UnitBytes(std::string_view name, bool docker_units) {
  if (docker_units) {
    for (const Unit& unit : kDockerUnits) {
      if (unit.name == name) return unit.bytes;
    }
  }
  // "MiB" and "MB" are "Mi" and "M".
  if (name.size() > 1 && name != "BB" && name.ends_with('B')) name.remove_suffix(1);
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return unit.bytes;
  }
  return std::nullopt;
}

Result<std::uint16_t> PortNumber(std::string_view text, std::uint32_t number_min) {
  std::uint32_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size() || number > 65535 ||
      number < number_min) {
    return Fail(Code::kInvalid, Quoted(text) + " is no port; a port is " +
                                    std::to_string(number_min) + " to 65535");
  }
  return static_cast<std::uint16_t>(number);
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

Result<std::int64_t> ParseBytes(std::string_view text, bool docker_units) {
  std::string_view rest = text;
  if (rest.starts_with('-')) return Fail(Code::kInvalid, "may not be negative");
  const auto number = TakeDecimal(rest);
  const auto unit = number ? UnitBytes(rest, docker_units) : std::nullopt;
  if (!unit) {
    return Fail(Code::kInvalid,
                Quoted(text) + " is no size; write a number and a unit (Ki, Mi, Gi, Ti of 1024, " +
                    "k, M, G, T of 1000), for example 512Mi");
  }
  const auto bytes = Times(*number, *unit);
  if (!bytes) {
    return Fail(Code::kInvalid, Quoted(text) + " is not a whole number of bytes below 8Ei");
  }
  return *bytes;
}

std::string FormatBytes(std::int64_t bytes) {
  constexpr std::array<std::string_view, 4> kSuffixes{"Ki", "Mi", "Gi", "Ti"};
  std::string_view suffix;
  for (std::size_t i = 0; i < kSuffixes.size() && bytes != 0 && bytes % kKi == 0; ++i) {
    bytes /= kKi;
    suffix = kSuffixes[i];
  }
  return std::to_string(bytes) + std::string(suffix);
}

Result<std::int64_t> ParseCpus(std::string_view text) {
  if (text.starts_with('-')) return Fail(Code::kInvalid, "may not be negative");
  std::string_view rest = text;
  const auto number = TakeDecimal(rest);
  if (!number || !rest.empty()) {
    return Fail(Code::kInvalid, Quoted(text) + " is no number of cpus; write it as 2, 0.5 or 1.25");
  }
  const auto millis = Times(*number, 1000);
  if (!millis) {
    return Fail(Code::kInvalid, Quoted(text) + " cpus: at most three decimals are allowed");
  }
  return *millis;
}

Result<PortSpec> ParsePort(std::string_view text) {
  PortSpec port;
  std::string_view rest = text;
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    const std::string_view protocol = rest.substr(slash + 1);
    if (protocol == "udp") {
      port.protocol = Protocol::kUdp;
    } else if (protocol != "tcp") {
      return Fail(Code::kInvalid,
                  Quoted(text) + ": the protocol is tcp or udp, not " + Quoted(protocol));
    }
    rest = rest.substr(0, slash);
  }
  const std::size_t colon = rest.find(':');
  if (colon == std::string_view::npos) {
    CUBE_TRY(port.port, PortNumber(rest, 1));
    return port;
  }
  if (rest.find(':', colon + 1) != std::string_view::npos) {
    return Fail(Code::kInvalid,
                Quoted(text) +
                    ": a task may run on any node, so a port cannot be bound to one "
                    "address; write HOST_PORT:PORT");
  }
  CUBE_TRY(port.host_port, PortNumber(rest.substr(0, colon), 0));
  CUBE_TRY(port.port, PortNumber(rest.substr(colon + 1), 1));
  return port;
}

Result<VolumeSpec> ParseVolume(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::string_view rest = text;;) {
    const std::size_t colon = rest.find(':');
    parts.push_back(rest.substr(0, colon));
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  const bool anonymous = parts.size() == 1;
  if (parts.size() > 3 || parts.front().empty()) {
    return Fail(Code::kInvalid, Quoted(text) +
                                    " is no volume; write NAME:/PATH, /HOST/PATH:/PATH or /PATH, "
                                    "the first two with :ro if it may not be written");
  }
  VolumeSpec volume;
  if (!anonymous) volume.source = parts[0].size() > 1 ? WithoutSlash(parts[0]) : parts[0];
  volume.target = anonymous ? parts[0] : parts[1];
  if (volume.target.size() > 1) volume.target = WithoutSlash(volume.target);
  if (parts.size() < 3) return volume;
  if (parts[2] != "ro" && parts[2] != "rw") {
    return Fail(Code::kInvalid,
                Quoted(text) + ": the only options are ro and rw, not " + Quoted(parts[2]));
  }
  volume.read_only = parts[2] == "ro";
  return volume;
}

Result<RestartPolicy> ParseRestart(std::string_view text) {
  constexpr std::string_view kOnFailure = "on-failure";
  if (text == "no") return RestartPolicy{RestartMode::kNo, 0};
  if (text == "always" || text == "unless-stopped") return RestartPolicy{RestartMode::kAlways, 0};
  if (text == kOnFailure) return RestartPolicy{RestartMode::kOnFailure, 0};
  if (text.starts_with(kOnFailure) && text.substr(kOnFailure.size()).starts_with(':')) {
    const std::string_view digits = text.substr(kOnFailure.size() + 1);
    std::uint32_t count = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (failed == std::errc() && end == digits.data() + digits.size()) {
      return RestartPolicy{RestartMode::kOnFailure, count};
    }
  }
  return Fail(Code::kInvalid, Quoted(text) +
                                  " is no restart policy; there are no, on-failure, on-failure:N, "
                                  "always and unless-stopped");
}

std::string FormatRestart(const RestartPolicy& policy) {
  switch (policy.mode) {
    case RestartMode::kNo:
      return "no";
    case RestartMode::kAlways:
      return "always";
    case RestartMode::kOnFailure:
      break;
  }
  return policy.launches_max == 0 ? "on-failure"
                                  : "on-failure:" + std::to_string(policy.launches_max);
}

Result<Constraint> ParseConstraint(std::string_view text) {
  constexpr std::string_view kIn = " in ";
  const std::string_view whole = Trimmed(text);
  Constraint constraint;
  std::string_view label = whole;
  if (const std::size_t equals = whole.find('='); equals != std::string_view::npos) {
    const bool differs = equals > 0 && whole[equals - 1] == '!';
    std::string_view value = whole.substr(equals + 1);
    if (value.starts_with('=')) value.remove_prefix(1);  // "==", as docker writes it
    label = whole.substr(0, differs ? equals - 1 : equals);
    constraint.op = differs ? Constraint::Op::kNotEquals : Constraint::Op::kEquals;
    constraint.values.emplace_back(Trimmed(value));
  } else if (const std::size_t in = whole.find(kIn); in != std::string_view::npos) {
    label = whole.substr(0, in);
    constraint.op = Constraint::Op::kIn;
    std::string_view list = whole.substr(in + kIn.size());
    while (true) {
      const std::size_t comma = list.find(',');
      constraint.values.emplace_back(Trimmed(list.substr(0, comma)));
      if (comma == std::string_view::npos) break;
      list.remove_prefix(comma + 1);
    }
  }
  constraint.label = std::string(Trimmed(label));
  auto good = CheckLabelKey(constraint.label, {});
  for (const std::string& value : constraint.values) {
    if (value.empty()) good = Fail(Code::kInvalid, "a value is missing");
  }
  if (!good) {
    return Fail(Code::kInvalid, Quoted(text) + " is no constraint (" + good.error().message +
                                    "); write label=value, label!=value, label in a,b or label");
  }
  return constraint;
}

std::string FormatConstraint(const Constraint& constraint) {
  std::string text = constraint.label;
  switch (constraint.op) {
    case Constraint::Op::kExists:
      return text;
    case Constraint::Op::kEquals:
      text += "=";
      break;
    case Constraint::Op::kNotEquals:
      text += "!=";
      break;
    case Constraint::Op::kIn:
      text += " in ";
      break;
  }
  // Of two equals signs one belongs to the operator.
  const bool equals = constraint.op != Constraint::Op::kIn && !constraint.values.empty();
  if (equals && constraint.values[0].starts_with('=')) text += '=';
  for (std::size_t i = 0; i < constraint.values.size(); ++i) {
    if (i > 0) text += ',';
    text += constraint.values[i];
  }
  return text;
}

Result<Affinity> ParseAffinity(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  std::int32_t weight = 0;
  bool good = colon != std::string_view::npos;
  if (good) {
    std::string_view digits = Trimmed(text.substr(colon + 1));
    if (digits.starts_with('+')) digits.remove_prefix(1);
    const char* end = digits.data() + digits.size();
    const auto [stop, failed] = std::from_chars(digits.data(), end, weight);
    good = failed == std::errc() && stop == end && weight != 0 && weight >= -kAffinityWeightMax &&
           weight <= kAffinityWeightMax;
  }
  if (!good) {
    return Fail(Code::kInvalid,
                Quoted(text) +
                    " is no affinity; write RULE:WEIGHT, as disk=ssd:50, with a weight "
                    "of 1 to 100 to attract or -100 to -1 to repel");
  }
  CUBE_TRY(Constraint rule, ParseConstraint(text.substr(0, colon)));
  return Affinity{std::move(rule), weight};
}

std::string FormatAffinity(const Affinity& affinity) {
  return FormatConstraint(affinity.rule) + ":" + std::to_string(affinity.weight);
}

}  // namespace cube::wire
