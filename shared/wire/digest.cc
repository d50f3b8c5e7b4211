#include "shared/wire/digest.h"

#include <algorithm>

#include "shared/wire/convert.h"
#include "shared/wire/internal.h"

namespace cube::wire {

// FNV-1a, then the finalizer of splitmix64: sums of digests use all bits.
std::uint64_t Digest64(std::string_view bytes, std::uint64_t before) {
  std::uint64_t x = before ^ 0xcbf29ce484222325ULL;
  for (const char c : bytes) x = (x ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  x ^= bytes.size();
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

std::uint64_t SpecDigest(const TaskSpec& spec) {
  v1::TaskSpec message;
  ToProto(spec, message);
  return std::max<std::uint64_t>(Digest64(internal::Serialize(message)), 1);
}

}  // namespace cube::wire
