#include "services/worker/exec_service.h"

#include <cube/v1/exec.pb.h>
#include <gtest/gtest.h>

#include "test/support/worker/loop_rig.h"

namespace cube::worker {
namespace {

using std::chrono::seconds;

constexpr std::uint64_t kSession = 5;
constexpr std::uint64_t kExec = 1;  // the engine's number of the first command

std::string Ask(LoopRig& rig, const v1::ExecRequest& request,
                const std::string& reply_to = "_INBOX.me") {
  return rig.Step(
      {FromBus{bus::Message{4, "cube.exec.n1", reply_to, {}, request.SerializeAsString()}}});
}
v1::ExecRequest Open(const std::string& task, bool input = false,
                     std::uint64_t session = kSession) {
  v1::ExecRequest request;
  request.set_session(session);
  v1::ExecOpen& open = *request.mutable_open();
  open.set_task(task);
  open.add_command("ls");
  open.add_command("-l");
  open.set_input(input);
  open.set_credit_bytes(100);
  return request;
}
v1::ExecRequest Credit(std::uint64_t bytes) {
  v1::ExecRequest request;
  request.set_session(kSession);
  request.set_credit_bytes(bytes);
  return request;
}
v1::ExecRequest Input(std::uint64_t number, std::string bytes, bool last = false) {
  v1::ExecRequest request;
  request.set_session(kSession);
  request.mutable_input()->set_number(number);
  request.mutable_input()->set_data(std::move(bytes));
  request.mutable_input()->set_last(last);
  return request;
}
v1::ExecRequest Close() {
  v1::ExecRequest request;
  request.set_session(kSession);
  request.mutable_close();
  return request;
}
// All that was sent to the caller: "out:…", "err:…", "+N" input credit, then "end N" or the code of
// its failure.
std::string Sent(const LoopRig& rig, std::uint64_t session = kSession) {
  std::string text;
  std::uint64_t number = 0;
  for (const bus::Publish& publish : rig.published()) {
    if (publish.subject != "_INBOX.me") continue;
    v1::ExecReply reply;
    EXPECT_TRUE(reply.ParseFromString(publish.payload));
    if (reply.session() != session) continue;
    EXPECT_EQ(reply.number(), number++);
    for (const v1::ExecChunk& chunk : reply.chunks())
      text += (chunk.is_stderr() ? "err:" : "out:") + chunk.data() + ";";
    if (reply.input_credit_bytes() > 0)
      text += "+" + std::to_string(reply.input_credit_bytes()) + ";";
    if (!reply.end()) continue;
    text +=
        reply.has_failure() ? reply.failure().code() : "end " + std::to_string(reply.exit_code());
  }
  return text;
}

// Task "a" runs; "b" is not known.
LoopRig Running() {
  LoopRig rig;
  rig.BecomeReady();
  rig.Assign(Batch(11, 10, {Start("a", 1, Spec("docker", {RestartMode::kAlways, 0}))}));
  rig.Engine(engine::Changed{Status(Key("a"), LaunchState::kRunning)});
  return rig;
}

TEST(Exec, StreamsBothWaysByCredit) {
  LoopRig rig = Running();
  EXPECT_EQ(Ask(rig, Open("a", true)),
            "publish _INBOX.me\nexec 1 a/1/0 ls -l <input\nexec-credit 1 100\n");
  EXPECT_EQ(Ask(rig, Input(0, "abc")), "exec-input 1 abc\n");
  rig.Engine(engine::ExecTook{kExec, 3});
  rig.Engine(engine::ExecOutput{kExec, false, "one"});
  rig.Engine(engine::ExecOutput{kExec, true, "two"});
  EXPECT_EQ(Ask(rig, Credit(50)), "exec-credit 1 50\n");
  EXPECT_EQ(Ask(rig, Input(1, "d", true)), "exec-input 1 d$\n");
  EXPECT_EQ(Ask(rig, Input(2, "e")), "") << "behind the end of the input";
  rig.Engine(engine::ExecEnded{kExec, 7, std::nullopt});
  EXPECT_EQ(Sent(rig), "+262144;+3;out:one;err:two;end 7");
  rig.Engine(engine::ExecOutput{kExec, false, "late"});
  EXPECT_EQ(Sent(rig), "+262144;+3;out:one;err:two;end 7");
}

TEST(Exec, ErrorsOfTheEngineAreTold) {
  LoopRig rig = Running();
  Ask(rig, Open("a"));
  rig.Engine(engine::ExecEnded{kExec, -1, Error{Code::kPrecondition, "paused", {}}});
  EXPECT_EQ(Sent(rig), "precondition");
}

TEST(Exec, RefusesWhatItCannotRun) {
  LoopRig rig = Running();
  Ask(rig, Open("b"));
  EXPECT_EQ(Sent(rig), "not_found");
  v1::ExecRequest empty = Open("a", false, 6);
  empty.mutable_open()->clear_command();
  Ask(rig, empty);
  EXPECT_EQ(Sent(rig, 6), "invalid");
  v1::ExecRequest relative = Open("a", false, 7);
  relative.mutable_open()->set_workdir("tmp");
  Ask(rig, relative);
  EXPECT_EQ(Sent(rig, 7), "invalid");
  v1::ExecRequest long_one = Open("a", false, 8);
  long_one.mutable_open()->add_command(std::string(kExecCommandBytesMax, 'x'));
  Ask(rig, long_one);
  EXPECT_EQ(Sent(rig, 8), "resource");
}

// Nobody may have the worker publish to a subject of his choice.
TEST(Exec, AnswersInboxesOnly) {
  LoopRig rig = Running();
  EXPECT_EQ(Ask(rig, Open("a"), "$JS.API.STREAM.PURGE.CUBE_DECISIONS"), "");
  EXPECT_EQ(Ask(rig, Credit(0), "cube.decisions"), "");
  EXPECT_EQ(Ask(rig, Open("a"), ""), "");
}

TEST(Exec, CloseEndsTheCommandAndTellsItsEnd) {
  LoopRig rig = Running();
  Ask(rig, Open("a"));
  EXPECT_EQ(Ask(rig, Close()), "exec-cancel 1\n");
  rig.Engine(engine::ExecEnded{kExec, -1, Error{Code::kAborted, "ended", {}}});
  EXPECT_EQ(Sent(rig), "aborted");
}

TEST(Exec, ACallerThatVanishedEndsItsCommand) {
  LoopRig rig = Running();
  Ask(rig, Open("a"));
  rig.Pass(kExecIdleMax - seconds(1));
  EXPECT_EQ(Ask(rig, Credit(0)), "publish _INBOX.me\n") << "a sign of life is answered by one";
  rig.Pass(kExecIdleMax - seconds(1));
  rig.Step();
  EXPECT_EQ(Sent(rig), "");
  EXPECT_LE(rig.loop().NextDeadline(), rig.now().mono + seconds(1));
  rig.Pass(seconds(1));
  EXPECT_NE(rig.Step().find("exec-cancel 1\n"), std::string::npos);
  EXPECT_EQ(Sent(rig), "timed_out");
}

TEST(Exec, ASignOfLifeForNothingIsAnswered) {
  LoopRig rig = Running();
  EXPECT_EQ(Ask(rig, Credit(0)), "publish _INBOX.me\n");
  EXPECT_EQ(Sent(rig), "aborted");
  EXPECT_EQ(Ask(rig, Close()), "");
}

TEST(Exec, LostOrUnboundedInputEndsIt) {
  LoopRig rig = Running();
  Ask(rig, Open("a", true));
  EXPECT_EQ(Ask(rig, Input(1, "x")), "exec-cancel 1\npublish _INBOX.me\n");
  EXPECT_EQ(Sent(rig), "+262144;data_loss");
  LoopRig other = Running();
  Ask(other, Open("a", true));
  Ask(other, Input(0, std::string(kExecInputWindow + 1, 'x')));
  EXPECT_EQ(Sent(other), "+262144;resource");
}

TEST(Exec, SessionsAreBounded) {
  LoopRig rig = Running();
  for (std::uint64_t i = 0; i < kExecSessionsMax; ++i) Ask(rig, Open("a", false, 1000 + i));
  Ask(rig, Open("a", false, 1));
  EXPECT_EQ(Sent(rig, 1), "resource");
  rig.Engine(engine::ExecEnded{kExec, 0, std::nullopt});
  Ask(rig, Open("a", false, 2));
  EXPECT_EQ(Sent(rig, 2), "");
}

TEST(Exec, EndsWithTheWorker) {
  LoopRig rig = Running();
  Ask(rig, Open("a"));
  EXPECT_NE(rig.Step({Shutdown{}}).find("exec-cancel 1\n"), std::string::npos);
  EXPECT_EQ(Sent(rig), "aborted");
}

TEST(Exec, MayBeRefusedAltogether) {
  ExecService service(/*allowed=*/false);
  LoopRig rig = Running();
  Operations out;
  service.OnRequest(bus::Message{4, "cube.exec.n1", "_INBOX.me", {}, Open("a").SerializeAsString()},
                    rig.loop().core(), rig.now(), out);
  ASSERT_EQ(out.size(), 1u);
  v1::ExecReply reply;
  const auto& publish = std::get<bus::Publish>(std::get<bus::Operation>(out[0]));
  ASSERT_TRUE(reply.ParseFromString(publish.payload));
  EXPECT_EQ(reply.failure().code(), "permission");
  EXPECT_NE(reply.failure().message().find("--no-exec"), std::string::npos);
}

}  // namespace
}  // namespace cube::worker
