#include "services/worker/log_service.h"

#include <cube/v1/logs.pb.h>
#include <gtest/gtest.h>

#include "services/worker/engine/output_log.h"
#include "test/support/worker/loop_rig.h"

namespace cube::worker {
namespace {

using std::chrono::seconds;

constexpr std::uint64_t kStream = 5;

std::string Ask(LoopRig& rig, const v1::LogsRequest& request,
                const std::string& reply_to = "_INBOX.me") {
  return rig.Step(
      {FromBus{bus::Message{3, "cube.logs.n1", reply_to, {}, request.SerializeAsString()}}});
}
v1::LogsRequest Open(const std::string& task, std::uint64_t credit, bool follow = false,
                     std::uint32_t attempt = 0, int tail = -1) {
  v1::LogsRequest request;
  request.set_stream(kStream);
  v1::LogsOpen& open = *request.mutable_open();
  open.set_task(task);
  open.set_attempt(attempt);
  open.set_follow(follow);
  open.set_credit_bytes(credit);
  if (tail >= 0) open.set_tail_lines(static_cast<std::uint32_t>(tail));
  return request;
}
v1::LogsRequest Credit(std::uint64_t bytes) {
  v1::LogsRequest request;
  request.set_stream(kStream);
  request.set_credit_bytes(bytes);
  return request;
}
// All that was sent to the caller, "<launch>:<text>" for each piece, then "end" or its failure.
std::string Sent(const LoopRig& rig) {
  std::string text;
  std::uint64_t number = 0;
  for (const bus::Publish& publish : rig.published()) {
    if (publish.subject != "_INBOX.me") continue;
    v1::LogsReply reply;
    EXPECT_TRUE(reply.ParseFromString(publish.payload));
    EXPECT_EQ(reply.stream(), kStream);
    EXPECT_EQ(reply.number(), number++);
    if (reply.notice() != v1::LOGS_NOTICE_UNSPECIFIED) {
      text += std::to_string(reply.notice_launch()) + "!" + std::to_string(reply.notice()) + ";";
    }
    for (const v1::LogsChunk& chunk : reply.chunks()) {
      text += std::to_string(chunk.launch()) + ":" + chunk.data() + ";";
    }
    if (reply.end()) text += reply.has_failure() ? reply.failure().code() : "end";
  }
  return text;
}
std::string Chunk(LoopRig& rig, std::uint64_t stream, std::string bytes) {
  return rig.Engine(engine::LogChunk{stream, false, {}, std::move(bytes)});
}
std::string End(LoopRig& rig, std::uint64_t stream, std::optional<Error> error = {}) {
  return rig.Engine(engine::LogEnd{stream, std::move(error)});
}

Result<SavedOutput> Plain(std::string bytes) {
  return SavedOutput(std::move(bytes), SavedOutput::Form::kPlain);
}

// Task "a" runs; "b" is not known.
LoopRig Running() {
  LoopRig rig;
  rig.BecomeReady();
  rig.Assign(Batch(11, 10, {Start("a", 1, Spec("docker", {RestartMode::kAlways, 0}))}));
  rig.Engine(engine::Changed{Status(Key("a"), LaunchState::kRunning)});
  return rig;
}

TEST(Logs, StreamsFromTheEngineWithTheCallersCredit) {
  LoopRig rig = Running();
  EXPECT_EQ(Ask(rig, Open("a", 100)), "list-output a/1\n");
  EXPECT_EQ(rig.Step({OutputListed{kStream, {}}}), "open-logs 1 a/1/0\nlog-credit 1 100\n");
  Chunk(rig, 1, "hello\n");
  EXPECT_EQ(Ask(rig, Credit(50)), "log-credit 1 50\n");
  Chunk(rig, 1, "world\n");
  End(rig, 1);
  EXPECT_EQ(Sent(rig), "0:hello\n;0:world\n;end");
  EXPECT_EQ(Ask(rig, Credit(50)), "") << "the stream is over";
}

TEST(Logs, SayWhatIsNotKept) {
  LoopRig rig = Running();
  Ask(rig, Open("a", 100));
  rig.Step({OutputListed{kStream, {}}});
  using Gap = engine::LogChunk::Gap;
  rig.Engine(engine::LogChunk{1, false, {}, "x\n", Gap::kBetween});
  rig.Engine(engine::LogChunk{1, false, {}, "", Gap::kMaybeBeginning});
  End(rig, 1);
  EXPECT_EQ(Sent(rig), "0!30;0:x\n;0!20;end");
}

TEST(Logs, OfSavedOutputSayThatItsBeginningIsGone) {
  for (const int tail : {-1, 1}) {
    LoopRig rig = Running();
    Ask(rig, Open("a", 100, false, 1, tail));
    rig.Step({OutputListed{kStream, {}}});
    End(rig, 1, Error{Code::kNotFound, "", {}});
    std::string frames(engine::kCutMark);
    engine::AppendFrame({}, false, true, "end", &frames);
    rig.Step({OutputRead{kStream, Key("a"), SavedOutput(frames, SavedOutput::Form::kFrames)}});
    EXPECT_EQ(Sent(rig), tail < 0 ? "0!10;0:end\n;end" : "0:end\n;end")
        << "who asks for the last lines gets them";
  }
}

// What has not started is no failure: earlier launches are shown, and with none there is a notice.
TEST(Logs, OfWhatHasNotStartedAreNone) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Assign(Batch(11, 10, {Start("a", 1, Spec("docker", {RestartMode::kAlways, 0}))}));
  rig.Engine(engine::Changed{Status(Key("a"), LaunchState::kPulling)});
  Ask(rig, Open("a", 100));
  rig.Step({OutputListed{kStream, {}}});
  EXPECT_EQ(Sent(rig), "0!40;end");

  LoopRig again = Running();
  again.Engine(engine::Changed{Exited(Key("a"), 1)});
  again.Accept();
  again.Engine(engine::Changed{Status(Key("a", 1, 1), LaunchState::kStarting)});
  Ask(again, Open("a", 100));
  again.Step({OutputListed{kStream, {}}});
  Chunk(again, 1, "first\n");
  End(again, 1);
  EXPECT_EQ(Sent(again), "0:first\n;end");
}

// An engine that is just back may know less of a launch than we do.
TEST(Logs, NotStartedAsTheEngineSeesItIsNoFailure) {
  LoopRig rig = Running();
  Ask(rig, Open("a", 100));
  rig.Step({OutputListed{kStream, {}}});
  End(rig, 1, Error{Code::kPrecondition, "", {}});
  EXPECT_EQ(Sent(rig), "0!40;end");
}

TEST(Logs, RepliesToInboxesOnly) {
  LoopRig rig = Running();
  EXPECT_EQ(Ask(rig, Open("a", 100), "$JS.API.STREAM.PURGE.CUBE_DECISIONS"), "");
  EXPECT_EQ(Ask(rig, Open("a", 100), "cube.tasks.submit"), "");
  EXPECT_EQ(Ask(rig, Open("a", 100), ""), "");
  EXPECT_EQ(Ask(rig, Open("a", 100), "_R_.x.y"), "list-output a/1\n");
}

TEST(Logs, GarbageIsDropped) {
  LoopRig rig = Running();
  EXPECT_EQ(rig.Step({FromBus{bus::Message{3, "cube.logs.n1", "_INBOX.me", {}, "\xff"}}}), "");
  EXPECT_EQ(Ask(rig, Open("../../etc/passwd", 100)), "publish _INBOX.me\n");
  EXPECT_EQ(Sent(rig), "invalid");
}

TEST(Logs, OfAnUnknownTaskAreNotFound) {
  LoopRig rig = Running();
  EXPECT_EQ(Ask(rig, Open("b", 100)), "list-output b/0\n");
  rig.Step({OutputListed{kStream, {}}});
  EXPECT_EQ(Sent(rig), "not_found");
}

TEST(Logs, RemovedLaunchesComeFirstAndFromTheirFiles) {
  LoopRig rig = Running();
  Ask(rig, Open("a", 100));
  EXPECT_EQ(rig.Step({OutputListed{kStream, {Key("a", 1, 0)}}}),
            "open-logs 1 a/1/0\nlog-credit 1 100\n")
      << "what the engine still has is read there";
  LoopRig later = Running();
  later.Engine(engine::Changed{Exited(Key("a"), 1)});
  later.Accept();
  later.Accept();
  later.Engine(engine::Removed{Key("a")});
  later.Pass(seconds(1));
  later.Step();
  later.Engine(engine::Changed{Status(Key("a", 1, 1), LaunchState::kRunning)});
  Ask(later, Open("a", 1000));
  EXPECT_EQ(later.Step({OutputListed{kStream, {Key("a", 1, 0)}}}), "read-output a/1/0\n");
  EXPECT_EQ(later.Step({OutputRead{kStream, Key("a"), Plain("old\n")}}),
            "publish _INBOX.me\nopen-logs 1 a/1/1\nlog-credit 1 996\n");
  Chunk(later, 1, "new\n");
  End(later, 1);
  EXPECT_EQ(Sent(later), "0:old\n;1:new\n;end");
}

TEST(Logs, FilesKeepToTheCreditToo) {
  LoopRig rig;
  rig.BecomeReady();
  Ask(rig, Open("gone", 4));
  rig.Step({OutputListed{kStream, {Key("gone", 3, 0)}}});
  rig.Step({OutputRead{kStream, Key("gone", 3, 0), Plain("0123456789")}});
  EXPECT_EQ(Sent(rig), "0:0123;");
  Ask(rig, Credit(3));
  EXPECT_EQ(Sent(rig), "0:0123;0:456;");
  Ask(rig, Credit(100));
  EXPECT_EQ(Sent(rig), "0:0123;0:456;0:789;end");
}

TEST(Logs, TailIsOfTheNewestLaunch) {
  LoopRig rig;
  rig.BecomeReady();
  Ask(rig, Open("gone", 1000, false, 0, 2));
  EXPECT_EQ(rig.Step({OutputListed{kStream, {Key("gone", 1, 0), Key("gone", 1, 1)}}}),
            "read-output gone/1/1\n");
  rig.Step({OutputRead{kStream, Key("gone", 1, 1), Plain("a\nb\nc\nd\n")}});
  EXPECT_EQ(Sent(rig), "1:c\nd\n;end");
}

TEST(Logs, SavedFramesKeepStreamAndTime) {
  LoopRig rig;
  rig.BecomeReady();
  Ask(rig, Open("gone", 1000));
  rig.Step({OutputListed{kStream, {Key("gone", 1, 0)}}});
  std::string frames;
  engine::AppendFrame(WallFromNanos(1), false, true, "out", &frames);
  engine::AppendFrame(WallFromNanos(2), true, true, "err", &frames);
  rig.Step(
      {OutputRead{kStream, Key("gone", 1, 0), SavedOutput(frames, SavedOutput::Form::kFrames)}});
  EXPECT_EQ(Sent(rig), "0:out\n;0:err\n;end");
  v1::LogsReply reply;
  ASSERT_TRUE(reply.ParseFromString(rig.published().at(0).payload));
  ASSERT_EQ(reply.chunks_size(), 2) << "one message for many lines";
  EXPECT_FALSE(reply.chunks(0).is_stderr());
  EXPECT_TRUE(reply.chunks(1).is_stderr());
  EXPECT_EQ(reply.chunks(1).time_ns(), 2);
}

TEST(Logs, TailGoesToTheEngine) {
  LoopRig rig = Running();
  Ask(rig, Open("a", 100, true, 1, 7));
  EXPECT_EQ(rig.Step({OutputListed{kStream, {}}}),
            "open-logs 1 a/1/0 follow tail7\nlog-credit 1 100\n");
}

TEST(Logs, FollowingGoesOnWithTheNextLaunch) {
  LoopRig rig = Running();
  Ask(rig, Open("a", 100, true));
  rig.Step({OutputListed{kStream, {}}});
  Chunk(rig, 1, "first\n");
  rig.Engine(engine::Changed{Exited(Key("a"), 1)});
  End(rig, 1);
  EXPECT_EQ(Sent(rig), "0:first\n;") << "a restart is due";
  rig.Pass(seconds(1));
  rig.Step();
  EXPECT_EQ(rig.Engine(engine::Changed{Status(Key("a", 1, 1), LaunchState::kRunning)})
                    .find("open-logs 2 a/1/1 follow\nlog-credit 2 94\n") != std::string::npos,
            true);
  rig.Assign(Batch(12, 11, {StopOf("a")}));
  rig.Engine(engine::Changed{Exited(Key("a", 1, 1), 0)});
  End(rig, 2);
  EXPECT_EQ(Sent(rig), "0:first\n;end");
}

TEST(Logs, WhatIsBeingReadIsNotRemoved) {
  LoopRig rig = Running();
  Ask(rig, Open("a", 100, true));
  rig.Step({OutputListed{kStream, {}}});
  rig.Assign(Batch(12, 11, {StopOf("a")}));
  rig.Engine(engine::Changed{Exited(Key("a"), 0)});
  std::string text = rig.Accept();
  text += rig.Accept();
  EXPECT_EQ(text.find("remove"), std::string::npos) << text;
  EXPECT_NE((End(rig, 1) + rig.Step()).find("remove docker a/1/0"), std::string::npos);
}

TEST(Logs, RemovedInBetweenIsReadFromItsFile) {
  LoopRig rig = Running();
  Ask(rig, Open("a", 100));
  rig.Step({OutputListed{kStream, {}}});
  EXPECT_EQ(End(rig, 1, Error{Code::kNotFound, "no such container", {}}), "read-output a/1/0\n");
}

TEST(Logs, AFailureOfTheEngineIsTold) {
  LoopRig rig = Running();
  Ask(rig, Open("a", 100));
  rig.Step({OutputListed{kStream, {}}});
  Chunk(rig, 1, "x");
  End(rig, 1, Error{Code::kUnavailable, "away", {}});
  EXPECT_EQ(Sent(rig), "0:x;unavailable");
}

TEST(Logs, CloseEndsTheStream) {
  LoopRig rig = Running();
  Ask(rig, Open("a", 100, true));
  rig.Step({OutputListed{kStream, {}}});
  v1::LogsRequest close;
  close.set_stream(kStream);
  close.mutable_close();
  EXPECT_EQ(Ask(rig, close), "close-logs 1\npublish _INBOX.me\n");
  EXPECT_EQ(Chunk(rig, 1, "late"), "");
  EXPECT_EQ(Sent(rig), "end");
}

TEST(Logs, CreditIsBounded) {
  LoopRig rig = Running();
  Ask(rig, Open("a", ~0ull));
  EXPECT_EQ(rig.Step({OutputListed{kStream, {}}}),
            "open-logs 1 a/1/0\nlog-credit 1 " + std::to_string(kLogCreditMax) + "\n");
  EXPECT_EQ(Ask(rig, Credit(~0ull)), "");
}

TEST(Logs, StreamsAreBounded) {
  LoopRig rig = Running();
  for (std::uint64_t i = 0; i < kLogStreamsMax + 10; ++i) {
    v1::LogsRequest open = Open("a", 10);
    open.set_stream(1000 + i);
    Ask(rig, open, "_INBOX.other");
    rig.Pass(std::chrono::milliseconds(1));
  }
  int ended = 0;
  for (const bus::Publish& publish : rig.published()) {
    v1::LogsReply reply;
    if (reply.ParseFromString(publish.payload) && reply.end()) {
      EXPECT_EQ(reply.stream(), 1000u + static_cast<unsigned>(ended++)) << "the oldest first";
    }
  }
  EXPECT_EQ(ended, 10);
}

}  // namespace
}  // namespace cube::worker
