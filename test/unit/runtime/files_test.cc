#include "shared/runtime/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "shared/runtime/boot_id.h"
#include "shared/runtime/entropy.h"
#include "test/support/temp_dir.h"

namespace cube::runtime {
namespace {

using test::TempDir;

void Plant(const std::string& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary) << contents;
}

std::size_t FilesIn(const std::string& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

TEST(FilesTest, AtomicWriteReplacesTheWholeContentsAndLeavesNothingElse) {
  const TempDir dir;
  const std::string path = dir.File("identity");
  ASSERT_TRUE(WriteFileAtomic(path, "a long first version"));
  ASSERT_TRUE(WriteFileAtomic(path, std::string("short\0er", 8)));
  EXPECT_EQ(ReadFile(path, 100), std::string("short\0er", 8));
  EXPECT_EQ(FilesIn(dir.path()), 1u);
}

TEST(FilesTest, AtomicWriteThatFailsKeepsTheOldContents) {
  const TempDir dir;
  const std::string path = dir.File("identity");
  ASSERT_TRUE(WriteFileAtomic(path, "old"));
  // The temporary file's name is taken by a folder, so that the write cannot begin.
  ASSERT_EQ(::mkdir((path + ".new-" + std::to_string(::getpid())).c_str(), 0700), 0);
  const auto written = WriteFileAtomic(path, "new");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kPrecondition);
  EXPECT_EQ(ReadFile(path, 100), "old");
}

TEST(FilesTest, AtomicWriteUsesTheModeGiven) {
  const TempDir dir;
  ASSERT_TRUE(WriteFileAtomic(dir.File("secret"), "x", 0600));
  struct stat info{};
  ASSERT_EQ(::stat(dir.File("secret").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
}

TEST(FilesTest, AtomicWriteIntoAMissingFolderSaysSo) {
  const TempDir dir;
  const auto written = WriteFileAtomic(dir.File("none/file"), "x");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kNotFound);
  EXPECT_NE(written.error().message.find("none/file"), std::string::npos);
}

TEST(FilesTest, ReadRefusesOneByteMoreThanTheLimit) {
  const TempDir dir;
  for (const std::size_t size : {0u, 1u, 65'536u, 200'001u}) {
    const std::string contents(size, 'x');
    Plant(dir.File("f"), contents);
    EXPECT_EQ(ReadFile(dir.File("f"), size), contents) << size;
    EXPECT_EQ(ReadFile(dir.File("f"), size + 70'000), contents) << size;
    if (size == 0) continue;
    const auto read = ReadFile(dir.File("f"), size - 1);
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error().code, Code::kResource);
  }
}

TEST(FilesTest, ReadTellsMissingFromForbiddenKinds) {
  const TempDir dir;
  EXPECT_EQ(ReadFile(dir.File("none"), 10).error().code, Code::kNotFound);
  EXPECT_EQ(ReadFile(dir.path(), 10).error().code, Code::kPrecondition);
}

TEST(FilesTest, DirectoriesAreMadeWithTheirParentsAndTwiceIsFine) {
  const TempDir dir;
  for (const char* name : {"a/b/c", "a/b/c", "a/b/c/d/", "a//e"}) {
    EXPECT_TRUE(MakeDirectories(dir.File(name))) << name;
    EXPECT_TRUE(std::filesystem::is_directory(dir.File(name))) << name;
  }
  struct stat info{};
  ASSERT_EQ(::stat(dir.File("a/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0700u & ~0u);
  Plant(dir.File("file"), "x");
  EXPECT_EQ(MakeDirectories(dir.File("file")).error().code, Code::kPrecondition);
  EXPECT_EQ(MakeDirectories(dir.File("file/below")).error().code, Code::kPrecondition);
  EXPECT_EQ(MakeDirectories("").error().code, Code::kInvalid);
}

TEST(FilesTest, ParentDirectory) {
  EXPECT_EQ(ParentDirectory("/a/b/c"), "/a/b");
  EXPECT_EQ(ParentDirectory("/a/b/"), "/a");
  EXPECT_EQ(ParentDirectory("/a//b"), "/a");
  EXPECT_EQ(ParentDirectory("/a"), "/");
  EXPECT_EQ(ParentDirectory("/"), "/");
  EXPECT_EQ(ParentDirectory("a/b"), "a");
  EXPECT_EQ(ParentDirectory("a"), ".");
  EXPECT_EQ(ParentDirectory(""), ".");
}

TEST(FilesTest, StateDirPrefersRootThenXdgThenHome) {
  EXPECT_EQ(StateDirFrom({true, "/x", "/h"}), "/var/lib/cube");
  EXPECT_EQ(StateDirFrom({false, "/x", "/h"}), "/x/cube");
  EXPECT_EQ(StateDirFrom({false, "relative", "/h"}), "/h/.local/state/cube");
  EXPECT_EQ(StateDirFrom({false, std::nullopt, "/h"}), "/h/.local/state/cube");
  EXPECT_EQ(StateDirFrom({}).error().code, Code::kPrecondition);
}

TEST(EntropyTest, NumbersDifferAndAreNotZero) {
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(RandomU64());
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_FALSE(seen.contains(0));
}

TEST(BootIdTest, IsOneStableWord) {
  const auto id = ReadBootId();
  ASSERT_TRUE(id) << id.error().message;
  EXPECT_EQ(id->size(), 36u);
  EXPECT_EQ(id->find('\n'), std::string::npos);
  EXPECT_EQ(ReadBootId(), id);
}

}  // namespace
}  // namespace cube::runtime
