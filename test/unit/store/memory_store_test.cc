#include "shared/store/memory_store.h"

#include <gtest/gtest.h>

namespace cube::store {
namespace {

// The contract is tested in contract_test.cc, with Commit.
TEST(MemoryStore, CommitAndTakeDoesWhatCommitDoes) {
  MemoryStore copied{Schema{1, {"a", "b"}}}, taken{Schema{1, {"a", "b"}}};
  WriteBatch first, second;
  first.Put(0, "k", "old");
  first.Put(1, "x", "cleared");
  second.Clear(1);
  second.Put(1, "y", "kept");
  second.Put(0, "k", "new");
  second.Put(0, "l", "deleted");
  second.Delete(0, "l");
  second.Delete(0, "never there");
  for (const WriteBatch& batch : {first, second}) {
    ASSERT_TRUE(copied.Commit(batch));
    ASSERT_TRUE(taken.CommitAndTake(batch));
    EXPECT_EQ(taken.contents(), copied.contents());
  }
  EXPECT_EQ(taken.contents(), (MemoryStore::Contents{{{"k", "new"}}, {{"y", "kept"}}}));
}

TEST(MemoryStore, CommitAndTakeChangesNothingIfOneWriteIsWrong) {
  MemoryStore store{Schema{1, {"a"}}};
  WriteBatch batch;
  batch.Put(0, "good", "1");
  batch.Put(0, "", "2");
  const auto done = store.CommitAndTake(std::move(batch));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kInvalid);
  EXPECT_EQ(store.contents(), MemoryStore::Contents(1));
}

}  // namespace
}  // namespace cube::store
