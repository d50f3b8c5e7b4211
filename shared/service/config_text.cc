#include "shared/service/config_text.h"

#include <fmt/format.h>

#include <algorithm>

// The library's own code is compiled here only: results instead of exceptions are a choice of the
// whole program, and nothing has to be linked.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace cube::service {
namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kNameCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

int LineOf(const toml::source_region& source) { return static_cast<int>(source.begin.line); }

std::unexpected<Error> Bad(int line, std::string message) {
  return Fail(Code::kInvalid, std::move(message), "line " + std::to_string(line));
}

// The name that line `number` gives a value to; empty if there is none.
std::string_view NameIn(std::string_view text, int number) {
  for (; number > 1 && text.contains('\n'); --number) text.remove_prefix(text.find('\n') + 1);
  text = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  const std::string_view name =
      text.substr(0, std::min(text.find_first_not_of(kNameCharacters), text.size()));
  text.remove_prefix(name.size());
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.starts_with('=') ? name : std::string_view();
}

// The library says what it was reading, what it expected and what it saw.
std::unexpected<Error> NotToml(std::string_view text, const toml::parse_error& error) {
  constexpr std::string_view kPrefix = "Error while parsing ";
  std::string_view what = error.description();
  if (what.starts_with(kPrefix)) what.remove_prefix(kPrefix.size());
  const int line = LineOf(error.source());
  const std::string_view name = NameIn(text, line);
  if (name.empty()) {
    return Bad(line, fmt::format("is not TOML ({}): every line is name = value", what));
  }
  return Bad(line, fmt::format("'{}' is not TOML ({}): write each name once, and a text in quotes",
                               name, what));
}

// As it stands on a command line.
Result<std::string> ValueOf(const toml::node& node, std::string_view name) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* flag = node.as_boolean()) return std::string(flag->get() ? "true" : "false");
  const std::string_view what = node.is_array()   ? "a list in a list"
                                : node.is_table() ? "a section"
                                                  : "a date";
  return Bad(LineOf(node.source()),
             fmt::format("a value of '{0}' is {1}: give a text, {0} = \"...\"", name, what));
}

Result<ConfigEntry> EntryOf(const toml::key& key, const toml::node& node) {
  ConfigEntry entry{std::string(key.str()), {}, LineOf(key.source())};
  if (node.is_table() || node.is_array_of_tables()) {
    return Bad(entry.line, fmt::format("'{}' is a section: there are none here, every line is "
                                       "name = value",
                                       entry.name));
  }
  if (const auto* list = node.as_array()) {
    for (const toml::node& element : *list) {
      CUBE_TRY(std::string value, ValueOf(element, entry.name));
      entry.values.push_back(std::move(value));
    }
    return entry;
  }
  CUBE_TRY(std::string value, ValueOf(node, entry.name));
  entry.values.push_back(std::move(value));
  return entry;
}

}  // namespace

Result<std::vector<ConfigEntry>> ParseConfig(std::string_view text) {
  if (text.size() > kConfigBytesMax) {
    return Bad(1, fmt::format("the file has {} bytes, more than {}: is it one with flags?",
                              text.size(), kConfigBytesMax));
  }
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) return NotToml(text, parsed.error());
  std::vector<ConfigEntry> entries;
  for (const auto& [key, node] : parsed.table()) {
    CUBE_TRY(ConfigEntry entry, EntryOf(key, node));
    entries.push_back(std::move(entry));
  }
  // The library has them by name.
  std::ranges::stable_sort(entries, {}, &ConfigEntry::line);
  return entries;
}

}  // namespace cube::service
