#include "services/manager/lease.h"

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

namespace cube::manager {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLife = seconds(3);

class LeaseTest : public testing::Test {
 protected:
  // Steps; -> the operation that is asked for, if any.
  std::optional<bus::Operation> Step(std::uint64_t epoch = 1) {
    lease_.Step(now_, epoch, next_op_, out_);
    return Taken();
  }
  std::optional<bus::Operation> Taken() {
    std::vector<Operation> operations = out_.Take();
    EXPECT_LE(operations.size(), 1u);
    if (operations.empty()) return std::nullopt;
    return std::get<bus::Operation>(operations[0]);
  }
  bus::AppendRequest Asked(std::uint64_t epoch = 1) {
    const auto operation = Step(epoch);
    EXPECT_TRUE(operation);
    return std::get<bus::Append>(*operation).request;
  }
  void Granted(std::uint64_t revision) {
    EXPECT_TRUE(lease_.OnAppended({next_op_ - 1, "", revision, false}));
  }
  // Somebody else's value is found.
  void Refused(const std::string& value, std::uint64_t revision) {
    ASSERT_TRUE(lease_.OnAppendFailed({next_op_ - 1, {Code::kAborted, "", ""}}, next_op_, out_));
    const auto look = Taken();
    ASSERT_TRUE(look);
    EXPECT_EQ(std::get<bus::GetLast>(*look).subject, wire::Subjects().LeaseKey());
    bus::StreamMessage message;
    message.seq = revision;
    message.payload = value;
    EXPECT_TRUE(lease_.OnGot({next_op_ - 1, message}));
  }

  Lease lease_{wire::Subjects(), "me", kLife};
  MonoTime now_ = MonoTime(std::chrono::hours(1));
  bus::OpId next_op_ = 1;
  Operations out_;
};

TEST_F(LeaseTest, IsAskedForAsIfAbsentAndRenewedBehindItsRevision) {
  const bus::AppendRequest first = Asked(7);
  EXPECT_EQ(first.subject, wire::Subjects().LeaseKey());
  EXPECT_EQ(first.expected_last_subject_seq, 0u);
  EXPECT_EQ(nlohmann::json::parse(first.payload)["epoch"], 7);
  EXPECT_FALSE(lease_.Held(now_));
  EXPECT_FALSE(Step()) << "one operation at a time";
  Granted(41);
  EXPECT_TRUE(lease_.Held(now_));
  EXPECT_FALSE(Step()) << "not due";
  now_ = lease_.NextDeadline();
  EXPECT_EQ(Asked().expected_last_subject_seq, 41u);
}

TEST_F(LeaseTest, EndsBeforeTheServersKeyDoesHoweverLateTheAnswerCame) {
  (void)Asked();
  const MonoTime sent = now_;
  now_ += milliseconds(900);
  Granted(1);
  EXPECT_TRUE(lease_.Held(now_));
  EXPECT_FALSE(lease_.Held(sent + kLife - milliseconds(400)));
}

TEST_F(LeaseTest, TwoLostRenewalsDoNotEndIt) {
  (void)Asked();
  Granted(1);
  for (int i = 0; i < 2; ++i) {
    now_ = lease_.NextDeadline();
    (void)Asked();
    lease_.OnDisconnected();  // no answer
    EXPECT_TRUE(lease_.Held(now_));
  }
  now_ += kLife;
  EXPECT_FALSE(lease_.Held(now_));
  EXPECT_EQ(Asked().expected_last_subject_seq, 0u) << "the key has gone away by itself";
}

TEST_F(LeaseTest, AnothersIsLeftAloneAndItsEpochRemembered) {
  (void)Asked();
  Refused(R"({"owner":"other","epoch":12})", 5);
  EXPECT_FALSE(lease_.Held(now_));
  EXPECT_EQ(lease_.epoch_seen(), 12u);
  EXPECT_FALSE(Step()) << "not at once";
  now_ = lease_.NextDeadline();
  const bus::AppendRequest again = Asked();
  EXPECT_EQ(again.expected_last_subject_seq, 0u);
  EXPECT_EQ(nlohmann::json::parse(again.payload)["epoch"], 12);
}

TEST_F(LeaseTest, AnothersThatIsNotRenewedIsAskedForOftenUntilItEnds) {
  (void)Asked();
  Refused(R"({"owner":"other","epoch":1})", 5);
  const Duration seldom = lease_.NextDeadline() - now_;
  EXPECT_GE(seldom, seconds(1)) << "it may have been renewed just now";
  EXPECT_LT(seldom, kLife / 2) << "one that is given away is not left lying";
  now_ = lease_.NextDeadline();
  (void)Asked();
  Refused(R"({"owner":"other","epoch":1})", 6);
  EXPECT_EQ(lease_.NextDeadline() - now_, seldom) << "renewed";
  for (int i = 0; i < 3; ++i) {
    now_ = lease_.NextDeadline();
    (void)Asked();
    Refused(R"({"owner":"other","epoch":1})", 6);
    EXPECT_LT(lease_.NextDeadline() - now_, milliseconds(200));
  }
  // It has ended between the refusal and the look.
  now_ = lease_.NextDeadline();
  (void)Asked();
  ASSERT_TRUE(lease_.OnAppendFailed({next_op_ - 1, {Code::kAborted, "", ""}}, next_op_, out_));
  ASSERT_TRUE(Taken());
  EXPECT_TRUE(lease_.OnGot({next_op_ - 1, std::nullopt}));
  EXPECT_LT(lease_.NextDeadline() - now_, milliseconds(200));
  now_ = lease_.NextDeadline();
  (void)Asked();
  Granted(7);
  EXPECT_TRUE(lease_.Held(now_));
}

TEST_F(LeaseTest, OursFromBeforeARestartAndAReleasedOneAreTakenAtOnce) {
  for (const char* owner : {"me", "released"}) {
    lease_ = Lease(wire::Subjects(), "me", kLife);
    (void)Asked();
    Refused(nlohmann::json{{"owner", owner}, {"epoch", 3}}.dump(), 5);
    EXPECT_EQ(Asked().expected_last_subject_seq, 5u) << owner;
    Granted(6);
    EXPECT_TRUE(lease_.Held(now_));
  }
}

TEST_F(LeaseTest, LostToAnotherItIsNotHeldForAMoment) {
  (void)Asked();
  Granted(1);
  now_ = lease_.NextDeadline();
  (void)Asked();
  Refused(R"({"owner":"other","epoch":2})", 9);
  EXPECT_FALSE(lease_.Held(now_));
}

TEST_F(LeaseTest, AValueThatCannotBeReadIsAnothers) {
  for (const char* value : {"", "{", "[1]", R"({"owner":5,"epoch":"x"})"}) {
    lease_ = Lease(wire::Subjects(), "me", kLife);
    (void)Asked();
    Refused(value, 5);
    EXPECT_FALSE(Step()) << value;
  }
}

TEST_F(LeaseTest, ReleasedIsWrittenBehindOurRevisionForAnotherToTake) {
  (void)Asked();
  Granted(8);
  lease_.Release(next_op_, out_);
  const auto released = std::get<bus::Append>(*Taken()).request;
  EXPECT_EQ(released.expected_last_subject_seq, 8u);
  EXPECT_EQ(nlohmann::json::parse(released.payload)["owner"], "released");
  EXPECT_FALSE(lease_.Held(now_));
}

TEST_F(LeaseTest, CompletionsOfOthersAreNotItsOwn) {
  EXPECT_FALSE(lease_.OnAppended({0, "", 1, false}));
  (void)Asked();
  EXPECT_FALSE(lease_.OnAppended({next_op_ + 5, "", 1, false}));
  EXPECT_FALSE(lease_.OnGot({next_op_ + 5, std::nullopt}));
  EXPECT_FALSE(lease_.OnOpFailed({next_op_ + 5, {}}));
  EXPECT_FALSE(lease_.OnAppendFailed({next_op_ + 5, {}}, next_op_, out_));
  EXPECT_FALSE(lease_.Held(now_));
}

}  // namespace
}  // namespace cube::manager
