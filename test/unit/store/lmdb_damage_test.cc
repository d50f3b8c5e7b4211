// Damaged files: a store opens fresh or intact. It never crashes, never returns anything that was
// not committed, and goes on working.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "shared/store/lmdb_check.h"
#include "test/support/store/lmdb_bench.h"
#include "test/support/temp_dir.h"

namespace cube::store {
namespace {

constexpr TableId kTasks = 0;
constexpr std::size_t kPageBytes = 4096;  // of the machines that run these tests
// Damage is the same, and syncing would take most of the time.
const LmdbOptions kRelaxed{.durability = Durability::kRelaxed};
// More of them: CUBE_TEST_SEEDS=20000.
std::uint64_t Seeds() {
  const char* wanted = std::getenv("CUBE_TEST_SEEDS");
  return wanted == nullptr ? 400 : std::stoull(wanted);
}

enum Outcome : int { kIntact = 10, kFresh = 11, kWrong = 12, kBroken = 13 };

std::size_t RandomOffset(Random& random, const std::string& bytes) {
  const std::size_t page = random.Below(bytes.size() / kPageBytes);
  switch (random.Below(4)) {
    case 0:
      return random.Below(2) * kPageBytes + random.Below(160);  // the meta pages' contents
    case 1:
      return page * kPageBytes + random.Below(16);  // a page's header
    case 2:
      return page * kPageBytes + random.Below(200);  // and its table of nodes
    default:
      return random.Below(bytes.size());
  }
}

void Damage(Random& random, std::string& bytes) {
  const std::size_t pages = bytes.size() / kPageBytes;
  const auto any_page = [&] { return random.Below(pages) * kPageBytes; };
  switch (random.Below(10)) {
    case 0:
      bytes.resize(random.Below(bytes.size()));
      return;
    case 1:
      bytes.resize(any_page());
      return;
    case 2: {  // a page of zeros
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(any_page()), kPageBytes, '\0');
      return;
    }
    case 3: {  // a write that went to the wrong place
      const std::string page = bytes.substr(any_page(), kPageBytes);
      bytes.replace(any_page(), kPageBytes, page);
      return;
    }
    case 4: {  // the same, but it says that it belongs there
      std::string page = bytes.substr(any_page(), kPageBytes);
      const std::size_t target = any_page();
      const std::uint64_t number = target / kPageBytes;
      std::memcpy(page.data(), &number, sizeof(number));
      bytes.replace(target, kPageBytes, page);
      return;
    }
    case 5:
      bytes.append(random.Below(3 * kPageBytes), 'x');
      return;
    default:
      for (std::uint64_t i = 1 + random.Below(4); i > 0; --i) {
        bytes[RandomOffset(random, bytes)] ^= static_cast<char>(1u << random.Below(8));
      }
  }
}

// Opens the damaged folder, compares, writes on, and opens it once more.
int Judge(const std::string& dir, MemoryStore& model, Random& random) {
  bool fresh = false;
  {
    const auto opened = MustOpen(dir, kRelaxed);
    fresh = opened.opening.fresh;
    if (fresh == opened.opening.reason.empty()) return kBroken;
    if (fresh) model.Restore(MemoryStore::Contents(3));
    if (ContentsOf(*opened.store) != model.contents()) return kWrong;
    for (int i = 0; i < 10; ++i) {
      const WriteBatch batch = RandomBatch(random);
      if (!opened.store->Commit(batch) || !model.Commit(batch)) return kBroken;
    }
    if (ContentsOf(*opened.store) != model.contents()) return kWrong;
  }
  const auto again = MustOpen(dir, kRelaxed);
  if (!again.opening.reason.empty()) return kBroken;
  if (ContentsOf(*again.store) != model.contents()) return kWrong;
  return fresh ? kFresh : kIntact;
}

TEST(LmdbDamageTest, AnyDamageMeansFreshOrIntact) {
  const test::TempDir dir(test::FastTempParent());
  MemoryStore model(TestSchema());
  {
    const auto opened = MustOpen(dir.File("good"), kRelaxed);
    Random random(1);
    for (int i = 0; i < 60; ++i) {
      const WriteBatch batch = RandomBatch(random);
      ASSERT_TRUE(opened.store->Commit(batch));
      ASSERT_TRUE(model.Commit(batch));
    }
  }
  const std::string good = FileBytes(dir.File("good/data.mdb"));
  const std::string mark = FileBytes(dir.File("good/mark"));
  const std::uint64_t seeds = Seeds();
  std::map<int, std::uint64_t> outcomes;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Random random(seed);
    std::string bytes = good;
    Damage(random, bytes);
    const test::TempDir place(test::FastTempParent());
    std::filesystem::create_directory(place.File("view"));
    WriteBytes(place.File("view/data.mdb"), bytes);
    WriteBytes(place.File("view/mark"), mark);
    // In a process of its own, so that a crash has a seed.
    ChildProcess child([&] { return Judge(place.File("view"), model, random); });
    const int outcome = child.Wait();
    ++outcomes[outcome];
    EXPECT_TRUE(outcome == kIntact || outcome == kFresh || bytes.empty())
        << "seed " << seed << " ended with " << outcome;
  }
  EXPECT_GT(outcomes[kFresh], seeds / 2);
  EXPECT_GT(outcomes[kIntact], 0u);
}

// Each byte of the meta pages, of which a wrong one would give an older or another state.
TEST(LmdbDamageTest, EveryBitOfTheMetaPagesIsGuarded) {
  const test::TempDir dir(test::FastTempParent());
  MemoryStore::Contents contents;
  {
    const auto opened = MustOpen(dir.File("view"), kRelaxed);
    Random random(2);
    for (int i = 0; i < 8; ++i) ASSERT_TRUE(opened.store->Commit(RandomBatch(random)));
    contents = ContentsOf(*opened.store);
  }
  const std::string path = dir.File("view/data.mdb");
  const std::string good = FileBytes(path);
  std::size_t noticed = 0;
  for (std::size_t meta = 0; meta < 2; ++meta) {
    for (std::size_t bit = 0; bit < (16 + 136) * 8; ++bit) {
      std::string bytes = good;
      bytes[meta * kPageBytes + bit / 8] ^= static_cast<char>(1u << (bit % 8));
      WriteBytes(path, bytes);
      if (!CheckLmdbFile(path, TestSchema())) {
        ++noticed;
        continue;
      }
      const auto opened = MustOpen(dir.File("view"), kRelaxed);
      EXPECT_EQ(opened.opening.reason, "");
      EXPECT_TRUE(ContentsOf(*opened.store) == contents) << "meta " << meta << " bit " << bit;
    }
  }
  EXPECT_GT(noticed, 500u);
}

TEST(LmdbDamageTest, ValuesThatRotWhileTheStoreIsOpenAreDataLoss) {
  const test::TempDir dir(test::FastTempParent());
  auto opened = MustOpen(dir.File("view"), kRelaxed);
  const std::string value(200, 'v');
  WriteBatch batch;
  batch.Put(kTasks, "good", "fine");
  batch.Put(kTasks, "key", value);
  ASSERT_TRUE(opened.store->Commit(batch));
  const std::string path = dir.File("view/data.mdb");
  const std::size_t at = FileBytes(path).find(value);
  ASSERT_NE(at, std::string::npos);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::pwrite(fd, "w", 1, static_cast<off_t>(at + 100)), 1);
  ::close(fd);

  EXPECT_EQ(opened.store->Get(kTasks, "good"), "fine");
  const auto got = opened.store->Get(kTasks, "key");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kDataLoss);
  EXPECT_NE(got.error().message.find("tasks"), std::string::npos);
  const auto scanned =
      opened.store->Scan(kTasks, {}, [](std::string_view, std::string_view) { return true; });
  EXPECT_EQ(scanned.error().code, Code::kDataLoss);

  // What the owner then does.
  opened.store.reset();
  EXPECT_TRUE(LmdbStore::SetAside(dir.File("view")));
  EXPECT_TRUE(MustOpen(dir.File("view"), kRelaxed).opening.fresh);
}

}  // namespace
}  // namespace cube::store
