// A scan gives what the store held at its instant, whatever is committed while it goes on.
#include "shared/store/frozen_scan.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shared/base/random.h"
#include "shared/store/memory_store.h"

namespace cube::store {
namespace {

constexpr std::size_t kTables = 3;

std::vector<Row> RowsOf(const MemoryStore& store) {
  std::vector<Row> rows;
  for (TableId table = 0; table < kTables; ++table) {
    for (const auto& [key, value] : store.contents()[table]) rows.push_back({table, key, value});
  }
  return rows;
}

class FrozenScanTest : public testing::Test {
 protected:
  void Put(TableId table, const std::string& key, const std::string& value) {
    WriteBatch batch;
    batch.Put(table, key, value);
    ASSERT_TRUE(store_.Commit(batch));
  }
  MemoryStore store_{Schema{1, {"a", "b", "c"}}};
};

TEST_F(FrozenScanTest, AnEmptyStoreHasNoRows) {
  FrozenScan scan(store_, kTables);
  EXPECT_EQ(*scan.Next(100), std::vector<Row>{});
  EXPECT_EQ(*scan.Next(100), std::vector<Row>{}) << "and again";
}

TEST_F(FrozenScanTest, PiecesHaveTheirSizeAndARowAtLeast) {
  Put(0, "k1", "12345678");
  Put(0, "k2", "12345678");
  Put(1, "k3", std::string(1000, 'x'));
  Put(2, "k4", "1");
  FrozenScan scan(store_, kTables);
  std::vector<std::size_t> sizes;
  for (auto rows = *scan.Next(20); !rows.empty(); rows = *scan.Next(20)) {
    sizes.push_back(rows.size());
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{2, 1, 1}));
}

TEST_F(FrozenScanTest, AClearedTableEndsIt) {
  Put(0, "k", "v");
  Put(1, "k", "v");
  FrozenScan scan(store_, kTables);
  ASSERT_EQ(scan.Next(1)->size(), 1U);
  WriteBatch batch;
  batch.Clear(1);
  scan.BeforeCommit(batch);
  EXPECT_EQ(scan.Next(1).error().code, Code::kAborted);
  EXPECT_EQ(scan.Next(1).error().code, Code::kAborted) << "and again";
}

// Random contents, then random commits between random pieces.
TEST_F(FrozenScanTest, GivesTheInstantWhateverIsCommitted) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    MemoryStore store(Schema{1, {"a", "b", "c"}});
    const auto change = [&](std::uint64_t writes) {
      WriteBatch batch;
      for (std::uint64_t i = 0; i < writes; ++i) {
        const auto table = static_cast<TableId>(random.Below(kTables));
        std::string key = "k" + std::to_string(random.Below(40));
        if (random.Below(3) == 0) {
          batch.Delete(table, std::move(key));
        } else {
          batch.Put(table, std::move(key), std::to_string(random.Below(1000)));
        }
      }
      return batch;
    };
    ASSERT_TRUE(store.Commit(change(random.Below(80))));
    const std::vector<Row> expected = RowsOf(store);
    FrozenScan scan(store, kTables);
    std::vector<Row> seen;
    for (;;) {
      for (std::uint64_t i = random.Below(3); i > 0; --i) {
        const WriteBatch batch = change(random.Below(30));
        scan.BeforeCommit(batch);
        ASSERT_TRUE(store.Commit(batch));
      }
      const std::vector<Row> rows = *scan.Next(1 + random.Below(40));
      if (rows.empty()) break;
      seen.insert(seen.end(), rows.begin(), rows.end());
    }
    ASSERT_EQ(seen, expected) << "seed " << seed;
  }
}

}  // namespace
}  // namespace cube::store
