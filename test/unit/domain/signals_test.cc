#include "shared/domain/signals.h"

#include <gtest/gtest.h>

#include <csignal>

namespace cube {
namespace {

TEST(ParseSignal, TakesNamesAndNumbers) {
  EXPECT_EQ(ParseSignal("SIGTERM"), SIGTERM);
  EXPECT_EQ(ParseSignal("TERM"), SIGTERM);
  EXPECT_EQ(ParseSignal("sigint"), SIGINT);
  EXPECT_EQ(ParseSignal("9"), SIGKILL);
  EXPECT_EQ(ParseSignal("SIGUSR1"), SIGUSR1);
  EXPECT_EQ(ParseSignal("SIGWINCH"), SIGWINCH);
  EXPECT_EQ(ParseSignal("SIGSYS"), SIGSYS);
  EXPECT_EQ(ParseSignal("SIGRTMIN+3"), 37);
  EXPECT_EQ(ParseSignal("RTMAX"), 64);
}

TEST(ParseSignal, RefusesWhatIsNone) {
  for (const char* bad : {"", "SIG", "SIGFOO", "0", "32", "65", "-9", "9x", "SIGRTMIN+31",
                          "SIGRTMIN+", "999999999999", "SIGTERMSIGTERMSIGTERM"}) {
    EXPECT_FALSE(ParseSignal(bad)) << bad;
  }
}

TEST(SignalName, IsReadBack) {
  for (int number = 1; number <= 64; ++number) {
    if (number == 32 || number == 33) continue;  // the C library's own
    EXPECT_EQ(ParseSignal(SignalName(number)), number) << SignalName(number);
  }
}

}  // namespace
}  // namespace cube
