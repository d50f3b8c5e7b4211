// Intents in both forms: whatever comes, each item is a valid value or says why it is not.
#include "shared/base/check.h"
#include "shared/domain/validate.h"
#include "shared/wire/codec.h"
#include "test/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view payload = cube::fuzz::AsText(bytes, size);
  for (const char* subject :
       {"cube.tasks.submit", "cube.tasks.stop", "cube.nodes.cordon", "cube.nodes.uncordon",
        "cube.nodes.drain", "cube.jobs.submit", "cube.jobs.stop", "cube.jobs.scale"}) {
    const cube::IntentBatch batch = cube::wire::DecodeIntents(subject, {}, payload);
    CUBE_CHECK(!batch.items.empty());
    for (const cube::IntentItem& item : batch.items) {
      if (const auto* submit = std::get_if<cube::SubmitTask>(&item)) {
        CUBE_CHECK(cube::Validate(*submit->spec).has_value());
      }
      if (const auto* invalid = std::get_if<cube::InvalidItem>(&item)) {
        CUBE_CHECK(!invalid->error.message.empty());
      }
    }
  }
  return 0;
}
