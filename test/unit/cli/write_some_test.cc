#include "services/cli/write_some.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>

#include "shared/runtime/fd.h"

namespace cube::cli {
namespace {

constexpr Duration kShort = std::chrono::milliseconds(1);
constexpr Duration kLong = std::chrono::seconds(60);

TEST(WriteSome, DoesNotBlockOnAFullPipe) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const runtime::Fd read(ends[0]);
  const runtime::Fd write(ends[1]);
  const std::string all(1u << 20, 'x');  // far more than a pipe takes
  const auto took = WriteSome(write.get(), all, kLong);
  ASSERT_TRUE(took);
  EXPECT_GT(*took, 0u);
  EXPECT_LT(*took, all.size());
  EXPECT_EQ(WriteSome(write.get(), all, kShort), 0u);
  std::string room(*took, ' ');
  ASSERT_EQ(::read(read.get(), room.data(), room.size()), static_cast<ssize_t>(room.size()));
  EXPECT_GT(WriteSome(write.get(), all, kLong).value_or(0), 0u);
}

TEST(WriteSome, TellsThatNobodyReads) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  ASSERT_EQ(::close(ends[0]), 0);
  const runtime::Fd write(ends[1]);
  EXPECT_FALSE(WriteSome(write.get(), "x", kLong));
  EXPECT_FALSE(WriteSome(1'000'000, "x", kLong)) << "not open";
  std::signal(SIGPIPE, before);
}

}  // namespace
}  // namespace cube::cli
