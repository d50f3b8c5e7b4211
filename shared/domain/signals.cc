#include "shared/domain/signals.h"

#include <array>
#include <charconv>

#include "shared/base/check.h"

namespace cube {
namespace {

// signal(7); the index is the number.
constexpr std::array<std::string_view, 32> kNames{
    "",     "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1",
    "SEGV", "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN",
    "TTOU", "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "IO",   "PWR",  "SYS"};
// The C library keeps 32 and 33 for itself.
constexpr int kRealTimeMin = 34;
constexpr int kRealTimeMax = 64;
constexpr std::string_view kRealTimePrefix = "RTMIN+";
constexpr std::size_t kNameLengthMax = 16;  // longer than any

std::optional<int> Number(std::string_view digits) {
  int number = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (failed != std::errc() || end != digits.data() + digits.size() || number < 0) return {};
  return number;
}

}  // namespace

std::optional<int> ParseSignal(std::string_view text) {
  if (text.empty() || text.size() > kNameLengthMax) return std::nullopt;
  if (const auto number = Number(text)) {
    const bool known = (*number >= 1 && *number < static_cast<int>(kNames.size())) ||
                       (*number >= kRealTimeMin && *number <= kRealTimeMax);
    return known ? number : std::nullopt;
  }
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  std::string_view name = upper;
  if (name.starts_with("SIG")) name.remove_prefix(3);
  if (name.empty()) return std::nullopt;
  for (std::size_t i = 1; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<int>(i);
  }
  if (name == "RTMIN") return kRealTimeMin;
  if (name == "RTMAX") return kRealTimeMax;
  if (name.starts_with(kRealTimePrefix)) {
    const auto offset = Number(name.substr(kRealTimePrefix.size()));
    if (offset && *offset <= kRealTimeMax - kRealTimeMin) return kRealTimeMin + *offset;
  }
  return std::nullopt;
}

std::string SignalName(int number) {
  CUBE_CHECK(number >= 1 && number <= kRealTimeMax);
  if (number < static_cast<int>(kNames.size())) {
    return "SIG" + std::string(kNames[static_cast<std::size_t>(number)]);
  }
  if (number < kRealTimeMin) return "SIG" + std::to_string(number);
  return number == kRealTimeMin ? "SIGRTMIN" : "SIGRTMIN+" + std::to_string(number - kRealTimeMin);
}

}  // namespace cube
