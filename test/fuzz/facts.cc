// Facts: what is accepted encodes again, to the same value.
#include "shared/base/check.h"
#include "shared/wire/codec.h"
#include "test/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  namespace wire = cube::wire;
  constexpr std::string_view kNode = "node-a";  // the seeds' node
  const auto batch = wire::DecodeFacts(kNode, cube::fuzz::AsText(bytes, size));
  if (!batch) return 0;
  const auto again = wire::DecodeFacts(kNode, wire::EncodeFacts(*batch));
  CUBE_CHECK(again.has_value() && *again == *batch);
  return 0;
}
