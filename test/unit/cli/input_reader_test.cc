#include "services/cli/input_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace cube::cli {
namespace {

class InputReaderTest : public ::testing::Test {
 protected:
  InputReaderTest() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read_ = runtime::Fd(ends[0]);
    write_ = runtime::Fd(ends[1]);
    reader_ = std::make_unique<InputReader>(read_.get(), [this] {
      const std::lock_guard lock(mutex_);
      ++told_;
      changed_.notify_all();
    });
  }
  void Write(const std::string& bytes) {
    ASSERT_EQ(::write(write_.get(), bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }
  // Takes until `size` bytes or the end of file have come.
  std::string TakeAll(std::size_t size, std::size_t piece_max, bool* last) {
    std::string all;
    std::unique_lock lock(mutex_);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (all.size() < size || size == 0) {
      InputReader::Piece piece = reader_->Take(piece_max);
      EXPECT_LE(piece.bytes.size(), piece_max);
      all += piece.bytes;
      *last = piece.last;
      if (piece.last) break;
      const int before = told_;
      if (piece.bytes.empty() &&
          !changed_.wait_until(lock, deadline, [&] { return told_ > before; }))
        break;
    }
    return all;
  }

  runtime::Fd read_, write_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int told_ = 0;
  std::unique_ptr<InputReader> reader_;
};

TEST_F(InputReaderTest, GivesPiecesAndTheEndOnce) {
  Write("hello world");
  bool last = false;
  EXPECT_EQ(TakeAll(11, 4, &last), "hello world");
  EXPECT_FALSE(last);
  write_.Close();
  EXPECT_EQ(TakeAll(0, 4, &last), "");
  EXPECT_TRUE(last);
  EXPECT_FALSE(reader_->Take(4).last);
}

TEST_F(InputReaderTest, ReadsNoFurtherThanItIsTaken) {
  // More than a read and a pipe hold: the writer would block if nobody read on.
  const std::string much(100'000, 'x');
  std::thread writer([&] { Write(much); });
  bool last = false;
  EXPECT_EQ(TakeAll(much.size(), 1000, &last), much);
  writer.join();
}

TEST_F(InputReaderTest, EndsWhileItWaits) {
  reader_.reset();  // with nothing to read
  SUCCEED();
}

}  // namespace
}  // namespace cube::cli
