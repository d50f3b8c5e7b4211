// What every Store promises (shared/store/store.h), as tests. Instantiate with a factory:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, StoreContract, testing::Values(StoreKind{"memory", ...}));
//
// Included by one test file only: it defines the tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shared/store/store.h"

namespace cube::store {

// A store in a place of its own, which exists as long as the bench does.
class StoreBench {
 public:
  virtual ~StoreBench() = default;
  virtual Store& store() = 0;
  // Closes and opens again (a memory store that outlives its process: does nothing).
  virtual void Reopen() = 0;
};

struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<StoreBench>(const Schema&)> make;
};

inline void PrintTo(const StoreKind& kind, std::ostream* out) { *out << kind.name; }

inline const Result<std::optional<std::string>> kNothing{std::nullopt};

using Pairs = std::vector<std::pair<std::string, std::string>>;

inline Pairs Everything(const Store& store, TableId table, std::string_view from = {}) {
  Pairs pairs;
  const auto scanned = store.Scan(table, from, [&](std::string_view key, std::string_view value) {
    pairs.emplace_back(key, value);
    return true;
  });
  EXPECT_TRUE(scanned) << scanned.error().message;
  return pairs;
}

class StoreContract : public testing::TestWithParam<StoreKind> {
 protected:
  static constexpr TableId kA = 0;
  static constexpr TableId kB = 1;

  StoreContract() : bench_(GetParam().make(Schema{1, {"a", "b"}})) {}

  Store& store() { return bench_->store(); }
  void Reopen() { bench_->Reopen(); }
  void Commit(const WriteBatch& batch) {
    const auto committed = store().Commit(batch);
    ASSERT_TRUE(committed) << committed.error().message;
  }
  void Put(TableId table, const std::string& key, const std::string& value) {
    WriteBatch batch;
    batch.Put(table, key, value);
    Commit(batch);
  }
  Code CommitError(const WriteBatch& batch) {
    const auto committed = store().Commit(batch);
    EXPECT_FALSE(committed);
    return committed ? Code::kInternal : committed.error().code;
  }

 private:
  std::unique_ptr<StoreBench> bench_;
};

TEST_P(StoreContract, BeginsEmpty) {
  EXPECT_EQ(store().Get(kA, "key"), kNothing);
  EXPECT_TRUE(Everything(store(), kA).empty());
  EXPECT_EQ(store().Count(kA), 0u);
}

TEST_P(StoreContract, KeepsBytesAsTheyAre) {
  const std::string key("\0\xff key", 6);
  std::string value;
  for (int i = 0; i < 1000; ++i) value += static_cast<char>(i);
  Put(kA, key, value);
  Put(kA, "empty", "");
  EXPECT_EQ(store().Get(kA, key), value);
  EXPECT_EQ(store().Get(kA, "empty"), "");
  Reopen();
  EXPECT_EQ(store().Get(kA, key), value);
  EXPECT_EQ(store().Get(kA, "empty"), "");
  EXPECT_EQ(store().Count(kA), 2u);
}

TEST_P(StoreContract, TablesAreApart) {
  Put(kA, "key", "in a");
  Put(kB, "key", "in b");
  EXPECT_EQ(store().Get(kA, "key"), "in a");
  EXPECT_EQ(store().Get(kB, "key"), "in b");
  WriteBatch batch;
  batch.Clear(kA);
  Commit(batch);
  EXPECT_EQ(store().Count(kA), 0u);
  EXPECT_EQ(store().Get(kB, "key"), "in b");
}

TEST_P(StoreContract, AppliesABatchInItsOrder) {
  Put(kA, "old", "1");
  WriteBatch batch;
  batch.Put(kA, "x", "1");
  batch.Put(kA, "x", "2");
  batch.Delete(kA, "y");
  batch.Put(kA, "y", "3");
  batch.Delete(kA, "missing");
  batch.Put(kB, "gone", "4");
  batch.Clear(kB);
  batch.Put(kB, "stays", "5");
  batch.Put(kA, "deleted", "6");
  batch.Delete(kA, "deleted");
  Commit(batch);
  EXPECT_EQ(Everything(store(), kA), (Pairs{{"old", "1"}, {"x", "2"}, {"y", "3"}}));
  EXPECT_EQ(Everything(store(), kB), (Pairs{{"stays", "5"}}));
}

TEST_P(StoreContract, ScansInBytewiseOrder) {
  const std::vector<std::string> keys{
      std::string(1, '\0'), "a", std::string("a\0", 2), "aa", "b", "\x7f", "\x80", "\xff"};
  WriteBatch batch;
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) batch.Put(kA, *key, "v");
  Commit(batch);
  Pairs expected;
  for (const std::string& key : keys) expected.emplace_back(key, "v");
  EXPECT_EQ(Everything(store(), kA), expected);
}

TEST_P(StoreContract, ScansFromAKeyThatNeedNotExist) {
  for (const char* key : {"b", "d", "f"}) Put(kA, key, key);
  EXPECT_EQ(Everything(store(), kA, "b").size(), 3u);
  EXPECT_EQ(Everything(store(), kA, "c"), (Pairs{{"d", "d"}, {"f", "f"}}));
  EXPECT_EQ(Everything(store(), kA, "f"), (Pairs{{"f", "f"}}));
  EXPECT_TRUE(Everything(store(), kA, "g").empty());
  // Longer than any key can be.
  Put(kA, std::string(kKeyBytesMax, 'e'), "long");
  EXPECT_EQ(Everything(store(), kA, std::string(kKeyBytesMax + 1, 'e')), (Pairs{{"f", "f"}}));
}

TEST_P(StoreContract, AVisitorEndsItsScanAndMayReadMeanwhile) {
  for (const char* key : {"1", "2", "3"}) Put(kA, key, key);
  Put(kB, "other", "value");
  int visits = 0;
  const auto scanned = store().Scan(kA, {}, [&](std::string_view key, std::string_view) {
    ++visits;
    EXPECT_EQ(store().Get(kB, "other"), "value");
    EXPECT_EQ(Everything(store(), kA).size(), 3u);
    return key != "2";
  });
  EXPECT_TRUE(scanned);
  EXPECT_EQ(visits, 2);
  Put(kA, "4", "4");  // reads are over: commits work again
  EXPECT_EQ(store().Count(kA), 4u);
}

TEST_P(StoreContract, RefusesWhatIsTooLargeAndThenChangesNothing) {
  Put(kA, "key", "before");
  WriteBatch long_key;
  long_key.Put(kA, "key", "after");
  long_key.Put(kA, std::string(kKeyBytesMax + 1, 'k'), "v");
  EXPECT_EQ(CommitError(long_key), Code::kResource);
  WriteBatch long_value;
  long_value.Put(kA, "key", "after");
  long_value.Put(kA, "k", std::string(kValueBytesMax + 1, 'v'));
  EXPECT_EQ(CommitError(long_value), Code::kResource);
  WriteBatch no_key;
  no_key.Put(kA, "key", "after");
  no_key.Put(kA, "", "v");
  EXPECT_EQ(CommitError(no_key), Code::kInvalid);
  EXPECT_EQ(Everything(store(), kA), (Pairs{{"key", "before"}}));
}

TEST_P(StoreContract, TakesTheLargestKeyAndValue) {
  const std::string key(kKeyBytesMax, 'k');
  const std::string value(kValueBytesMax, 'v');
  Put(kA, key, value);
  Reopen();
  const auto got = store().Get(kA, key);
  ASSERT_TRUE(got && *got);
  EXPECT_TRUE(**got == value);
}

TEST_P(StoreContract, FindsNothingUnderImpossibleKeys) {
  Put(kA, "key", "value");
  EXPECT_EQ(store().Get(kA, ""), kNothing);
  EXPECT_EQ(store().Get(kA, std::string(kKeyBytesMax + 1, 'k')), kNothing);
}

TEST_P(StoreContract, AnEmptyBatchIsFine) {
  Commit(WriteBatch());
  EXPECT_EQ(store().Count(kA), 0u);
}

TEST_P(StoreContract, SyncKeepsEverything) {
  Put(kA, "key", "value");
  EXPECT_TRUE(store().Sync());
  EXPECT_EQ(store().Get(kA, "key"), "value");
}

}  // namespace cube::store
