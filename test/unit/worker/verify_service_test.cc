#include "services/worker/verify_service.h"

#include <cube/v1/verify.pb.h>
#include <gtest/gtest.h>

#include "shared/wire/digest.h"
#include "test/support/worker/core_rig.h"

namespace cube::worker {
namespace {

bus::Message Question(const std::string& task = "", const std::string& inbox = "_INBOX.x") {
  v1::VerifyNodeRequest request;
  request.set_task(task);
  return {1, "cube.verify.node.n1", inbox, {}, request.SerializeAsString()};
}

v1::VerifyNodeReply Asked(CoreRig& rig, const std::string& task = "") {
  const auto answer = AnswerVerify(Question(task), kNode, rig.core());
  v1::VerifyNodeReply reply;
  EXPECT_TRUE(answer.has_value());
  if (answer) {
    EXPECT_EQ(answer->subject, "_INBOX.x");
    EXPECT_LE(answer->payload.size(), 256u << 10);
    EXPECT_TRUE(reply.ParseFromString(answer->payload));
  }
  return reply;
}

TEST(WorkerVerify, SaysWhatItHolds) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a"), Start("b")}));
  rig.Apply(Batch(12, 11, {StopOf("b")}));
  rig.Step();
  const v1::VerifyNodeReply reply = Asked(rig);
  EXPECT_EQ(reply.node(), "n1");
  EXPECT_EQ(reply.instance(), kInstance);
  EXPECT_EQ(reply.incarnation(), 1u);
  EXPECT_EQ(reply.position(), 12u);
  EXPECT_EQ(reply.cluster(), kCluster);
  EXPECT_EQ(reply.last_fact(), rig.core().meta().last_fact);
  ASSERT_EQ(reply.attempts_size(), 2);
  EXPECT_EQ(reply.attempts(0).task(), "a");
  EXPECT_EQ(reply.attempts(0).placement().cycle(), PlacedBy(1).cycle);
  EXPECT_EQ(reply.attempts(0).spec_digest(), wire::SpecDigest(*Spec()));
  EXPECT_FALSE(reply.attempts(0).stop());
  EXPECT_TRUE(reply.attempts(1).stop());
  EXPECT_EQ(reply.next(), "");
}

TEST(WorkerVerify, InPages) {
  constexpr std::size_t kTasks = 4000;
  CoreRig rig = CoreRig::Ready();
  std::vector<Assignment> assignments;
  for (std::size_t i = 0; i < kTasks; ++i) {
    assignments.push_back(Start(std::string(40, 'x') + std::to_string(10'000 + i)));
  }
  rig.Apply(Set(11, assignments));
  std::size_t attempts = 0;
  std::size_t pages = 0;
  std::string task;
  do {
    const v1::VerifyNodeReply reply = Asked(rig, task);
    attempts += static_cast<std::size_t>(reply.attempts_size());
    task = reply.next();
    ++pages;
  } while (!task.empty() && pages < kTasks);
  EXPECT_EQ(attempts, kTasks);
  EXPECT_GT(pages, 1u);
}

TEST(WorkerVerify, AnswersOnlyToInboxes) {
  CoreRig rig = CoreRig::Ready();
  EXPECT_FALSE(AnswerVerify(Question("", "cube.facts.n1"), kNode, rig.core()).has_value());
  bus::Message unreadable = Question();
  unreadable.payload = "\xff\xff";
  EXPECT_FALSE(AnswerVerify(unreadable, kNode, rig.core()).has_value());
}

}  // namespace
}  // namespace cube::worker
