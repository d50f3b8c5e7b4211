// What every Engine must do for commands inside launches (Engine::Exec): a second suite beside
// contract.h, on the same fixtures.
//
//   INSTANTIATE_TYPED_TEST_SUITE_P(MyEngine, EngineExecContract, MyFixture);
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "test/support/engine/contract.h"

namespace cube::engine {

template <class Fixture>
class EngineExecContract : public EngineContract<Fixture> {
 protected:
  using Execution = Recorder::Execution;

  static constexpr std::uint64_t kExec = 77;

  // A launch that runs, and the number of the command: the tests have one each.
  LaunchKey RunLaunch(const std::string& name = "host-of-exec") {
    const LaunchKey key = this->Key(name);
    this->Run(key, this->fixture_.LongRunning());
    return key;
  }
  static ExecRequest Request(std::vector<std::string> command) {
    ExecRequest request;
    request.command = std::move(command);
    return request;
  }
  // Runs it with plenty of credit; what came of it.
  Execution Do(const LaunchKey& key, ExecRequest request, std::uint64_t exec = kExec) {
    this->engine_->Exec(exec, key, std::move(request));
    this->engine_->ExecCredit(exec, kPlentyOfCredit);
    return WaitEnd(exec);
  }
  Execution WaitEnd(std::uint64_t exec = kExec) {
    EXPECT_TRUE(this->recorder_.WaitUntil([&](const std::vector<Event>& events) {
      return Recorder::ExecOf(events, exec).ended;
    })) << "the command does not end";
    return this->recorder_.ExecOf(exec);
  }
  // Waits until the command of ExecRuns(mark) really runs, where anything does.
  void WaitRuns(const std::string& mark) {
    if (!this->fixture_.MakesProcesses()) return;
    // No event tells of it, so it is looked for again and again.
    const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
    const auto never = [](const std::vector<Event>&) { return false; };
    while (!this->fixture_.ExecIsRunning(mark)) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "the command does not run";
      (void)this->recorder_.WaitUntil(never, std::chrono::milliseconds(20));
    }
  }
  static std::optional<Code> CodeOf(const Execution& done) {
    return done.error ? std::optional(done.error->code) : std::nullopt;
  }
};

TYPED_TEST_SUITE_P(EngineExecContract);

TYPED_TEST_P(EngineExecContract, GivesOutputAndExitCode) {
  this->StartEngine();
  const LaunchKey key = this->RunLaunch();
  const auto done =
      this->Do(key, this->Request(this->fixture_.ExecSays("one\ntwo\n", "oops\n", 7)));
  EXPECT_FALSE(done.error) << done.error->Text();
  EXPECT_EQ(done.exit_code, 7);
  EXPECT_EQ(done.out, "one\ntwo\n");
  EXPECT_EQ(done.err, "oops\n");
  // The launch did not notice.
  ASSERT_EQ(this->List().size(), 1u);
  EXPECT_EQ(this->List()[0].state, LaunchState::kRunning);
}

TYPED_TEST_P(EngineExecContract, WithoutInputItReadsEndOfFile) {
  this->StartEngine();
  const LaunchKey key = this->RunLaunch();
  const auto done = this->Do(key, this->Request(this->fixture_.ExecCopies()));
  EXPECT_FALSE(done.error) << done.error->Text();
  EXPECT_EQ(done.exit_code, 0);
  EXPECT_EQ(done.out, "");
}

TYPED_TEST_P(EngineExecContract, PassesInputOn) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->RunLaunch();
  ExecRequest request = this->Request(this->fixture_.ExecCopies());
  request.input = true;
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += "line " + std::to_string(i) + "\n";
  engine.Exec(this->kExec, key, std::move(request));
  engine.ExecCredit(this->kExec, kPlentyOfCredit);
  engine.ExecInput(this->kExec, text, false);
  EXPECT_TRUE(this->recorder_.WaitUntil([&](const std::vector<Event>& events) {
    return Recorder::ExecOf(events, 77).out.size() == text.size();
  })) << "it has given back "
      << this->recorder_.ExecOf(this->kExec).out.size() << " of " << text.size() << " bytes";
  EXPECT_FALSE(this->recorder_.ExecOf(this->kExec).ended);
  engine.ExecInput(this->kExec, "the end", true);
  const auto done = this->WaitEnd();
  EXPECT_FALSE(done.error) << done.error->Text();
  EXPECT_EQ(done.exit_code, 0);
  EXPECT_TRUE(done.out == text + "the end");
  EXPECT_EQ(done.took, text.size() + 7);
}

TYPED_TEST_P(EngineExecContract, HasTheLaunchsEnvironmentAndMore) {
  this->StartEngine();
  const LaunchKey key = this->Key("with-env");
  TaskSpec spec = this->fixture_.LongRunning();
  spec.env["GREETING"] = "good day";
  this->Run(key, std::move(spec));
  auto own = this->Do(key, this->Request(this->fixture_.ExecPrintsEnv("GREETING")), 1);
  EXPECT_EQ(own.out, "good day\n") << own.err;
  ExecRequest request = this->Request(this->fixture_.ExecPrintsEnv("GREETING"));
  request.env["GREETING"] = "hello = 'you'";
  EXPECT_EQ(this->Do(key, std::move(request), 2).out, "hello = 'you'\n");
}

TYPED_TEST_P(EngineExecContract, WhatIsNotThereIs127AndSaysSo) {
  this->StartEngine();
  const LaunchKey key = this->RunLaunch();
  std::uint64_t exec = 0;
  for (const std::string program : {"/no/such/program", "nosuchprogram"}) {
    const auto done = this->Do(key, this->Request({program}), ++exec);
    EXPECT_FALSE(done.error) << done.error->Text();
    EXPECT_EQ(done.exit_code, 127) << program;
    EXPECT_NE((done.out + done.err).find(program), std::string::npos) << done.out << done.err;
  }
}

TYPED_TEST_P(EngineExecContract, KeepsToTheCredit) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->RunLaunch();
  std::string text;
  for (int i = 0; i < 2'000; ++i) text += "line " + std::to_string(i) + "\n";
  engine.Exec(this->kExec, key, this->Request(this->fixture_.ExecSays(text, "", 3)));
  std::size_t allowed = 0;
  for (const std::size_t more : {std::size_t{10}, std::size_t{1}, std::size_t{1000}}) {
    allowed += more;
    engine.ExecCredit(this->kExec, more);
    EXPECT_TRUE(this->recorder_.WaitUntil([&](const std::vector<Event>& events) {
      return Recorder::ExecOf(events, 77).bytes >= allowed;
    }));
    this->List();
    EXPECT_EQ(this->recorder_.ExecOf(this->kExec).bytes, allowed);
  }
  engine.ExecCredit(this->kExec, kPlentyOfCredit);
  const auto done = this->WaitEnd();
  EXPECT_TRUE(done.out == text);
  EXPECT_EQ(done.exit_code, 3);
}

TYPED_TEST_P(EngineExecContract, CancelKillsIt) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->RunLaunch();
  const std::string mark = "70001." + std::to_string(::getpid());
  engine.Exec(this->kExec, key, this->Request(this->fixture_.ExecRuns(mark)));
  engine.ExecCredit(this->kExec, kPlentyOfCredit);
  this->WaitRuns(mark);
  EXPECT_FALSE(this->recorder_.ExecOf(this->kExec).ended);
  engine.CancelExec(this->kExec);
  engine.CancelExec(this->kExec);
  const auto done = this->WaitEnd();
  EXPECT_EQ(this->CodeOf(done), Code::kAborted);
  EXPECT_FALSE(this->fixture_.ExecIsRunning(mark));
  this->List();
  EXPECT_EQ(this->recorder_.ExecOf(this->kExec).ends, 1);
  EXPECT_EQ(this->List()[0].state, LaunchState::kRunning) << "the launch itself runs on";
}

TYPED_TEST_P(EngineExecContract, TimeoutKillsIt) {
  this->StartEngine();
  const LaunchKey key = this->RunLaunch();
  const std::string mark = "70002." + std::to_string(::getpid());
  ExecRequest request = this->Request(this->fixture_.ExecRuns(mark));
  request.timeout = std::chrono::milliseconds(700);
  const auto done = this->Do(key, std::move(request));
  EXPECT_EQ(this->CodeOf(done), Code::kTimedOut);
  EXPECT_FALSE(this->fixture_.ExecIsRunning(mark));
}

TYPED_TEST_P(EngineExecContract, EndsWithItsLaunch) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->RunLaunch();
  const std::string mark = "70003." + std::to_string(::getpid());
  engine.Exec(this->kExec, key, this->Request(this->fixture_.ExecRuns(mark)));
  engine.ExecCredit(this->kExec, kPlentyOfCredit);
  this->WaitRuns(mark);
  engine.Stop(key, "SIGTERM", std::chrono::seconds(1));
  this->WaitExit(key);
  const auto done = this->WaitEnd();
  if (!done.error) {
    EXPECT_EQ(done.exit_code, 137);
  }
  EXPECT_FALSE(this->fixture_.ExecIsRunning(mark));
}

TYPED_TEST_P(EngineExecContract, NeedsALaunchThatRuns) {
  Engine& engine = this->StartEngine();
  const auto says = this->fixture_.ExecSays("x", "", 0);
  EXPECT_EQ(this->CodeOf(this->Do(this->Key("never-was"), this->Request(says), 1)),
            Code::kNotFound);
  const LaunchKey key = this->Key("was-done");
  engine.Launch(this->EngineContract<TypeParam>::Request(key, this->fixture_.ExitsWith(0, "", "")));
  this->WaitExit(key);
  EXPECT_EQ(this->CodeOf(this->Do(key, this->Request(says), 2)), Code::kPrecondition);
}

TYPED_TEST_P(EngineExecContract, ManyAtOnce) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->RunLaunch();
  for (std::uint64_t i = 1; i <= 8; ++i) {
    const int code = static_cast<int>(i);
    engine.Exec(i, key, this->Request(this->fixture_.ExecSays(std::to_string(i), "", code)));
    engine.ExecCredit(i, kPlentyOfCredit);
  }
  for (std::uint64_t i = 1; i <= 8; ++i) {
    const auto done = this->WaitEnd(i);
    EXPECT_EQ(done.out, std::to_string(i));
    EXPECT_EQ(done.exit_code, static_cast<int>(i));
  }
}

REGISTER_TYPED_TEST_SUITE_P(EngineExecContract, GivesOutputAndExitCode,
                            WithoutInputItReadsEndOfFile, PassesInputOn,
                            HasTheLaunchsEnvironmentAndMore, WhatIsNotThereIs127AndSaysSo,
                            KeepsToTheCredit, CancelKillsIt, TimeoutKillsIt, EndsWithItsLaunch,
                            NeedsALaunchThatRuns, ManyAtOnce);

}  // namespace cube::engine
