// How a manager takes over: cluster time, terms, and what follows an append of unknown outcome.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "services/manager/manager_loop.h"
#include "shared/wire/codec.h"

namespace cube::manager {
namespace {

using std::chrono::hours;

using std::chrono::seconds;

constexpr WallTime kDecidedAt = WallFromNanos(1'700'000'000'000'000'000);
constexpr std::uint64_t kLastSeq = 7;

// The view that the manager has committed: one message of another manager's term.
View CommittedView() {
  View view;
  view.decision_seq = kLastSeq;
  view.valid_seq = kLastSeq;
  view.term = {3, 33};
  view.stamp = {33, 5};
  view.decided_at = kDecidedAt;
  view.term_start = TermStart{"testcluster", "other", 1, {}};
  return view;
}

// Plays the bus for a manager that is alone: the log holds what the view holds, and the lease is
// there for the asking.
class Rig {
 public:
  explicit Rig(Duration clock_is_ahead) {
    now_.mono = MonoTime(hours(1));
    now_.wall = kDecidedAt + clock_is_ahead;
    ManagerOptions options;
    options.name = "me";
    options.owner = "me";
    options.seed = 1;
    auto loop = ManagerLoop::Make(std::move(options), [this]() -> Result<View> {
      ++loads_;
      return CommittedView();
    });
    loop_ = std::move(*loop);
  }

  // Steps until the manager has nothing to say but an append of decisions, which is kept.
  void Run() { Feed(bus::Connected{"2.9.10", 1 << 20, true}); }
  void Pass(Duration time) {
    now_.mono += time;
    now_.wall += time;
    Take(loop_->Step({}, now_, false));
  }
  void Feed(bus::Event event) {
    const std::array<Input, 1> inputs{Input{std::move(event)}};
    Take(loop_->Step(inputs, now_, false));
  }

  // The append of decisions that waits for its outcome.
  [[nodiscard]] const std::optional<bus::AppendRequest>& sent() const { return sent_; }
  [[nodiscard]] DecisionBatch batch() const { return *wire::DecodeDecisions(sent_->payload); }
  [[nodiscard]] bool warned() const { return warned_; }
  [[nodiscard]] int loads() const { return loads_; }
  [[nodiscard]] Now now() const { return now_; }
  void FailAppend(Code code) {
    const bus::OpId op = sent_->op;
    sent_.reset();
    Feed(bus::AppendFailed{op, {code, "as told", ""}});
  }

 private:
  void Take(std::vector<Operation> operations) {
    for (Operation& operation : operations) {
      if (auto* call = std::get_if<bus::Operation>(&operation)) Answer(*call);
      if (const auto* line = std::get_if<LogLine>(&operation)) {
        warned_ = warned_ || line->level == LogLine::Level::kWarning;
      }
    }
  }

  void Answer(bus::Operation& operation) {
    if (const auto* ensure = std::get_if<bus::EnsureStreams>(&operation)) {
      Feed(bus::StreamsReady{ensure->op});
    } else if (const auto* get = std::get_if<bus::Get>(&operation)) {
      Feed(bus::Got{get->op, std::nullopt});
    } else if (const auto* state = std::get_if<bus::GetState>(&operation)) {
      bus::StreamState answer;
      answer.last_seq = state->stream == wire::Subjects().DecisionsStream() ? kLastSeq : 0;
      Feed(bus::GotState{state->op, answer});
    } else if (auto* append = std::get_if<bus::Append>(&operation)) {
      if (append->request.subject == wire::Subjects().LeaseKey()) {
        Feed(bus::Appended{append->request.op, "", ++lease_seq_, false});
      } else {
        sent_ = std::move(append->request);
      }
    }
  }

  Now now_{};
  std::unique_ptr<ManagerLoop> loop_;
  std::optional<bus::AppendRequest> sent_;
  std::uint64_t lease_seq_ = 0;
  bool warned_ = false;
  int loads_ = 0;
};

TEST(TakeOver, OpensATermBehindTheLog) {
  Rig rig(seconds(1));
  rig.Run();
  ASSERT_TRUE(rig.sent());
  const DecisionBatch batch = rig.batch();
  EXPECT_EQ(rig.sent()->expected_last_seq, kLastSeq);
  EXPECT_EQ(batch.prev, (Stamp{33, 5}));
  EXPECT_EQ(batch.term.epoch, 4u);
  EXPECT_NE(batch.term.id, 33u);
  EXPECT_EQ(batch.cycle, 1u);
  ASSERT_TRUE(batch.term_start);
  EXPECT_EQ(batch.term_start->cluster, "testcluster");
  EXPECT_FALSE(rig.warned());
}

TEST(TakeOver, ClusterTimeGoesOnFromThisMachinesClockHoweverLongNobodyLed) {
  Rig rig(hours(14));
  rig.Run();
  ASSERT_TRUE(rig.sent());
  EXPECT_EQ(rig.batch().decided_at, kDecidedAt + hours(14));
  EXPECT_TRUE(rig.warned());
}

TEST(TakeOver, ClusterTimeNeverGoesBack) {
  Rig rig(-hours(14));
  rig.Run();
  ASSERT_TRUE(rig.sent());
  EXPECT_EQ(rig.batch().decided_at, kDecidedAt);
}

TEST(TakeOver, AnAppendWithoutAGoodOutcomeIsForgottenAndANewTermOpened) {
  for (const Code code : {Code::kTimedOut, Code::kAborted}) {
    Rig rig(seconds(1));
    rig.Run();
    ASSERT_TRUE(rig.sent());
    const DecisionBatch first = rig.batch();
    const int loads = rig.loads();
    rig.FailAppend(code);
    EXPECT_EQ(rig.loads(), loads + 1);  // back to the last commit
    EXPECT_FALSE(rig.sent());           // and not at once again
    rig.Pass(kRetryAfter);
    ASSERT_TRUE(rig.sent());
    const DecisionBatch second = rig.batch();
    EXPECT_EQ(second.term.epoch, first.term.epoch + 1);
    EXPECT_NE(second.term.id, first.term.id);
    EXPECT_EQ(second.cycle, 1u);
    EXPECT_EQ(second.prev, first.prev);
    EXPECT_TRUE(second.term_start);
  }
}

}  // namespace
}  // namespace cube::manager
