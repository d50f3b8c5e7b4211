// A store is a map: whatever the batches, and however often it is closed, opened or grown.
#include <gtest/gtest.h>

#include "test/support/store/lmdb_bench.h"
#include "test/support/temp_dir.h"

namespace cube::store {
namespace {

constexpr std::uint64_t kSeeds = 60;
constexpr int kCommits = 80;

void ExpectSameReads(const Store& store, const Store& model, Random& random) {
  for (int i = 0; i < 5; ++i) {
    const auto table = static_cast<TableId>(random.Below(3));
    const std::string key = "key-" + std::to_string(random.Below(300));
    ASSERT_EQ(store.Get(table, key), model.Get(table, key)) << key;
    std::vector<std::string> expected;
    std::vector<std::string> seen;
    const std::size_t wanted = random.Below(20);
    const auto into = [wanted](std::vector<std::string>& keys) {
      return [&keys, wanted](std::string_view found, std::string_view) {
        keys.emplace_back(found);
        return keys.size() < wanted;
      };
    };
    ASSERT_TRUE(model.Scan(table, key, into(expected)));
    ASSERT_TRUE(store.Scan(table, key, into(seen)));
    ASSERT_EQ(seen, expected) << "from " << key;
  }
}

class StoreProperty : public testing::TestWithParam<Durability> {};

TEST_P(StoreProperty, IsAMap) {
  // Syncing is what takes long; the logic is the same.
  const std::uint64_t seeds = GetParam() == Durability::kFull ? kSeeds / 10 : kSeeds;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const test::TempDir dir(test::FastTempParent());
    const LmdbOptions options{.durability = GetParam(), .map_bytes_start = 128u << 10};
    MemoryStore model(TestSchema());
    auto opened = MustOpen(dir.File("view"), options);
    for (int commit = 0; commit < kCommits; ++commit) {
      const WriteBatch batch = RandomBatch(random);
      ASSERT_TRUE(model.Commit(batch));
      const auto committed = opened.store->Commit(batch);
      ASSERT_TRUE(committed) << committed.error().message;
      ExpectSameReads(*opened.store, model, random);
      if (HasFatalFailure()) return;
      if (!random.Chance(100'000)) continue;
      opened.store.reset();
      opened = MustOpen(dir.File("view"), options);
      ASSERT_EQ(opened.opening.reason, "");
    }
    ASSERT_EQ(ContentsOf(*opened.store), model.contents());
  }
}

INSTANTIATE_TEST_SUITE_P(Lmdb, StoreProperty,
                         testing::Values(Durability::kFull, Durability::kRelaxed),
                         [](const auto& kind) {
                           return kind.param == Durability::kFull ? "Full" : "Relaxed";
                         });

}  // namespace
}  // namespace cube::store
