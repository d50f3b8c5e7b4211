// Log lines: stderr, one line each, RFC 3339 UTC with milliseconds, text or JSON. Any thread.
//
//   Log(Level::kInfo, "task started", {{"task", id.text()}, {"attempt", 2}});
//   2026-01-31T12:00:00.123Z info task started task=web-1 attempt=2
//   {"time":"2026-01-31T12:00:00.123Z","level":"info","msg":"task started","task":"web-1",...}
//
// The message is a constant phrase; what varies goes into fields, so that lines can be counted.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "shared/base/error.h"

namespace cube::logging {

enum class Level : std::uint8_t { kTrace, kDebug, kInfo, kWarning, kError };
enum class Format : std::uint8_t { kText, kJson };

// "trace", "debug", "info", "warning" (or "warn"), "error"; "text", "json". Else kInvalid.
[[nodiscard]] Result<Level> ParseLevel(std::string_view text);
[[nodiscard]] Result<Format> ParseFormat(std::string_view text);

struct Options {
  Format format = Format::kText;
  Level level = Level::kInfo;  // lines below it are dropped
};
// May be called again. Until then the defaults hold.
void Configure(const Options& options);

// A name and a value of a line; only views, which must live until Log returns. Keys are short
// words of [a-z0-9_], not "time", "level" or "msg".
class Field {
 public:
  using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, bool>;

  Field(std::string_view key, std::string_view value) : key_(key), value_(value) {}
  Field(std::string_view key, const char* value) : key_(key), value_(std::string_view(value)) {}
  Field(std::string_view key, const std::string& value)
      : key_(key), value_(std::string_view(value)) {}
  Field(std::string_view key, bool value) : key_(key), value_(value) {}
  template <std::signed_integral T>
  Field(std::string_view key, T value) : key_(key), value_(static_cast<std::int64_t>(value)) {}
  template <std::unsigned_integral T>
  Field(std::string_view key, T value) : key_(key), value_(static_cast<std::uint64_t>(value)) {}

  [[nodiscard]] std::string_view key() const { return key_; }
  [[nodiscard]] const Value& value() const { return value_; }

 private:
  std::string_view key_;
  Value value_;
};

// True if a line of this level would be written: for fields that are costly to compute.
[[nodiscard]] bool Enabled(Level level);

void Log(Level level, std::string_view message, std::initializer_list<Field> fields = {});
// The same with the error's code, text and field path behind the given fields.
void LogError(Level level, std::string_view message, const Error& error,
              std::initializer_list<Field> fields = {});

}  // namespace cube::logging
