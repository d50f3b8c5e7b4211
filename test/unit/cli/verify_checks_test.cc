#include <gtest/gtest.h>

#include "services/cli/exit_code.h"
#include "services/cli/verify/checks.h"
#include "services/cli/verify/report.h"
#include "shared/cluster/assignments.h"
#include "shared/wire/convert.h"
#include "shared/wire/digest.h"
#include "test/support/cluster/log_writer.h"

namespace cube::cli {
namespace {

const NodeName kNode = NodeName::Trusted("n1");

class VerifyChecksTest : public testing::Test {
 protected:
  VerifyChecksTest() {
    log_.Join("n1", {400'000, 1LL << 40, 0});
    for (const char* id : {"a-1", "a-2", "a-3"}) log_.Submit(id, test::Spec("a"));
    log_.Decide({log_.Start("a-1", "n1"), log_.Start("a-2", "n1")});
    log_.Launch("a-1", LaunchState::kRunning);
    log_.Decide({});
  }
  Node& node() { return log_.view().nodes.at(kNode); }
  Task& task(const std::string& id) { return *log_.view().Find(TaskId::Trusted(id)); }
  std::vector<DesiredPage> Set() {
    DesiredPage page;
    page.term = log_.view().term;
    page.node = kNode;
    page.instance = node().instance;
    page.incarnation = node().incarnation;
    page.seq = log_.view().valid_seq;
    page.last_fact = node().last_fact;
    for (const TaskNumber& number : node().attempts) {
      page.assignments.push_back(AssignmentOf(log_.view().tasks.At(number)));
    }
    return {page};
  }
  // As the worker that has done all it was told.
  v1::VerifyNodeReply Held() {
    v1::VerifyNodeReply held;
    held.set_node("n1");
    held.set_instance(node().instance);
    held.set_incarnation(node().incarnation);
    held.set_position(log_.view().valid_seq);
    held.set_last_fact(node().last_fact);
    held.set_cluster(log_.view().term_start->cluster);
    for (const TaskNumber& number : node().attempts) {
      const Task& of = log_.view().tasks.At(number);
      v1::HeldAttempt& attempt = *held.add_attempts();
      attempt.set_task(IdOf(of).str());
      attempt.set_attempt(of.attempt);
      wire::ToProto(of.placement, *attempt.mutable_placement());
      attempt.set_spec_digest(wire::SpecDigest(*of.spec));
      if (of.observed) wire::ToProto(FactOf(of), *attempt.mutable_last_fact());
    }
    return held;
  }
  void ExpectHeld(const v1::VerifyNodeReply& held, const std::string& record,
                  const std::string& field, bool unsettled = false) {
    const HeldCheck check = CompareHeld(log_.view(), held);
    ASSERT_TRUE(check.difference.has_value()) << record << " " << field;
    EXPECT_EQ(check.difference->record, record);
    EXPECT_EQ(check.difference->field, field);
    EXPECT_EQ(check.unsettled, unsettled);
  }

  test::LogWriter log_;
};

TEST_F(VerifyChecksTest, ADamagedRecordOfAViewIsNamed) {
  const View log = log_.view().Copy();
  EXPECT_FALSE(CompareViews(log, log_.view()).has_value());
  task("a-2").attempt = 9;
  task("a-2").seldom.Edit().lost_reason = std::string("none");
  const auto found = CompareViews(log, log_.view());
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->record, "task a-2");
  EXPECT_EQ(found->field, "attempt");
  EXPECT_EQ(found->log, "1");
  EXPECT_EQ(found->service, "9");
  EXPECT_EQ(found->more, 1u);
}

TEST_F(VerifyChecksTest, ARecordThatOnlyOneSideHas) {
  const View log = log_.view().Copy();
  log_.Submit("a-4", test::Spec("a"));
  const auto only_service = CompareRecordLists(
      manager::RecordKind::kTask, RecordsIn(log, manager::RecordKind::kTask, "", ""),
      RecordsIn(log_.view(), manager::RecordKind::kTask, "", ""));
  ASSERT_TRUE(only_service.has_value());
  EXPECT_EQ(only_service->record, "task a-4");
  EXPECT_EQ(only_service->log, "");
  const auto only_log = CompareRecordLists(
      manager::RecordKind::kTask, RecordsIn(log_.view(), manager::RecordKind::kTask, "", ""),
      RecordsIn(log, manager::RecordKind::kTask, "", ""));
  ASSERT_TRUE(only_log.has_value());
  EXPECT_EQ(only_log->record, "task a-4");
  EXPECT_EQ(only_log->service, "");
}

TEST_F(VerifyChecksTest, RangesMustTellOfEverything) {
  manager::ViewDigest digest;
  digest.Begin(log_.view());
  digest.Walk(log_.view(), 100);
  v1::VerifyViewReply reply;
  for (const auto& range : digest.Ranges(log_.view())) {
    v1::RangeDigest& to = *reply.add_ranges();
    to.set_kind(static_cast<v1::RecordKind>(range.kind));
    to.set_first(range.first);
    to.set_records(range.records);
    to.set_digest(range.digest);
  }
  const auto ranges = RangesFrom(reply);
  ASSERT_TRUE(ranges.has_value());
  EXPECT_FALSE(FirstDifferentRange(log_.view(), *ranges).has_value());
  task("a-3").stop_wanted = true;
  const auto range = FirstDifferentRange(log_.view(), *ranges);
  ASSERT_TRUE(range.has_value());
  EXPECT_EQ(range->kind, manager::RecordKind::kTask);
  reply.mutable_ranges()->RemoveLast();
  EXPECT_FALSE(RangesFrom(reply).has_value());
}

TEST_F(VerifyChecksTest, CompleteSets) {
  EXPECT_FALSE(CompareSet(log_.view(), Set()).has_value());
  auto set = Set();
  set[0].assignments[1].placement.cycle += 1;
  EXPECT_EQ(CompareSet(log_.view(), set)->field, "placement");
  EXPECT_EQ(CompareSet(log_.view(), set)->record, "task a-2 attempt 1");
  set = Set();
  set[0].assignments.pop_back();
  EXPECT_EQ(CompareSet(log_.view(), set)->service, "");
  set = Set();
  set[0].assignments.push_back(AssignmentOf(task("a-3")));
  EXPECT_EQ(CompareSet(log_.view(), set)->record, "task a-3 attempt 0");
  set = Set();
  set[0].last_fact += 1;
  EXPECT_EQ(CompareSet(log_.view(), set)->field, "last_fact");
}

TEST_F(VerifyChecksTest, AWorkerThatHoldsWhatTheLogSays) {
  EXPECT_FALSE(CompareHeld(log_.view(), Held()).difference.has_value());
}

TEST_F(VerifyChecksTest, WhatIsUnderWayIsUnsettled) {
  auto held = Held();
  held.set_position(node().last_decision - 1);
  ExpectHeld(held, "node n1", "position", true);
  held = Held();
  held.set_position(log_.view().valid_seq + 1);
  ExpectHeld(held, "node n1", "position", true);
  held = Held();
  held.set_incarnation(7);
  ExpectHeld(held, "node n1", "incarnation", true);
  held = Held();
  held.mutable_attempts()->RemoveLast();
  held.set_forgotten_fact(node().last_fact + 1);
  ExpectHeld(held, "task a-2 attempt 1", "(record)", true);
}

TEST_F(VerifyChecksTest, WhatAWorkerHoldsOtherwise) {
  auto held = Held();
  held.mutable_attempts()->RemoveLast();
  ExpectHeld(held, "task a-2 attempt 1", "(record)");
  held = Held();
  held.mutable_attempts(0)->mutable_placement()->set_cycle(99);
  ExpectHeld(held, "task a-1 attempt 1", "placement");
  held = Held();
  held.mutable_attempts(0)->set_spec_digest(1);
  ExpectHeld(held, "task a-1 attempt 1", "spec");
  held = Held();
  held.mutable_attempts(1)->set_stop(true);
  ExpectHeld(held, "task a-2 attempt 1", "stop");
  held = Held();
  held.mutable_attempts(0)->mutable_last_fact()->set_state(v1::LAUNCH_STATE_EXITED);
  ExpectHeld(held, "task a-1 attempt 1", "state");
  held = Held();
  *held.add_attempts() = held.attempts(0);
  held.mutable_attempts(2)->set_task("b-1");
  ExpectHeld(held, "task b-1 attempt 1", "(record)");
}

TEST_F(VerifyChecksTest, EndsThatTheLogHasNotFolded) {
  auto held = Held();
  held.mutable_attempts(0)->set_done(true);
  held.mutable_attempts(0)->set_final_fact(node().last_fact + 1);
  held.set_last_fact(node().last_fact + 1);
  EXPECT_FALSE(CompareHeld(log_.view(), held).difference.has_value());
  held.mutable_attempts(0)->set_final_fact(node().last_fact);
  ExpectHeld(held, "task a-1 attempt 1", "done");
}

TEST(VerifyReport, ExitCodes) {
  VerifyReport report;
  report.streams = {{"CUBE_INTENTS", 1, 3, 3, 0}};
  report.compared = {{"manager", "m0", 3, Verdict::kSame, "leads", std::nullopt},
                     {"worker", "a", 0, Verdict::kNotCompared, "is down", std::nullopt}};
  EXPECT_EQ(ExitCodeOf(report), kExitDone);
  report.foreign = 4;  // they are skipped by all alike
  EXPECT_EQ(ExitCodeOf(report), kExitDone);
  report.compared[1].verdict = Verdict::kNoAnswer;
  EXPECT_EQ(ExitCodeOf(report), kExitNotConverged);
  report.compared[0].verdict = Verdict::kDiffers;
  EXPECT_EQ(ExitCodeOf(report), kExitFailed);
  report.compared.clear();
  report.streams[0].missing = 1;
  EXPECT_EQ(ExitCodeOf(report), kExitFailed);
}

TEST(VerifyReport, NamesRecordFieldAndBothValues) {
  VerifyReport report;
  report.streams = {{"CUBE_DECISIONS", 1, 7, 7, 0}};
  report.decision = 7;
  report.foreign = 2;
  report.compared = {
      {"manager", "m1", 7, Verdict::kDiffers, "", Difference{"task web-1", "node", "a", "b", 1}}};
  const std::string text = ToText(report, {});
  for (const char* part :
       {"CUBE_DECISIONS", "2 foreign decisions", "manager m1, as of decision 7", "task web-1",
        "field   node", "log     a", "it has  b", "and 1 more fields"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in\n" << text;
  }
  const auto json = ToJson(report);
  EXPECT_EQ(json["same"], false);
  EXPECT_EQ(json["compared"][0]["difference"]["service"], "b");
  EXPECT_EQ(json["foreign_decisions"], 2);
}

}  // namespace
}  // namespace cube::cli
