// Spec files: a task that is read from YAML or JSON prints in the human form and is read back.
#include "shared/base/check.h"
#include "shared/wire/human.h"
#include "test/fuzz/fuzz.h"

namespace {

void ReadTask(const nlohmann::json& value) {
  const auto task = cube::wire::TaskFromHuman(value);
  if (!task) return;
  const auto printed = cube::wire::ParseJson(cube::wire::SpecToHuman(*task->spec).dump());
  CUBE_CHECK(printed.has_value());
  const auto again = cube::wire::TaskFromHuman(*printed);
  CUBE_CHECK(again.has_value() && *again->spec == *task->spec);
}

void ReadDocument(const nlohmann::json& value) {
  if (!value.is_array()) return ReadTask(value);
  for (const nlohmann::json& element : value) ReadTask(element);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text = cube::fuzz::AsText(bytes, size);
  if (const auto yaml = cube::wire::ParseYaml(text)) ReadDocument(*yaml);
  if (const auto json = cube::wire::ParseJson(text)) ReadDocument(*json);
  return 0;
}
