// Live copies: what is accepted encodes again, to the same bytes each time.
#include "shared/base/check.h"
#include "shared/wire/codec.h"
#include "test/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  namespace wire = cube::wire;
  const auto batch = wire::DecodeAssign(cube::fuzz::AsText(bytes, size));
  if (!batch) return 0;
  const std::string once = wire::EncodeAssign(*batch);
  const auto again = wire::DecodeAssign(once);
  CUBE_CHECK(again.has_value());
  CUBE_CHECK(wire::EncodeAssign(*again) == once);
  return 0;
}
