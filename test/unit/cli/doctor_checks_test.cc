#include "services/cli/doctor_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cube::cli {
namespace {

using ::testing::HasSubstr;

DoctorSight::Stream Stream(const std::string& name) {
  bus::StreamState state;
  state.name = name;
  state.last_seq = 100;
  state.bytes = 10 << 20;
  state.bytes_max = 100 << 20;
  return {name, state};
}

// A cluster of three replicas and one ready node with nothing to complain about.
DoctorSight Well() {
  DoctorSight sight;
  sight.server = "nats://127.0.0.1:4222";
  sight.version = "2.10.27";
  sight.round_trip = std::chrono::microseconds(400);
  sight.streams = {Stream("CUBE_INTENTS"), Stream("CUBE_DECISIONS")};
  for (auto& stream : sight.streams) stream.state->replicas = 3;
  sight.decisions_stream = "CUBE_DECISIONS";
  sight.sized = {"CUBE_INTENTS", "CUBE_DECISIONS"};
  v1::QueryReply reply;
  reply.set_manager("m1");
  reply.set_decision_seq(100);
  reply.mutable_cluster()->set_leader("m1");
  sight.cluster = reply;
  v1::NodeView node;
  node.set_name("node-a");
  node.set_status("ready");
  auto* engine = node.mutable_description()->add_engines();
  engine->set_kind("docker");
  engine->set_up(true);
  engine->set_limits(true);
  sight.nodes.push_back(node);
  sight.beats = {{"node-a", WallFromNanos(5'000'000'000), WallFromNanos(5'100'000'000)}};
  return sight;
}

// What is not ok, as "level check: text".
std::vector<std::string> Complaints(const DoctorSight& sight) {
  std::vector<std::string> all;
  for (const auto& finding : Diagnose(sight)) {
    if (finding.level == Level::kOk) continue;
    EXPECT_FALSE(finding.remedy.empty()) << finding.text;
    all.push_back(std::string(LevelName(finding.level)) + " " + finding.check + ": " +
                  finding.text);
  }
  return all;
}

TEST(Doctor, HasNothingToSayOfAGoodCluster) {
  EXPECT_THAT(Complaints(Well()), testing::IsEmpty());
  EXPECT_TRUE(AllWell(Diagnose(Well())));
}

TEST(Doctor, AnOldServerFails) {
  DoctorSight sight = Well();
  sight.version = "2.8.4";
  EXPECT_THAT(Complaints(sight),
              testing::ElementsAre(HasSubstr("failed server: nats-server 2.8.4")));
  EXPECT_FALSE(AllWell(Diagnose(sight)));
}

TEST(Doctor, MissingStreamsAndNoJetStreamAreToldApart) {
  DoctorSight sight = Well();
  sight.streams[1].state = Fail(Code::kPrecondition, "no such stream");
  EXPECT_THAT(Complaints(sight),
              testing::ElementsAre(HasSubstr("failed streams: missing: CUBE_DECISIONS")));
  sight.streams[1].state = Fail(Code::kUnavailable, "nobody listens there");
  EXPECT_THAT(Complaints(sight), testing::ElementsAre(HasSubstr("nobody listens there")));
}

TEST(Doctor, FullStreamsAreConcernsThenDangers) {
  DoctorSight sight = Well();
  sight.streams[0].state->bytes = 80 << 20;
  EXPECT_THAT(Complaints(sight), testing::ElementsAre(HasSubstr("warning size: CUBE_INTENTS")));
  sight.streams[0].state->bytes = 90 << 20;
  EXPECT_THAT(Complaints(sight), testing::ElementsAre(HasSubstr("failed size: CUBE_INTENTS")));
}

TEST(Doctor, OneReplicaIsAWarningWithARemedyForTheServer) {
  DoctorSight sight = Well();
  for (auto& stream : sight.streams) stream.state->replicas = 1;
  ASSERT_THAT(Complaints(sight), testing::ElementsAre(HasSubstr("warning durability")));
  EXPECT_TRUE(AllWell(Diagnose(sight)));
  sight.version = "2.9.10";
  bool said = false;
  for (const auto& finding : Diagnose(sight)) {
    said = said || finding.remedy.find("2.9.10 cannot sync") != std::string::npos;
  }
  EXPECT_TRUE(said);
}

TEST(Doctor, NoManagerNoLeaderAndALateManager) {
  DoctorSight sight = Well();
  sight.cluster->set_decision_seq(100);
  sight.streams[1].state->last_seq = 100 + kDecisionsBehindNotice + 1;
  EXPECT_THAT(Complaints(sight), testing::ElementsAre(HasSubstr("decisions behind the log")));
  sight = Well();
  sight.cluster->mutable_cluster()->clear_leader();
  EXPECT_THAT(Complaints(sight), testing::ElementsAre(HasSubstr("failed leader: no manager")));
  sight.cluster = Fail(Code::kUnavailable, "no manager answers");
  EXPECT_THAT(Complaints(sight), testing::ElementsAre(HasSubstr("failed manager: no manager")));
}

TEST(Doctor, WithoutNodesNothingIsSaidOfEngines) {
  DoctorSight sight = Well();
  sight.nodes.clear();
  EXPECT_THAT(Complaints(sight), testing::ElementsAre("failed nodes: no node has joined yet"));
  for (const auto& finding : Diagnose(sight)) EXPECT_NE(finding.check, "engines");
}

TEST(Doctor, NodesThatAreDownAndEnginesThatDoNotAnswer) {
  DoctorSight sight = Well();
  v1::NodeView down;
  down.set_name("node-b");
  down.set_status("down");
  sight.nodes.push_back(down);
  EXPECT_THAT(Complaints(sight), testing::ElementsAre("warning nodes: down: node-b"));
  sight.nodes[0].mutable_description()->mutable_engines(0)->set_up(false);
  EXPECT_THAT(Complaints(sight),
              testing::ElementsAre("warning nodes: down: node-b",
                                   "warning engines: not answering: docker on node-a"));
  sight.nodes[0].set_status("joining");
  EXPECT_THAT(Complaints(sight),
              testing::ElementsAre("failed nodes: 0 of 2 ready", "warning nodes: down: node-b",
                                   "warning nodes: joining: node-a"));
}

TEST(Doctor, ClocksThatDifferInEitherDirection) {
  DoctorSight sight = Well();
  sight.beats = {{"early", WallFromNanos(1'000'000'000), WallFromNanos(11'000'000'000)},
                 {"late", WallFromNanos(20'000'000'000), WallFromNanos(11'000'000'000)},
                 {"good", WallFromNanos(11'000'000'000), WallFromNanos(11'500'000'000)}};
  EXPECT_THAT(
      Complaints(sight),
      testing::ElementsAre("warning clocks: differ from the server's: early by -10s, late by +9s"));
}

TEST(Doctor, VersionsAreComparedAsNumbers) {
  EXPECT_TRUE(AtLeast("2.10.27", 2, 9));
  EXPECT_TRUE(AtLeast("2.10.27", 2, 10));
  EXPECT_FALSE(AtLeast("2.9.10", 2, 10));
  EXPECT_TRUE(AtLeast("3.0.0", 2, 10));
  EXPECT_FALSE(AtLeast("", 2, 9));
  EXPECT_FALSE(AtLeast("two", 2, 9));
}

}  // namespace
}  // namespace cube::cli
