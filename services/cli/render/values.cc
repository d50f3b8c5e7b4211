#include "services/cli/render/values.h"

#include <fmt/format.h>

#include <array>

namespace cube::cli {
namespace {

constexpr std::int64_t kMinute = 60;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
// Below twice a unit the smaller one says more: "90s", not "1m".
constexpr std::int64_t kUnitsMin = 2;

constexpr int kGreen = 32;
constexpr int kYellow = 33;
constexpr int kRed = 31;
constexpr int kGrey = 90;

// One decimal, none if it is zero.
std::string OneDecimal(double value) {
  std::string text = fmt::format("{:.1f}", value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

}  // namespace

std::string FormatSpan(Duration span) {
  const std::int64_t s = std::chrono::duration_cast<std::chrono::seconds>(span).count();
  if (s < kUnitsMin * kMinute) return fmt::format("{}s", s < 0 ? 0 : s);
  if (s < kUnitsMin * kHour) return fmt::format("{}m", s / kMinute);
  if (s < kUnitsMin * kDay) return fmt::format("{}h", s / kHour);
  return fmt::format("{}d", s / kDay);
}

std::string FormatAge(WallTime time, WallTime now) {
  if (!IsSet(time)) return "-";
  if (now - time < std::chrono::seconds(1)) return "just now";
  return FormatSpan(now - time) + " ago";
}

std::string FormatCpus(std::int64_t millis) {
  std::string text = fmt::format("{}.{:03}", millis / 1000, millis % 1000);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string CpusText(std::int64_t millis) {
  return FormatCpus(millis) + (millis == 1000 ? " cpu" : " cpus");
}

std::string FormatMebibytes(std::int64_t bytes) { return std::to_string(bytes >> 20); }

std::string FormatGibibytes(std::int64_t bytes) {
  return OneDecimal(static_cast<double>(bytes) / static_cast<double>(std::int64_t{1} << 30));
}

std::string FormatSize(std::int64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{} {}", OneDecimal(value), kUnits[unit]);
}

int StatusColor(std::string_view status) {
  if (status == "running" || status == "ready") return kGreen;
  if (status == "failed" || status == "lost" || status == "refused" || status == "down" ||
      status == "unhealthy") {
    return kRed;
  }
  if (status == "completed" || status == "stopped") return kGrey;
  return kYellow;
}

}  // namespace cube::cli
