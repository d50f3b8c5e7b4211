#include "services/cli/render/format.h"

#include <yaml-cpp/yaml.h>

#include <charconv>

#include "shared/base/time.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;

// Would a YAML reader take this text for something else than text?
bool NeedsQuotes(const std::string& text) {
  if (text.empty()) return true;
  try {
    const YAML::Node node = YAML::Load(text);
    if (!node.IsScalar() || node.Scalar() != text) return true;
  } catch (const YAML::Exception&) {
    return true;
  }
  static const std::set<std::string, std::less<>> kWords = {
      "null",  "Null", "NULL", "~",   "true", "True", "TRUE", "false", "False",
      "FALSE", "yes",  "Yes",  "YES", "no",   "No",   "NO",   "on",    "On",
      "ON",    "off",  "Off",  "OFF", "y",    "Y",    "n",    "N"};
  if (kWords.contains(text)) return true;
  const char first = text.front();
  return (first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.';
}

void EmitYaml(YAML::Emitter& out, const Json& value) {
  if (value.is_object()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, member] : value.items()) {
      out << YAML::Key << key << YAML::Value;
      EmitYaml(out, member);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const auto& element : value) EmitYaml(out, element);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (NeedsQuotes(text)) out << YAML::DoubleQuoted;
    out << text;
  } else if (value.is_null()) {
    out << YAML::Null;
  } else {
    out << YAML::Auto << value.dump();  // numbers and booleans are written alike in both
  }
}

}  // namespace

std::vector<FlagSpec> ShowFlags() {
  return {{.name = "output",
           .letter = 'o',
           .value = "FORMAT",
           .help = "table, wide, json, yaml or name",
           .fallback = "table",
           .choices = {"table", "wide", "json", "yaml", "name"}},
          {.name = "no-headers", .help = "tables without the line of titles"},
          {.name = "no-trunc", .help = "tables as wide as they need, beyond the terminal"}};
}

std::vector<FlagSpec> ReadFlags() {
  auto flags = ShowFlags();
  flags.insert(flags.begin() + 1, {.name = "quiet", .letter = 'q', .help = "ids only"});
  return flags;
}

Format FormatOf(const Args& args) {
  const std::string name = args.Text("output");
  if (args.Has("quiet") || name == "name") return Format::kName;
  if (name == "wide") return Format::kWide;
  if (name == "json") return Format::kJson;
  if (name == "yaml") return Format::kYaml;
  return Format::kTable;
}

TableLayout LayoutOf(const Args& args, const Terminal& terminal) {
  return {.width = args.Has("no-trunc") ? 0 : terminal.width,
          .headers = !args.Has("no-headers"),
          .color = terminal.color};
}

std::string ToJsonText(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string ToJsonLine(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string ToYamlText(const Json& value) {
  // Through JSON text once, so that what is not UTF-8 is replaced the same way.
  const Json clean = Json::parse(value.dump(-1, ' ', false, Json::error_handler_t::replace));
  YAML::Emitter out;
  EmitYaml(out, clean);
  return std::string(out.c_str()) + "\n";
}

Json TimeJson(std::int64_t nanos) {
  if (nanos == 0) return nullptr;
  return FormatRfc3339(WallFromNanos(nanos));
}

}  // namespace cube::cli
