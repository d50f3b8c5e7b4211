#include "shared/runtime/lock_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/support/temp_dir.h"

namespace cube::runtime {
namespace {

using test::TempDir;

// A child that holds the lock until it is killed.
class Holder {
 public:
  explicit Holder(const std::string& path) {
    int ready[2];
    CUBE_CHECK(::pipe(ready) == 0);
    pid_ = ::fork();
    CUBE_CHECK(pid_ >= 0);
    if (pid_ == 0) {
      const auto lock = LockFile::Acquire(path);
      const char byte = lock ? 'y' : 'n';
      if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
      while (true) ::pause();
    }
    char byte = 0;
    CUBE_CHECK(::read(ready[0], &byte, 1) == 1 && byte == 'y');
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Holder() { Kill(); }
  void Kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

TEST(LockFileTest, AnotherProcessHoldsItUntilItDies) {
  const TempDir dir;
  Holder holder(dir.File("lock"));
  const auto refused = LockFile::Acquire(dir.File("lock"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kConflict);
  EXPECT_EQ(refused.error().message, "'" + dir.path() + "' is in use by process " +
                                         std::to_string(holder.pid()) +
                                         "; stop it or use another --state-dir");
  holder.Kill();
  EXPECT_TRUE(LockFile::Acquire(dir.File("lock")));
}

TEST(LockFileTest, TheSameProcessCannotHoldItTwice) {
  const TempDir dir;
  {
    auto first = LockFile::Acquire(dir.File("lock"));
    ASSERT_TRUE(first);
    const LockFile moved = std::move(*first);
    EXPECT_EQ(LockFile::Acquire(dir.File("lock")).error().code, Code::kConflict);
  }
  EXPECT_TRUE(LockFile::Acquire(dir.File("lock")));
}

TEST(LockFileTest, NoFolderNoLock) {
  const TempDir dir;
  EXPECT_EQ(LockFile::Acquire(dir.File("none/lock")).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace cube::runtime
