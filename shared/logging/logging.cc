#include "shared/logging/logging.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <nlohmann/json.hpp>

namespace cube::logging {
namespace {

constexpr const char* kTextPattern = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
// %v is the rest of the object, from "msg" on.
constexpr const char* kJsonPattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

struct Sink {
  spdlog::logger logger{"", std::make_shared<spdlog::sinks::stderr_sink_mt>()};
  std::atomic<Format> format{Format::kText};
};

void SetPattern(Sink& sink, Format format) {
  sink.logger.set_formatter(std::make_unique<spdlog::pattern_formatter>(
      format == Format::kJson ? kJsonPattern : kTextPattern, spdlog::pattern_time_type::utc));
  sink.format.store(format, std::memory_order_relaxed);
}

// The process's one sink. Never destroyed: threads may log while the process ends.
Sink& TheSink() {
  static Sink& sink = []() -> Sink& {
    auto* made = new Sink;
    SetPattern(*made, Format::kText);
    return *made;
  }();
  return sink;
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kTrace:
      return spdlog::level::trace;
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

// A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
std::string Quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// A control character would break the line or drive the reader's terminal.
bool NeedsQuotes(std::string_view text) {
  if (text.empty()) return true;
  for (const char c : text) {
    if (IsControl(c) || c == ' ' || c == '"' || c == '=' || static_cast<unsigned char>(c) >= 0x80) {
      return true;
    }
  }
  return false;
}

std::string OneLine(std::string_view text) {
  for (const char c : text) {
    if (!IsControl(c)) continue;
    const std::string quoted = Quoted(text);
    return quoted.substr(1, quoted.size() - 2);
  }
  return std::string(text);
}

// DEL passes JSON unescaped, but a terminal acts on it.
std::string TextValue(std::string_view text) {
  if (!NeedsQuotes(text)) return std::string(text);
  std::string quoted = Quoted(text);
  std::erase(quoted, '\x7f');
  return quoted;
}

std::string Rendered(const Field::Value& value, Format format) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    return format == Format::kJson ? Quoted(*text) : TextValue(*text);
  }
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* number = std::get_if<std::uint64_t>(&value)) return std::to_string(*number);
  return std::get<bool>(value) ? "true" : "false";
}

std::string Line(Format format, std::string_view message, std::span<const Field> fields) {
  const bool json = format == Format::kJson;
  std::string line = json ? "\"msg\":" + Quoted(message) : OneLine(message);
  for (const Field& field : fields) {
    line += json ? "," + Quoted(field.key()) + ":" : " " + std::string(field.key()) + "=";
    line += Rendered(field.value(), format);
  }
  return line;
}

void Write(Level level, std::string_view message, std::span<const Field> fields) {
  Sink& sink = TheSink();
  // A string argument, never a format string: a message may contain braces.
  sink.logger.log(
      ToSpdlog(level),
      spdlog::string_view_t(Line(sink.format.load(std::memory_order_relaxed), message, fields)));
}

}  // namespace

Result<Level> ParseLevel(std::string_view text) {
  if (text == "trace") return Level::kTrace;
  if (text == "debug") return Level::kDebug;
  if (text == "info") return Level::kInfo;
  if (text == "warning" || text == "warn") return Level::kWarning;
  if (text == "error") return Level::kError;
  return Fail(Code::kInvalid, "'" + std::string(text) +
                                  "' is not a log level; use trace, debug, info, warning or error");
}

Result<Format> ParseFormat(std::string_view text) {
  if (text == "text") return Format::kText;
  if (text == "json") return Format::kJson;
  return Fail(Code::kInvalid, "'" + std::string(text) + "' is not a log format; use text or json");
}

void Configure(const Options& options) {
  Sink& sink = TheSink();
  SetPattern(sink, options.format);
  sink.logger.set_level(ToSpdlog(options.level));
}

bool Enabled(Level level) { return TheSink().logger.should_log(ToSpdlog(level)); }

void Log(Level level, std::string_view message, std::initializer_list<Field> fields) {
  if (!Enabled(level)) return;
  Write(level, message, std::span(fields.begin(), fields.size()));
}

void LogError(Level level, std::string_view message, const Error& error,
              std::initializer_list<Field> fields) {
  if (!Enabled(level)) return;
  std::vector<Field> all(fields);
  all.emplace_back("code", CodeName(error.code));
  all.emplace_back("error", error.message);
  if (!error.field.empty()) all.emplace_back("field", error.field);
  Write(level, message, all);
}

}  // namespace cube::logging
