#include "shared/wire/fields.h"

#include <algorithm>
#include <array>

#include "shared/domain/rules.h"
#include "shared/domain/text.h"

namespace cube::wire::internal {
namespace {

// What users of other tools write.
struct Synonym {
  std::string_view name;
  std::string_view meant;
};
constexpr std::array<Synonym, 15> kSynonyms{{{"args", "command"},
                                             {"cmd", "command"},
                                             {"environment", "env"},
                                             {"cpu", "cpus"},
                                             {"mem", "memory"},
                                             {"mem_limit", "memory"},
                                             {"working_dir", "workdir"},
                                             {"cwd", "workdir"},
                                             {"restart_policy", "restart"},
                                             {"grace", "stop_grace"},
                                             {"stop_grace_period", "stop_grace"},
                                             {"pull_policy", "pull"},
                                             {"containerPort", "port"},
                                             {"target", "port"},
                                             {"published", "host_port"}}};

// Edits (one character added, left out or replaced) between two short names.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

std::string_view Meant(std::string_view name, const std::vector<std::string_view>& known) {
  const auto is_known = [&](std::string_view candidate) {
    return std::find(known.begin(), known.end(), candidate) != known.end();
  };
  for (const Synonym& synonym : kSynonyms) {
    if (synonym.name == name && is_known(synonym.meant)) return synonym.meant;
  }
  std::string_view best;
  std::size_t best_distance = 3;  // more than two slips is another word
  for (std::string_view candidate : known) {
    const std::size_t distance = Distance(name, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace

std::string_view KindOf(const nlohmann::json& value) {
  if (value.is_string()) return "a text";
  if (value.is_number()) return "a number";
  if (value.is_boolean()) return "true or false";
  if (value.is_array()) return "a list";
  if (value.is_object()) return "a map";
  return "nothing";
}

std::unexpected<Error> WrongKind(std::string_view wanted, const nlohmann::json& value,
                                 std::string field) {
  return Fail(Code::kInvalid,
              "must be " + std::string(wanted) + ", not " + std::string(KindOf(value)),
              std::move(field));
}

Result<std::string> Text(const nlohmann::json& value, std::string_view field) {
  if (!value.is_string()) return WrongKind("a text", value, std::string(field));
  return value.get<std::string>();
}

Result<std::string> Scalar(const nlohmann::json& value, const std::string& field) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  if (value.is_null()) {
    return Fail(Code::kInvalid, "has no value; write \"\" for an empty one", field);
  }
  return WrongKind("a text", value, field);
}

Result<bool> Flag(const nlohmann::json& value, std::string_view field) {
  if (!value.is_boolean()) return WrongKind("true or false", value, std::string(field));
  return value.get<bool>();
}

Result<std::int64_t> Integer(const nlohmann::json& value, std::string_view field,
                             std::int64_t least, std::int64_t most) {
  const std::string wanted =
      "a whole number, " + std::to_string(least) + " to " + std::to_string(most);
  if (!value.is_number_integer()) return WrongKind(wanted, value, std::string(field));
  const bool too_large =
      value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(most);
  const std::int64_t number = too_large ? 0 : value.get<std::int64_t>();
  if (too_large || number < least || number > most) {
    return Fail(Code::kInvalid, "must be " + wanted, std::string(field));
  }
  return number;
}

Result<Duration> DurationFromHuman(const nlohmann::json& value, std::string_view field) {
  if (!value.is_string()) return WrongKind("a duration such as \"10s\"", value, std::string(field));
  auto duration = ParseDuration(value.get_ref<const std::string&>());
  if (duration) return *duration;
  Error error = std::move(duration).error();
  error.field = field;
  return std::unexpected(std::move(error));
}

Result<std::vector<std::string>> Texts(const nlohmann::json& value, std::string_view field) {
  if (!value.is_array()) return WrongKind("a list of texts", value, std::string(field));
  std::vector<std::string> texts;
  texts.reserve(value.size());
  for (const nlohmann::json& element : value) {
    const std::string path = std::string(field) + "[" + std::to_string(texts.size()) + "]";
    CUBE_TRY(std::string text, Scalar(element, path));
    texts.push_back(std::move(text));
  }
  return texts;
}

std::unexpected<Error> UnknownField(std::string_view name, std::string_view path,
                                    const std::vector<std::string_view>& known) {
  std::string field(path);
  if (!field.empty()) field += '.';
  field += CleanText(name, kQuotedLengthMax);
  std::string message = "is no field";
  const std::string_view meant = name.size() <= kQuotedLengthMax ? Meant(name, known) : "";
  if (!meant.empty()) {
    message += "; did you mean '" + std::string(meant) + "'?";
  } else {
    message += "; there are";
    for (std::size_t i = 0; i < known.size(); ++i) {
      message += (i == 0 ? " " : ", ") + std::string(known[i]);
    }
  }
  return Fail(Code::kInvalid, std::move(message), std::move(field));
}

}  // namespace cube::wire::internal
