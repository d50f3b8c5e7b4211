// kill -9 at any instruction: every acknowledged commit is there, and no half of one.
#include <gtest/gtest.h>

#include "test/support/store/lmdb_bench.h"
#include "test/support/temp_dir.h"

namespace cube::store {
namespace {

constexpr TableId kCursors = 2;
constexpr int kRounds = 25;

// The n-th commit, always the same; it says its number.
WriteBatch NumberedBatch(std::uint64_t seed, std::uint64_t n) {
  Random random(seed * 1'000'003 + n);
  WriteBatch batch = RandomBatch(random);
  batch.Put(kCursors, "commit", std::to_string(n));
  return batch;
}

std::uint64_t LastCommit(const Store& store) {
  const auto text = store.Get(kCursors, "commit");
  CUBE_CHECK(text);
  return *text ? std::stoull(**text) : 0;
}

// Commits for ever, writing a byte to `acknowledge` after each.
int CommitUntilKilled(const std::string& dir, const LmdbOptions& options, std::uint64_t seed,
                      int acknowledge) {
  const auto opened = MustOpen(dir, options);
  for (std::uint64_t n = LastCommit(*opened.store) + 1;; ++n) {
    if (!opened.store->Commit(NumberedBatch(seed, n))) return 1;
    if (::write(acknowledge, "y", 1) != 1) return 2;
  }
}

class LmdbCrashTest : public testing::TestWithParam<Durability> {};

TEST_P(LmdbCrashTest, NoAcknowledgedCommitIsLostAndNoneIsHalf) {
  constexpr std::uint64_t kSeed = 20'260'131;
  const test::TempDir dir(test::FastTempParent());
  // A small map, so that some kills fall into its growth.
  const LmdbOptions options{.durability = GetParam(), .map_bytes_start = 256u << 10};
  Random random(kSeed);
  MemoryStore model(TestSchema());
  std::uint64_t modelled = 0;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    int acks[2];
    ASSERT_EQ(::pipe(acks), 0);
    ChildProcess child([&] {
      ::close(acks[0]);
      return CommitUntilKilled(dir.File("view"), options, kSeed, acks[1]);
    });
    ::close(acks[1]);
    std::uint64_t acknowledged = modelled;
    char byte = 0;
    for (std::uint64_t wanted = random.Below(30); wanted > 0; --wanted) {
      ASSERT_EQ(::read(acks[0], &byte, 1), 1);
      ++acknowledged;
    }
    child.Kill();
    EXPECT_EQ(child.Wait(), 1000 + SIGKILL);
    while (::read(acks[0], &byte, 1) == 1) ++acknowledged;
    ::close(acks[0]);

    const auto opened = MustOpen(dir.File("view"), options);
    ASSERT_EQ(opened.opening.reason, "");
    const std::uint64_t last = LastCommit(*opened.store);
    EXPECT_GE(last, acknowledged);
    EXPECT_LE(last, acknowledged + 1);
    for (; modelled < last; ++modelled) {
      ASSERT_TRUE(model.Commit(NumberedBatch(kSeed, modelled + 1)));
    }
    ASSERT_EQ(ContentsOf(*opened.store), model.contents());
  }
  EXPECT_GT(modelled, 50u);
}

INSTANTIATE_TEST_SUITE_P(Both, LmdbCrashTest,
                         testing::Values(Durability::kFull, Durability::kRelaxed),
                         [](const auto& kind) {
                           return kind.param == Durability::kFull ? "Full" : "Relaxed";
                         });

}  // namespace
}  // namespace cube::store
