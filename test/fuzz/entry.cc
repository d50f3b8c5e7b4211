// The entry points that libFuzzer calls: `cube-fuzz TARGET [flags] [FOLDER...]`, and
// `cube-fuzz --targets`, `cube-fuzz --seeds FOLDER` (writes FOLDER/<target>/seed<n>).
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "test/fuzz/target.h"

namespace cube::fuzz {
namespace {

constexpr std::uint64_t kSeeds = 32;
// Children of libFuzzer (-jobs, -merge) get the flags without the target.
constexpr const char* kVariable = "CUBE_FUZZ_TARGET";

const Target* target = nullptr;

[[noreturn]] void ListTargets() {
  for (const Target& each : Targets()) std::cout << each.name << '\n';
  std::exit(0);
}

[[noreturn]] void WriteSeeds(const std::filesystem::path& folder) {
  for (const Target& each : Targets()) {
    std::filesystem::create_directories(folder / each.name);
    for (std::uint64_t i = 0; i < kSeeds; ++i) {
      Random random(i);
      std::ofstream file(folder / each.name / ("seed" + std::to_string(i)), std::ios::binary);
      file << each.seed(random);
      if (!file.flush()) {
        std::cerr << "cube-fuzz: cannot write to " << folder << '\n';
        std::exit(1);
      }
    }
  }
  std::exit(0);
}

}  // namespace
}  // namespace cube::fuzz

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  namespace fuzz = cube::fuzz;
  char** words = *argv;
  if (*argc >= 2 && std::string_view(words[1]) == "--targets") fuzz::ListTargets();
  if (*argc >= 3 && std::string_view(words[1]) == "--seeds") fuzz::WriteSeeds(words[2]);
  if (*argc >= 2 && fuzz::FindTarget(words[1]) != nullptr) {
    ::setenv(fuzz::kVariable, words[1], 1);
    words[1] = words[0];
    ++*argv;
    --*argc;
  }
  const char* name = std::getenv(fuzz::kVariable);
  fuzz::target = name == nullptr ? nullptr : fuzz::FindTarget(name);
  if (fuzz::target == nullptr) {
    std::cerr << "usage: cube-fuzz TARGET [libFuzzer's flags] [FOLDER...]; --targets lists them\n";
    std::exit(64);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  cube::fuzz::target->run({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
