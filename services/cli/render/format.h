// The output formats that every read has in common: -o table|wide|json|yaml|name.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/cli/args.h"
#include "services/cli/render/table.h"
#include "services/cli/terminal.h"

namespace cube::cli {

enum class Format : std::uint8_t { kTable, kWide, kJson, kYaml, kName };

// -o, -q, --no-headers, --no-trunc.
[[nodiscard]] std::vector<FlagSpec> ReadFlags();
// The same without -q, for what has no ids.
[[nodiscard]] std::vector<FlagSpec> ShowFlags();
// -q is -o name.
[[nodiscard]] Format FormatOf(const Args& args);
[[nodiscard]] TableLayout LayoutOf(const Args& args, const Terminal& terminal);

// Two spaces of indentation, a line end at the end. Invalid UTF-8 becomes U+FFFD.
[[nodiscard]] std::string ToJsonText(const nlohmann::ordered_json& value);
// On one line, a line end at the end.
[[nodiscard]] std::string ToJsonLine(const nlohmann::ordered_json& value);
[[nodiscard]] std::string ToYamlText(const nlohmann::ordered_json& value);

// RFC 3339 UTC, or null where it is unset.
[[nodiscard]] nlohmann::ordered_json TimeJson(std::int64_t nanos);

}  // namespace cube::cli
