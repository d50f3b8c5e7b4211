// The worker's laws under crashes at every operation, lost and doubled messages, an engine and a
// NATS that come and go, and lost stores: nothing is launched twice, nothing runs beside another
// launch of its task, nothing is touched while desired is unknown, and in the end what runs is what
// should. CUBE_SEED=N replays one seed, CUBE_SEEDS=N sets how many are tried.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "test/property/worker_world.h"

namespace cube::worker {
namespace {

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(WorkerProperty, ConvergesWithoutDoubleLaunches) {
  const std::uint64_t one = FromEnvironment("CUBE_SEED", 0);
  const std::uint64_t seeds = one != 0 ? 1 : FromEnvironment("CUBE_SEEDS", 200);
  std::uint64_t crashes = 0;
  std::uint64_t launches = 0;
  for (std::uint64_t i = 0; i < seeds; ++i) {
    const std::uint64_t seed = one != 0 ? one : i + 1;
    World world(seed);
    world.Misbehave(std::chrono::seconds(40));
    world.Settle(std::chrono::seconds(120));
    world.CheckSettled();
    world.StopAll();
    world.Settle(std::chrono::seconds(120));
    world.CheckEmpty();
    crashes += world.crashes();
    launches += world.launches();
    if (!world.faults().empty()) {
      for (const std::string& line : world.trace()) std::puts(line.c_str());
    }
    for (const std::string& fault : world.faults()) ADD_FAILURE() << fault;
    ASSERT_TRUE(world.faults().empty()) << "replay it with CUBE_SEED=" << seed;
  }
  // A world in which nothing happens would prove nothing.
  EXPECT_GT(crashes, seeds * 3);
  EXPECT_GT(launches, seeds * 3);
  RecordProperty("crashes", std::to_string(crashes));
  RecordProperty("launches", std::to_string(launches));
}

}  // namespace
}  // namespace cube::worker
