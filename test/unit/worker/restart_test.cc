#include "services/worker/core/restart.h"

#include <gtest/gtest.h>

#include "test/support/worker/core_rig.h"

namespace cube::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr WallTime kNow = WallFromNanos(1'000'000'000'000'000);
constexpr std::uint64_t kNoJitter = kBackoffJitterPercent * 100;  // the middle of the range

RestartHistory Launched(std::vector<Duration> ages, std::uint32_t in_row = 0) {
  RestartHistory history;
  for (const Duration age : ages) history.launches_at.push_back(kNow - age);
  history.restarts_in_row = in_row;
  return history;
}
Ending Decide(RestartPolicy policy, const RestartHistory& history, const engine::LaunchStatus& end,
              bool stop = false) {
  return DecideEnding(policy, history, end, stop, kNow, kNoJitter);
}

constexpr RestartPolicy kNo{RestartMode::kNo, 0};
constexpr RestartPolicy kOnFailure3{RestartMode::kOnFailure, 3};
constexpr RestartPolicy kOnFailure{RestartMode::kOnFailure, 0};
constexpr RestartPolicy kAlways{RestartMode::kAlways, 0};

TEST(Backoff, DoublesUpToItsMaximum) {
  EXPECT_EQ(Backoff(0, kNoJitter), milliseconds(200));
  EXPECT_EQ(Backoff(1, kNoJitter), milliseconds(400));
  EXPECT_EQ(Backoff(7, kNoJitter), milliseconds(25'600));
  EXPECT_EQ(Backoff(8, kNoJitter), seconds(30));
  EXPECT_EQ(Backoff(1'000'000, kNoJitter), seconds(30));
}

TEST(Backoff, JitterIsTwentyPercentAtMostEachWay) {
  EXPECT_EQ(Backoff(0, 0), milliseconds(160));
  EXPECT_EQ(Backoff(0, 2 * kNoJitter), milliseconds(240));
  Random random(1);
  bool below = false;
  bool above = false;
  for (int i = 0; i < 1000; ++i) {
    const Duration delay = Backoff(8, random.Next());
    EXPECT_GE(delay, seconds(24));
    EXPECT_LE(delay, seconds(36));
    below = below || delay < seconds(28);
    above = above || delay > seconds(32);
  }
  EXPECT_TRUE(below && above);
}

TEST(DecideEnding, NoNeverRestarts) {
  EXPECT_TRUE(Decide(kNo, Launched({seconds(5)}), Exited(Key("a"), 1)).final);
  EXPECT_TRUE(Decide(kNo, Launched({seconds(5)}), Exited(Key("a"), 0)).final);
}

TEST(DecideEnding, OnFailureEndsWithSuccess) {
  EXPECT_TRUE(Decide(kOnFailure, Launched({seconds(5)}), Exited(Key("a"), 0)).final);
  EXPECT_FALSE(Decide(kOnFailure, Launched({seconds(5)}), Exited(Key("a"), 1)).final);
  engine::LaunchStatus killed = Exited(Key("a"), 137);
  killed.cause = ExitCause::kSignaled;
  EXPECT_FALSE(Decide(kOnFailure, Launched({seconds(5)}), killed).final);
}

TEST(DecideEnding, OnFailureCountsLaunchesOfTheWindow) {
  const engine::LaunchStatus failed = Exited(Key("a"), 1);
  EXPECT_FALSE(Decide(kOnFailure3, Launched({seconds(5), seconds(1)}), failed).final);
  EXPECT_TRUE(Decide(kOnFailure3, Launched({minutes(9), seconds(5), seconds(1)}), failed).final);
  EXPECT_FALSE(Decide(kOnFailure3, Launched({minutes(10), seconds(5), seconds(1)}), failed).final);
  // A clock that was set back makes old launches look new; far ones do not count.
  EXPECT_FALSE(Decide(kOnFailure3, Launched({-minutes(11), seconds(5), seconds(1)}), failed).final);
}

TEST(DecideEnding, AlwaysRestartsWhateverTheCode) {
  const Ending ending = Decide(kAlways, Launched({seconds(5)}, 3), Exited(Key("a"), 0));
  EXPECT_FALSE(ending.final);
  EXPECT_EQ(ending.delay, milliseconds(1600));
  EXPECT_EQ(ending.restarts_in_row, 4u);
}

TEST(DecideEnding, AStableLaunchResetsTheBackoff) {
  const Ending almost =
      Decide(kAlways, Launched({}, 5), Exited(Key("a"), 1, kStableAfter - milliseconds(1)));
  EXPECT_EQ(almost.restarts_in_row, 6u);
  const Ending stable = Decide(kAlways, Launched({}, 5), Exited(Key("a"), 1, kStableAfter));
  EXPECT_EQ(stable.restarts_in_row, 1u);
  EXPECT_EQ(stable.delay, milliseconds(200));
}

TEST(DecideEnding, AStopIsAlwaysFinal) {
  EXPECT_TRUE(Decide(kAlways, Launched({}), Exited(Key("a"), 1), true).final);
}

TEST(DecideEnding, StartFailuresThatCannotSucceedAreFinal) {
  for (const Code code : {Code::kInvalid, Code::kNotFound, Code::kPermission, Code::kConflict,
                          Code::kUnsupported, Code::kPrecondition}) {
    EXPECT_TRUE(Decide(kAlways, Launched({}), StartFailed(Key("a"), code)).final) << CodeName(code);
  }
  for (const Code code : {Code::kUnavailable, Code::kTimedOut, Code::kResource, Code::kInternal}) {
    EXPECT_FALSE(Decide(kAlways, Launched({}), StartFailed(Key("a"), code)).final)
        << CodeName(code);
    EXPECT_TRUE(Decide(kNo, Launched({}), StartFailed(Key("a"), code)).final) << CodeName(code);
  }
}

}  // namespace
}  // namespace cube::worker
