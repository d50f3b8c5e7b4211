#include "shared/domain/ids.h"

#include "shared/base/base32.h"
#include "shared/domain/rules.h"

namespace cube {
namespace {
bool IsAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
}  // namespace

Result<void> CheckToken(std::string_view text, std::string_view field, std::size_t length_max) {
  if (text.empty()) {
    return Fail(Code::kInvalid, "is required", std::string(field));
  }
  if (text.size() > length_max) {
    return Fail(Code::kInvalid,
                "has " + std::to_string(text.size()) + " characters; at most " +
                    std::to_string(length_max) + " are allowed",
                std::string(field));
  }
  bool good = IsAlphanumeric(text.front()) && IsAlphanumeric(text.back());
  for (char c : text) good = good && (IsAlphanumeric(c) || c == '-');
  if (!good) {
    return Fail(Code::kInvalid,
                "may hold only lower-case letters, digits and '-', and neither starts nor ends "
                "with '-'",
                std::string(field));
  }
  return {};
}

TaskId GeneratedTaskId(const TaskName& name, TaskNumber number) {
  const std::string index = "-" + Base32Short(number.index);
  const std::string id = name.str() + "-" + Base32Short(number.intent) + index;
  if (!IsJobTaskId(id)) return TaskId::Trusted(id);
  // "web-v2-2" is the job's task: here the intent has more digits than a version can have.
  constexpr int kDigits = 13;
  return TaskId::Trusted(name.str() + "-" + Base32(number.intent, kDigits) + index);
}

}  // namespace cube
