#include "services/manager/store_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <semaphore>

#include "shared/store/memory_store.h"
#include "test/support/store/faulty_store.h"

namespace cube::manager {
namespace {

constexpr Duration kNever = std::chrono::hours(1);
constexpr auto kPatience = std::chrono::seconds(60);

Commit Put(std::string_view key, std::string_view value) {
  Commit commit;
  commit.batch.Put(kViewMetaTable, key, value);
  return commit;
}

class StoreThreadTest : public testing::Test {
 protected:
  StoreThread::Events Events() {
    return {[this](StoreThread::Rows rows) { rows_.push_back(std::move(rows)); },
            [this] { ++failures_; }};
  }

  // Written by the store's thread; looked at when that has ended.
  std::vector<StoreThread::Rows> rows_;
  int failures_ = 0;
};

TEST_F(StoreThreadTest, DoesWhatItWasAskedForInOrder) {
  store::MemoryStore store(ViewSchema());
  StoreThread thread(store, kNever, Events());
  thread.Commit(Put("a", "1"));
  thread.Freeze();
  thread.Commit(Put("a", "2"));
  thread.Commit(Put("b", "3"));
  std::optional<std::string> between;
  ASSERT_TRUE(
      thread.Read([&](const store::Store& read) { between = *read.Get(kViewMetaTable, "b"); }));
  EXPECT_EQ(between, "3") << "what was committed before";
  thread.ReadFrozen(1000);
  thread.ReadFrozen(1000);
  thread.Commit(Put("c", "4"));
  thread.Freeze();
  thread.Thaw();
  thread.ReadFrozen(1000);
  ASSERT_TRUE(thread.End());
  ASSERT_EQ(rows_.size(), 3u);
  ASSERT_TRUE(rows_[0]);
  EXPECT_EQ(*rows_[0], (std::vector<store::Row>{{kViewMetaTable, "a", "1"}}));
  ASSERT_TRUE(rows_[1]);
  EXPECT_TRUE(rows_[1]->empty());
  EXPECT_FALSE(rows_[2]) << "no scan went on any more";
  EXPECT_EQ(*store.Get(kViewMetaTable, "c"), "4") << "what was asked for last is done";
  EXPECT_EQ(failures_, 0);
}

TEST_F(StoreThreadTest, WritesNothingBehindAFailedCommit) {
  store::FaultyStore store(ViewSchema(), store::FaultyStore::Durability::kRelaxed);
  store.FailNextCommit({Code::kResource, "the disk is full", {}});
  StoreThread thread(store, kNever, Events());
  thread.Commit(Put("a", "1"));
  thread.Freeze();
  thread.ReadFrozen(1000);
  thread.Commit(Put("b", "2"));
  thread.Commit(Put("c", "3"));
  const Result<void> read = thread.Read([](const store::Store&) { FAIL() << "of half of it"; });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::kResource);
  const Result<void> ended = thread.End();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, Code::kResource);
  EXPECT_EQ(failures_, 1) << "told once";
  EXPECT_EQ(*store.Count(kViewMetaTable), 0u);
  EXPECT_TRUE(rows_.empty()) << "it would be a scan of what nobody believes to be there";
  EXPECT_FALSE(thread.End()) << "whoever asks again";
}

// A store whose commits wait to be let through.
class SlowStore final : public store::MemoryStore {
 public:
  SlowStore() : MemoryStore(ViewSchema()) {}
  Result<void> Commit(const store::WriteBatch& batch) override {
    begun.release();
    EXPECT_TRUE(let_through.try_acquire_for(kPatience)) << "whoever asks waits for it";
    return MemoryStore::Commit(batch);
  }
  std::counting_semaphore<> begun{0};
  std::counting_semaphore<> let_through{0};
};

TEST_F(StoreThreadTest, TheLoopGoesOnWhileACommitIsWritten) {
  SlowStore store;
  StoreThread thread(store, kNever, Events());
  thread.Commit(Put("a", "1"));
  ASSERT_TRUE(store.begun.try_acquire_for(kPatience));
  thread.Commit(Put("b", "2"));
  store.let_through.release(2);
  ASSERT_TRUE(thread.End());
  EXPECT_EQ(*store.Get(kViewMetaTable, "b"), "2");
}

TEST_F(StoreThreadTest, WhoeverAsksForMoreThanIsDoneWaits) {
  SlowStore store;
  StoreThread thread(store, kNever, Events());
  for (std::size_t i = 0; i < kCommitsMax; ++i) thread.Commit(Put("a", "1"));
  std::atomic<bool> asked = false;
  const auto more = std::async(std::launch::async, [&] {
    thread.Commit(Put("b", "2"));
    asked = true;
  });
  ASSERT_TRUE(store.begun.try_acquire_for(kPatience));
  EXPECT_EQ(more.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  EXPECT_FALSE(asked) << "while the first one is written";
  store.let_through.release(kCommitsMax + 1);
  more.wait();
  ASSERT_TRUE(thread.End());
  EXPECT_EQ(*store.Get(kViewMetaTable, "b"), "2");
}

// Says when it is asked to write to the disk.
class SyncedStore final : public store::MemoryStore {
 public:
  SyncedStore() : MemoryStore(ViewSchema()) {}
  Result<void> Sync() override {
    synced.set_value();
    return {};
  }
  std::promise<void> synced;
};

TEST_F(StoreThreadTest, SyncsWhatWasCommittedAfterAWhile) {
  SyncedStore store;
  StoreThread thread(store, std::chrono::milliseconds(1), Events());
  auto synced = store.synced.get_future();
  EXPECT_NE(synced.wait_for(std::chrono::milliseconds(0)), std::future_status::ready);
  thread.Commit(Put("a", "1"));
  EXPECT_EQ(synced.wait_for(kPatience), std::future_status::ready);  // a second one would throw
  ASSERT_TRUE(thread.End());
}

}  // namespace
}  // namespace cube::manager
