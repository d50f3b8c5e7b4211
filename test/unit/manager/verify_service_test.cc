#include "services/manager/verify_service.h"

#include <gtest/gtest.h>

#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

constexpr std::uint64_t kInstance = 42;
const std::string kInbox = "_INBOX.x";
constexpr VerifyService::Standing kGood{.at_commit = true, .complete = true, .leading = true};

class VerifyServiceTest : public testing::Test {
 protected:
  VerifyServiceTest() {
    service_.SetName("m0", kInstance);
    log_.Join("n1", {400'000, 1LL << 40, 0});
    TaskSpec spec = test::Spec("a");
    spec.env["BALLAST"] = std::string(100, 'x');
    for (int i = 0; i < 3000; ++i) log_.Submit("a-" + std::to_string(i), spec);
    log_.Decide({});
  }
  void Ask(const v1::VerifyViewRequest& request, const std::string& inbox = kInbox) {
    service_.OnRequest({1, "cube.verify.managers", inbox, {}, request.SerializeAsString()}, true,
                       now_, out_);
  }
  // What was answered since the last call.
  std::vector<v1::VerifyViewReply> Answers() {
    std::vector<v1::VerifyViewReply> answers;
    for (Operation& operation : out_.Take()) {
      const auto& publish = std::get<bus::Publish>(std::get<bus::Operation>(operation));
      EXPECT_EQ(publish.subject, kInbox);
      answers.emplace_back().ParseFromString(publish.payload);
    }
    return answers;
  }
  std::size_t StepsToAnswer(VerifyService::Standing standing = kGood) {
    std::size_t steps = 0;
    std::vector<v1::VerifyViewReply> answers;
    while (answers.empty() && steps < 100) {
      service_.Step(log_.view(), standing, now_, out_);
      ++steps;
      answers = Answers();
    }
    if (!answers.empty()) last_ = answers.back();
    return steps;
  }

  test::LogWriter log_;
  VerifyService service_;
  MonoTime now_{std::chrono::hours(1)};
  Operations out_;
  v1::VerifyViewReply last_;
};

TEST_F(VerifyServiceTest, SaysAtOnceThatItIsThere) {
  Ask({});
  const auto answers = Answers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0].begun());
  EXPECT_EQ(answers[0].manager(), "m0");
  EXPECT_EQ(answers[0].instance(), kInstance);
}

TEST_F(VerifyServiceTest, DigestsOverSeveralSteps) {
  EXPECT_EQ(service_.NextDeadline(now_), MonoTime::max());
  Ask({});
  Answers();
  EXPECT_EQ(StepsToAnswer(), 3000 / kVerifyRecordsPerStep + 1);
  EXPECT_EQ(last_.decision(), log_.view().valid_seq);
  std::uint64_t records = 0;
  for (const v1::RangeDigest& range : last_.ranges()) records += range.records();
  EXPECT_GE(records, 3000u);
  EXPECT_EQ(service_.NextDeadline(now_), MonoTime::max()) << "nothing is left to do";
}

TEST_F(VerifyServiceTest, OnlyAtACommit) {
  Ask({});
  Answers();
  EXPECT_EQ(StepsToAnswer({.at_commit = false, .complete = true}), 100u);
  EXPECT_EQ(StepsToAnswer(), 1u);
}

TEST_F(VerifyServiceTest, WaitsForTheDecision) {
  v1::VerifyViewRequest request;
  request.set_min_decision(log_.view().valid_seq + 1);
  Ask(request);
  Answers();
  EXPECT_EQ(StepsToAnswer(), 100u);
  service_.BeforeSave(log_.view());
  log_.Decide({});
  EXPECT_EQ(StepsToAnswer(), 1u);
  EXPECT_FALSE(last_.has_failure());
}

TEST_F(VerifyServiceTest, GivesUpInTime) {
  v1::VerifyViewRequest request;
  request.set_min_decision(1'000'000);
  Ask(request);
  Answers();
  EXPECT_EQ(StepsToAnswer(), 100u);
  EXPECT_EQ(service_.NextDeadline(now_), now_ + kVerifyWaitMax);
  now_ += kVerifyWaitMax;
  EXPECT_EQ(StepsToAnswer(), 1u);
  EXPECT_EQ(last_.failure().code(), "timed_out");
}

TEST_F(VerifyServiceTest, AManagerThatStillReadsSaysSo) {
  Ask({});
  Answers();
  EXPECT_EQ(StepsToAnswer({.at_commit = true, .complete = false}), 100u) << "it may be there soon";
  EXPECT_EQ(service_.NextDeadline(now_), now_ + kVerifyReadMax);
  now_ += kVerifyReadMax;
  StepsToAnswer({.at_commit = true, .complete = false});
  EXPECT_EQ(last_.failure().code(), "unavailable");
}

// It looks at the log again since it had lost its connection: what it has hashed counts no more,
// and it waits instead of being called again and again.
TEST_F(VerifyServiceTest, AViewThatIsInDoubtIsNotWalked) {
  Ask({});
  Answers();
  service_.Step(log_.view(), kGood, now_, out_);
  ASSERT_EQ(service_.NextDeadline(now_), now_) << "not walked to its end yet";
  now_ += std::chrono::seconds(20);  // a long walk
  service_.Step(log_.view(), {.at_commit = true, .complete = false}, now_, out_);
  EXPECT_TRUE(Answers().empty());
  EXPECT_EQ(service_.NextDeadline(now_), now_ + kVerifyReadMax);
  EXPECT_GT(StepsToAnswer(), 1u) << "from its beginning";
  EXPECT_FALSE(last_.has_failure());
}

TEST_F(VerifyServiceTest, AManagerThatHasReadTheLogMeanwhileAnswers) {
  Ask({});
  Answers();
  EXPECT_EQ(StepsToAnswer({.at_commit = true, .complete = false}), 100u);
  StepsToAnswer();
  EXPECT_FALSE(last_.has_failure());
}

TEST_F(VerifyServiceTest, ForAnotherManager) {
  v1::VerifyViewRequest request;
  request.set_instance(kInstance + 1);
  Ask(request);
  EXPECT_TRUE(Answers().empty());
}

TEST_F(VerifyServiceTest, RecordsInPages) {
  v1::VerifyViewRequest request;
  request.mutable_range()->set_kind(v1::RECORD_KIND_TASK);
  std::uint64_t records = 0;
  std::size_t pages = 0;
  do {
    Ask(request);
    Answers();
    StepsToAnswer();
    ASSERT_FALSE(last_.has_failure());
    EXPECT_LE(last_.ByteSizeLong(), 256u << 10);
    records += static_cast<std::uint64_t>(last_.records_size());
    request.mutable_range()->set_first(last_.next());
    ++pages;
  } while (!last_.next().empty());
  EXPECT_EQ(records, 3000u);
  EXPECT_GT(pages, 1u);
  request.mutable_range()->set_first(RecordKey(TaskNumber{10, 0}));
  request.mutable_range()->set_end(RecordKey(TaskNumber{12, 0}));
  Ask(request);
  Answers();
  StepsToAnswer();
  EXPECT_EQ(last_.records_size(), 2);
}

TEST_F(VerifyServiceTest, BadQuestions) {
  v1::VerifyViewRequest request;
  request.mutable_range()->set_kind(static_cast<v1::RecordKind>(7));
  Ask(request);
  EXPECT_EQ(Answers().at(0).failure().code(), "invalid");
  service_.OnRequest({1, "cube.verify.managers", kInbox, {}, "\xff\xff"}, true, now_, out_);
  EXPECT_EQ(Answers().at(0).failure().code(), "invalid");
  Ask({}, "$JS.API.STREAM.PURGE.CUBE_DECISIONS");
  EXPECT_TRUE(Answers().empty());
  for (std::size_t i = 0; i < 2 * kVerifyWaitingMax; ++i) Ask({});
  EXPECT_EQ(Answers().size(), kVerifyWaitingMax);
}

}  // namespace
}  // namespace cube::manager
