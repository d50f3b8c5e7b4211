// Running out of room: the map grows, limits and full disks are errors that change nothing.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>

#include "test/support/store/lmdb_bench.h"
#include "test/support/temp_dir.h"

namespace cube::store {
namespace {

constexpr TableId kTasks = 0;
constexpr std::size_t kMiB = 1u << 20;

WriteBatch Megabytes(std::size_t count, const std::string& name) {
  WriteBatch batch;
  for (std::size_t i = 0; i < count; ++i) {
    batch.Put(kTasks, name + std::to_string(i), std::string(kMiB, static_cast<char>('a' + i % 26)));
  }
  return batch;
}

TEST(LmdbRoomTest, TheMapGrowsUnderManyCommitsAndUnderOneLargeOne) {
  const test::TempDir dir;
  MemoryStore model(TestSchema());
  {
    const auto opened = MustOpen(dir.File("view"), {.map_bytes_start = kMiB});
    for (const WriteBatch& batch : {Megabytes(1, "a"), Megabytes(2, "b"), Megabytes(40, "c")}) {
      const auto committed = opened.store->Commit(batch);
      ASSERT_TRUE(committed) << committed.error().message;
      ASSERT_TRUE(model.Commit(batch));
      EXPECT_EQ(ContentsOf(*opened.store), model.contents());
    }
  }
  // Smaller than the file: the map is made as large as the file needs.
  const auto again = MustOpen(dir.File("view"), {.map_bytes_start = kMiB});
  EXPECT_EQ(again.opening.reason, "");
  EXPECT_EQ(ContentsOf(*again.store), model.contents());
  EXPECT_TRUE(again.store->Commit(Megabytes(30, "d")));
}

TEST(LmdbRoomTest, TheMaximumIsAnErrorThatChangesNothing) {
  const test::TempDir dir;
  const LmdbOptions options{.map_bytes_start = kMiB, .map_bytes_max = 6 * kMiB};
  const auto opened = MustOpen(dir.File("view"), options);
  ASSERT_TRUE(opened.store->Commit(Megabytes(2, "a")));
  const auto before = ContentsOf(*opened.store);
  const auto refused = opened.store->Commit(Megabytes(10, "b"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResource);
  EXPECT_NE(refused.error().message.find(std::to_string(6 * kMiB)), std::string::npos);
  EXPECT_EQ(ContentsOf(*opened.store), before);
  WriteBatch smaller;
  smaller.Delete(kTasks, "a0");
  EXPECT_TRUE(opened.store->Commit(smaller));
  EXPECT_TRUE(opened.store->Commit(Megabytes(1, "c")));
}

// The largest file that this process may write, while it lives: a full disk without a disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(std::size_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    CUBE_CHECK(::getrlimit(RLIMIT_FSIZE, &old_) == 0);
    const rlimit limit{bytes, old_.rlim_max};
    CUBE_CHECK(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  ~FileSizeLimit() {
    CUBE_CHECK(::setrlimit(RLIMIT_FSIZE, &old_) == 0);
    std::signal(SIGXFSZ, old_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit old_{};
  void (*old_handler_)(int) = nullptr;
};

TEST(LmdbRoomTest, AFullDiskIsAnErrorThatChangesNothing) {
  const test::TempDir dir;
  const auto opened = MustOpen(dir.File("view"));
  ASSERT_TRUE(opened.store->Commit(Megabytes(2, "a")));
  const auto before = ContentsOf(*opened.store);
  {
    const FileSizeLimit limit(std::filesystem::file_size(dir.File("view/data.mdb")) + 64 * 1024);
    for (int i = 0; i < 3; ++i) {
      const auto refused = opened.store->Commit(Megabytes(1, "b"));
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, Code::kResource) << refused.error().message;
      EXPECT_EQ(ContentsOf(*opened.store), before);
    }
  }
  EXPECT_TRUE(opened.store->Commit(Megabytes(1, "b")));
  EXPECT_EQ(opened.store->Count(kTasks), 3u);
}

// LMDB's second descriptor of the file, by which it writes the meta page (it alone is O_DSYNC).
int MetaDescriptor(const std::string& data_path) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry.path(), gone) != data_path || gone) continue;
    const int fd = std::stoi(entry.path().filename().string());
    if ((::fcntl(fd, F_GETFL) & O_DSYNC) != 0) return fd;
  }
  return -1;
}

TEST(LmdbRoomTest, AMetaPageThatCannotBeWrittenChangesNothingAndHeals) {
  const test::TempDir dir;
  const auto opened = MustOpen(dir.File("view"));
  ASSERT_TRUE(opened.store->Commit(Megabytes(1, "a")));
  const auto before = ContentsOf(*opened.store);
  const int meta = MetaDescriptor(std::filesystem::canonical(dir.File("view/data.mdb")).string());
  ASSERT_GE(meta, 0);
  const int full = ::open("/dev/full", O_RDWR | O_CLOEXEC);
  ASSERT_GE(::dup3(full, meta, O_CLOEXEC), 0);  // LMDB closes it with the rest
  ::close(full);
  const auto refused = opened.store->Commit(Megabytes(1, "b"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResource) << refused.error().message;
  EXPECT_EQ(ContentsOf(*opened.store), before);
  EXPECT_TRUE(opened.store->Commit(Megabytes(1, "b")));
  EXPECT_EQ(opened.store->Count(kTasks), 2u);
}

}  // namespace
}  // namespace cube::store
