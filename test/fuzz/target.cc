#include "test/fuzz/target.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "shared/base/check.h"
#include "shared/domain/text.h"
#include "test/fuzz/framed.h"

namespace cube::fuzz {
namespace {

// An error repeats at most some short parts of its input.
constexpr std::size_t kErrorBytesMax = 8192;

std::vector<Target>& Registered() {
  static std::vector<Target> targets;
  return targets;
}

}  // namespace

const std::vector<Target>& Targets() {
  std::ranges::sort(Registered(), {},
                    [](const Target& target) -> std::string_view { return target.name; });
  return Registered();
}

const Target* FindTarget(std::string_view name) {
  const auto& all = Targets();
  const auto found =
      std::ranges::find_if(all, [&](const Target& target) { return target.name == name; });
  return found == all.end() ? nullptr : &*found;
}

Registration::Registration(Target target) { Registered().push_back(target); }

void CheckError(const Error& error) {
  CUBE_CHECK(!error.message.empty());
  CUBE_CHECK(error.Text().size() <= kErrorBytesMax);
  CUBE_CHECK(IsUtf8(error.Text()));
}

std::vector<std::string_view> Parts(std::string_view bytes, std::size_t count) {
  std::vector<std::string_view> parts;
  while (parts.size() + 1 < count) {
    const std::size_t end = std::min(bytes.find('\0'), bytes.size());
    parts.push_back(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  parts.push_back(bytes);
  return parts;
}

std::vector<Framed> Unframed(std::string_view input) {
  constexpr std::size_t kHead = 3;
  std::vector<Framed> messages;
  while (input.size() >= kHead && messages.size() < kFramedMax) {
    const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(input[at]); };
    const std::uint8_t kind = byte(0);
    const std::size_t size = byte(1) | std::size_t{byte(2)} << 8;
    input.remove_prefix(kHead);
    messages.push_back({kind, input.substr(0, size)});
    input.remove_prefix(std::min(size, input.size()));
  }
  return messages;
}

void Frame(std::uint8_t kind, std::string_view bytes, std::string& input) {
  input += static_cast<char>(kind);
  input += static_cast<char>(bytes.size() & 0xff);
  input += static_cast<char>(bytes.size() >> 8);
  input += bytes;
}

void LawBroken(const char* law) {
  std::fprintf(stderr, "this law does not hold: %s\n", law);
  std::abort();
}

}  // namespace cube::fuzz
