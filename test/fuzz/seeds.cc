// fuzz_seeds TARGET FOLDER: writes a small corpus of valid inputs for a fuzz target.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "shared/wire/codec.h"
#include "shared/wire/human.h"
#include "test/support/wire/values.h"

namespace cube {
namespace {

constexpr std::uint64_t kSeeds = 32;

std::string Seed(const std::string& target, Random& random) {
  if (target == "decisions") return wire::EncodeDecisions(testing::RandomDecisions(random));
  if (target == "assign") return wire::EncodeAssign(testing::RandomAssign(random));
  if (target == "facts") {
    FactBatch batch = testing::RandomFacts(random);
    batch.node = NodeName::Trusted("node-a");
    return wire::EncodeFacts(batch);
  }
  if (target == "intents") {
    if (random.Below(5) == 0) return wire::EncodeSubmitJob(testing::RandomJob(random));
    if (random.Below(5) == 0) return wire::EncodeDrain(testing::RandomDrains(random));
    if (random.Below(3) == 0) return wire::EncodeStop(testing::RandomStops(random));
    if (random.Below(2) == 0) return wire::EncodeSubmit(testing::RandomSubmits(random));
  }
  const auto value = wire::SpecToHuman(testing::RandomSpec(random));
  return value.dump(random.Below(2) == 0 ? -1 : 2);
}

}  // namespace
}  // namespace cube

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: fuzz_seeds TARGET FOLDER\n";
    return 64;
  }
  const std::filesystem::path folder = argv[2];
  std::filesystem::create_directories(folder);
  for (std::uint64_t i = 0; i < cube::kSeeds; ++i) {
    cube::Random random(i);
    std::ofstream file(folder / ("seed" + std::to_string(i)), std::ios::binary);
    file << cube::Seed(argv[1], random);
    if (!file.flush()) {
      std::cerr << "fuzz_seeds: cannot write to " << folder << "\n";
      return 1;
    }
  }
  return 0;
}
