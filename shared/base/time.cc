#include "shared/base/time.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <limits>

namespace cube {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t nanos;
};
// Longest unit first: FormatDuration walks the table once.
constexpr std::array<Unit, 7> kUnits{{{"d", 86'400'000'000'000},
                                      {"h", 3'600'000'000'000},
                                      {"m", 60'000'000'000},
                                      {"s", 1'000'000'000},
                                      {"ms", 1'000'000},
                                      {"us", 1'000},
                                      {"ns", 1}}};

constexpr int kFractionDigitsMax = 9;

struct Civil {
  std::int64_t year;
  unsigned month;
  unsigned day;
};

// Days since 1970-01-01 of a proleptic Gregorian date, and back (std::chrono's own algorithms).
std::int64_t DaysFromCivil(const Civil& c) {
  const std::chrono::year_month_day ymd{std::chrono::year(static_cast<int>(c.year)),
                                        std::chrono::month(c.month), std::chrono::day(c.day)};
  return std::chrono::sys_days(ymd).time_since_epoch().count();
}

bool TakeNumber(std::string_view& text, std::size_t digits, std::int64_t& out) {
  if (text.size() < digits) return false;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
  }
  std::from_chars(text.data(), text.data() + digits, out);
  text.remove_prefix(digits);
  return true;
}

bool TakeChar(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

// As an error may show it: short, and without bytes that are no text.
std::string Shown(std::string_view text) {
  constexpr std::size_t kShown = 64;  // bytes
  std::string shown = "'" + std::string(text.substr(0, kShown));
  for (char& c : shown) c = c < ' ' || c > '~' ? '?' : c;
  return shown + (text.size() > kShown ? "...'" : "'");
}

std::unexpected<Error> BadTime(std::string_view text) {
  return Fail(Code::kInvalid,
              Shown(text) + " is not a time; write it as 2026-01-31T12:00:00Z (RFC 3339)");
}

std::unexpected<Error> BadDuration(std::string_view text) {
  return Fail(Code::kInvalid, Shown(text) +
                                  " is not a duration; write a number and a unit "
                                  "(ns, us, ms, s, m, h, d), for example 10s or 1h30m");
}

// The decimal digits after a point, as nanos of a unit; false if it is not a number.
bool TakeFraction(std::string_view& text, std::int64_t unit_nanos, std::int64_t& out) {
  std::int64_t scale = unit_nanos;
  std::size_t used = 0;
  out = 0;
  while (used < text.size() && text[used] >= '0' && text[used] <= '9') {
    if (used == kFractionDigitsMax) return false;
    scale /= 10;
    out += (text[used] - '0') * scale;
    ++used;
  }
  text.remove_prefix(used);
  return used > 0;
}

const Unit* TakeUnit(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && text[length] >= 'a' && text[length] <= 'z') ++length;
  const std::string_view name = text.substr(0, length);
  for (const Unit& unit : kUnits) {
    if (unit.name == name) {
      text.remove_prefix(length);
      return &unit;
    }
  }
  return nullptr;
}

}  // namespace

std::string FormatRfc3339(WallTime t) {
  if (!IsSet(t)) return {};
  constexpr std::int64_t kMilli = 1'000'000;
  constexpr std::int64_t kDayMillis = 86'400'000;
  std::int64_t millis = ToNanos(t) / kMilli;
  if (ToNanos(t) % kMilli < 0) --millis;
  std::int64_t days = millis / kDayMillis;
  std::int64_t rest = millis % kDayMillis;
  if (rest < 0) {
    rest += kDayMillis;
    --days;
  }
  const std::chrono::year_month_day ymd{
      std::chrono::sys_days(std::chrono::days(static_cast<int>(days)))};
  std::array<char, 64> buffer{};
  const int length =
      std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                    static_cast<int>(ymd.year()), static_cast<unsigned>(ymd.month()),
                    static_cast<unsigned>(ymd.day()), static_cast<int>(rest / 3'600'000),
                    static_cast<int>(rest / 60'000 % 60), static_cast<int>(rest / 1000 % 60),
                    static_cast<int>(rest % 1000));
  return {buffer.data(), static_cast<std::size_t>(length)};
}

Result<WallTime> ParseRfc3339(std::string_view text) {
  const std::string_view whole = text;
  std::int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  const bool shape = TakeNumber(text, 4, year) && TakeChar(text, '-') &&
                     TakeNumber(text, 2, month) && TakeChar(text, '-') &&
                     TakeNumber(text, 2, day) && (TakeChar(text, 'T') || TakeChar(text, 't')) &&
                     TakeNumber(text, 2, hour) && TakeChar(text, ':') &&
                     TakeNumber(text, 2, minute) && TakeChar(text, ':') &&
                     TakeNumber(text, 2, second);
  if (!shape) return BadTime(whole);
  const std::chrono::year_month_day ymd{std::chrono::year(static_cast<int>(year)),
                                        std::chrono::month(static_cast<unsigned>(month)),
                                        std::chrono::day(static_cast<unsigned>(day))};
  // Nanoseconds in 64 bits reach from 1678 to 2261.
  if (!ymd.ok() || year < 1700 || year > 2200 || hour > 23 || minute > 59 || second > 59) {
    return BadTime(whole);
  }
  std::int64_t fraction = 0;
  if (TakeChar(text, '.') && !TakeFraction(text, 1'000'000'000, fraction)) return BadTime(whole);
  std::int64_t offset_minutes = 0;
  if (!TakeChar(text, 'Z') && !TakeChar(text, 'z')) {
    const bool plus = TakeChar(text, '+');
    if (!plus && !TakeChar(text, '-')) return BadTime(whole);
    std::int64_t oh = 0, om = 0;
    if (!TakeNumber(text, 2, oh) || !TakeChar(text, ':') || !TakeNumber(text, 2, om) || oh > 23 ||
        om > 59) {
      return BadTime(whole);
    }
    offset_minutes = (plus ? 1 : -1) * (oh * 60 + om);
  }
  if (!text.empty()) return BadTime(whole);
  const std::int64_t days =
      DaysFromCivil({year, static_cast<unsigned>(month), static_cast<unsigned>(day)});
  const std::int64_t seconds =
      days * 86'400 + hour * 3600 + (minute - offset_minutes) * 60 + second;
  return WallFromNanos(seconds * 1'000'000'000 + fraction);
}

Result<Duration> ParseDuration(std::string_view text) {
  const std::string_view whole = text;
  if (text == "0") return Duration(0);
  if (text.empty()) return BadDuration(whole);
  std::int64_t total = 0;
  while (!text.empty()) {
    std::int64_t number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed != std::errc() || text.front() == '-') return BadDuration(whole);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    std::string_view digits;
    if (TakeChar(text, '.')) {
      digits = text;
      std::int64_t ignored = 0;
      if (!TakeFraction(text, 1'000'000'000, ignored)) return BadDuration(whole);
    }
    const Unit* unit = TakeUnit(text);
    if (unit == nullptr) return BadDuration(whole);
    std::int64_t fraction = 0;
    if (!digits.empty()) TakeFraction(digits, unit->nanos, fraction);
    std::int64_t part = 0;
    if (__builtin_mul_overflow(number, unit->nanos, &part) ||
        __builtin_add_overflow(part, fraction, &part) ||
        __builtin_add_overflow(total, part, &total)) {
      return BadDuration(whole);
    }
  }
  return Duration(total);
}

std::string FormatDuration(Duration d) {
  std::int64_t rest = d.count();
  if (rest == 0) return "0s";
  std::string out;
  for (const Unit& unit : kUnits) {
    const std::int64_t count = rest / unit.nanos;
    if (count == 0) continue;
    out += std::to_string(count);
    out += unit.name;
    rest -= count * unit.nanos;
  }
  return out;
}

}  // namespace cube
