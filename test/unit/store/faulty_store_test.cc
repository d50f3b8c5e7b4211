#include "test/support/store/faulty_store.h"

#include <gtest/gtest.h>

#include "shared/base/random.h"

namespace cube::store {
namespace {

constexpr TableId kTable = 0;

WriteBatch One(const std::string& key, const std::string& value) {
  WriteBatch batch;
  batch.Put(kTable, key, value);
  return batch;
}

Schema TwoTables() { return {1, {"a", "b"}}; }

TEST(FaultyStoreTest, ACommitFailsOnceAsTold) {
  FaultyStore store(TwoTables(), FaultyStore::Durability::kFull);
  store.FailNextCommit({Code::kResource, "disk full", {}});
  const auto failed = store.Commit(One("k", "v"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kResource);
  EXPECT_EQ(store.Count(kTable), 0u);
  EXPECT_TRUE(store.Commit(One("k", "v")));
  EXPECT_EQ(store.commits(), 1u);
}

TEST(FaultyStoreTest, AFullDiskStaysFullUntilItIsNot) {
  FaultyStore store(TwoTables(), FaultyStore::Durability::kFull);
  store.FailAllCommits(Error{Code::kResource, "disk full", {}});
  EXPECT_FALSE(store.Commit(One("k", "v")));
  EXPECT_FALSE(store.Commit(One("k", "v")));
  store.FailAllCommits(std::nullopt);
  EXPECT_TRUE(store.Commit(One("k", "v")));
}

TEST(FaultyStoreTest, ProcessesMayDieWithoutLoss) {
  FaultyStore store(TwoTables(), FaultyStore::Durability::kRelaxed);
  EXPECT_TRUE(store.ReopenAfterProcessEnd().fresh);
  ASSERT_TRUE(store.Commit(One("k", "v")));
  EXPECT_FALSE(store.ReopenAfterProcessEnd().fresh);
  EXPECT_EQ(store.Get(kTable, "k"), "v");
}

TEST(FaultyStoreTest, APowerCutEmptiesARelaxedStoreOnly) {
  for (const auto durability :
       {FaultyStore::Durability::kFull, FaultyStore::Durability::kRelaxed}) {
    const bool full = durability == FaultyStore::Durability::kFull;
    FaultyStore store(TwoTables(), durability);
    ASSERT_TRUE(store.Commit(One("k", "v")));
    const Opening opening = store.ReopenAfterPowerCut();
    EXPECT_EQ(opening.fresh, !full);
    EXPECT_EQ(opening.reason.empty(), full);
    EXPECT_EQ(store.Count(kTable), full ? 1u : 0u);
  }
}

TEST(FaultyStoreTest, AFullStoreLosesNoCommit) {
  FaultyStore store(TwoTables(), FaultyStore::Durability::kFull);
  ASSERT_TRUE(store.Commit(One("k", "v")));
  EXPECT_EQ(store.LoseNewest(10), 0u);
  EXPECT_EQ(store.Get(kTable, "k"), "v");
}

TEST(FaultyStoreTest, ARelaxedStoreLosesBackToItsLastSync) {
  FaultyStore store(TwoTables(), FaultyStore::Durability::kRelaxed);
  ASSERT_TRUE(store.Commit(One("k", "synced")));
  ASSERT_TRUE(store.Sync());
  ASSERT_TRUE(store.Commit(One("k", "later")));
  ASSERT_TRUE(store.Commit(One("new", "v")));
  EXPECT_EQ(store.LoseNewest(10), 2u);
  EXPECT_EQ(store.Get(kTable, "k"), "synced");
  EXPECT_EQ(store.Count(kTable), 1u);
}

// Random commits; losing n of them gives exactly the contents of n commits ago.
TEST(FaultyStoreTest, LosingCommitsGivesAnEarlierState) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    FaultyStore store(TwoTables(), FaultyStore::Durability::kRelaxed);
    std::vector<MemoryStore::Contents> states{store.contents()};
    for (int commit = 0; commit < 20; ++commit) {
      WriteBatch batch;
      for (std::uint64_t i = random.Below(6); i > 0; --i) {
        const auto table = static_cast<TableId>(random.Below(2));
        const std::string key = "k" + std::to_string(random.Below(8));
        if (random.Below(10) == 0) {
          batch.Clear(table);
        } else if (random.Below(3) == 0) {
          batch.Delete(table, key);
        } else {
          batch.Put(table, key, std::to_string(random.Next()));
        }
      }
      ASSERT_TRUE(store.Commit(batch));
      states.push_back(store.contents());
    }
    const std::size_t lost = random.Below(21);
    EXPECT_EQ(store.LoseNewest(lost), lost);
    EXPECT_EQ(store.contents(), states[states.size() - 1 - lost]);
  }
}

}  // namespace
}  // namespace cube::store
