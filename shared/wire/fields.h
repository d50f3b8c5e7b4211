// Typed access to JSON values of the human form, with errors that say what was wanted and what was
// there. For this folder.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/time.h"

namespace cube::wire::internal {

// "a text", "a number", "a list", "a map", "true or false", "nothing".
[[nodiscard]] std::string_view KindOf(const nlohmann::json& value);
// "must be a list of texts, not a number".
[[nodiscard]] std::unexpected<Error> WrongKind(std::string_view wanted, const nlohmann::json& value,
                                               std::string field);

// A text as it is.
[[nodiscard]] Result<std::string> Text(const nlohmann::json& value, std::string_view field);
// A text, or the text of a number or of true and false.
[[nodiscard]] Result<std::string> Scalar(const nlohmann::json& value, const std::string& field);
[[nodiscard]] Result<std::int64_t> Integer(const nlohmann::json& value, std::string_view field,
                                           std::int64_t least, std::int64_t most);
// True or false.
[[nodiscard]] Result<bool> Flag(const nlohmann::json& value, std::string_view field);
// "10s", "1m30s".
[[nodiscard]] Result<Duration> DurationFromHuman(const nlohmann::json& value,
                                                 std::string_view field);
// A list of scalars.
[[nodiscard]] Result<std::vector<std::string>> Texts(const nlohmann::json& value,
                                                     std::string_view field);

// kInvalid: there is no field `name` here; names the one of `known` that was probably meant.
[[nodiscard]] std::unexpected<Error> UnknownField(std::string_view name, std::string_view path,
                                                  const std::vector<std::string_view>& known);

}  // namespace cube::wire::internal
