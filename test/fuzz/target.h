// Fuzz targets: what reads bytes from outside, each with valid inputs to begin from and a law. The
// same targets run under libFuzzer (entry.cc) and, from their seeds, in every test run
// (fuzz_test.cc).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/random.h"

namespace cube::fuzz {

struct Target {
  const char* name;
  std::string (*seed)(Random& random);  // a valid input; the same for the same numbers
  void (*run)(std::string_view bytes);  // ends the process by CUBE_CHECK where a law is broken
};

// All that are linked into this program, by name.
[[nodiscard]] const std::vector<Target>& Targets();
[[nodiscard]] const Target* FindTarget(std::string_view name);

struct Registration {
  explicit Registration(Target target);
};

// CUBE_FUZZ_TARGET(name, seed, run), in namespace cube::fuzz; functions without captures.
#define CUBE_FUZZ_TARGET(name, ...) const Registration registration_##name({#name, __VA_ARGS__})

// ---- laws that many targets share -------------------------------------------------------------

// An error says something, in valid UTF-8, of bounded length.
void CheckError(const Error& error);

// What is accepted encodes again, and that is read as the same: to the same bytes each time.
template <class Decode, class Encode>
void CheckRoundTrip(std::string_view bytes, Decode decode, Encode encode);

// Inputs that hold several texts: cut at NUL bytes, `count` parts, the last takes what is left.
[[nodiscard]] std::vector<std::string_view> Parts(std::string_view bytes, std::size_t count);

// ---- inline -----------------------------------------------------------------------------------

[[noreturn]] void LawBroken(const char* law);

template <class Decode, class Encode>
void CheckRoundTrip(std::string_view bytes, Decode decode, Encode encode) {
  const auto value = decode(bytes);
  if (!value) return CheckError(value.error());
  const std::string once = encode(*value);
  const auto again = decode(std::string_view(once));
  if (!again) LawBroken("what was accepted and encoded is accepted");
  if (encode(*again) != once) LawBroken("it encodes to the same bytes");
}

}  // namespace cube::fuzz
