#include "services/worker/engine/probe/exec_prober.h"

#include <gtest/gtest.h>

#include "services/worker/engine/sim/sim_engine.h"
#include "test/support/engine/probe_results.h"

namespace cube::engine {
namespace {

using Outcome = ProbeResult::Outcome;

class ExecProberTest : public testing::Test {
 protected:
  ExecProberTest()
      : machine_(std::make_shared<SimMachine>()),
        prober_(results_.Sink()),
        engine_(machine_, [this](const Event& event) {
          if (!prober_.Take(event)) ++others_;
        }) {
    prober_.SetEngine(engine_);
    Pass(Duration{0});
    engine_.Start({"c", NodeName::Trusted("n")});
    TaskSpec spec;
    spec.name = TaskName::Trusted("t");
    engine_.Launch({key_, {}, std::make_shared<const TaskSpec>(spec)});
    Pass(std::chrono::milliseconds(5));
    others_ = 0;
  }
  void Pass(Duration d) {
    now_.mono += d;
    now_.wall += d;
    machine_->Advance(now_);
  }
  ProbeResult Ask(std::vector<std::string> command) {
    ProbeRequest request;
    request.id = ++id_;
    request.key = key_;
    request.kind = HealthCheck::Kind::kCommand;
    request.command = std::move(command);
    request.timeout = std::chrono::seconds(2);
    prober_.Start(std::move(request));
    for (int i = 0; i < 30 && results_.size() < id_; ++i) Pass(std::chrono::milliseconds(100));
    EXPECT_EQ(results_.size(), id_);
    EXPECT_TRUE(results_.EachOnce());
    EXPECT_EQ(others_, 0) << "nobody else hears of checks";
    return results_.Of(id_);
  }

  Now now_{MonoTime(std::chrono::hours(1)), WallFromNanos(1'000'000'000'000'000)};
  LaunchKey key_{TaskId::Trusted("t"), 1, 0};
  std::uint64_t id_ = 0;
  int others_ = 0;
  Results results_;
  std::shared_ptr<SimMachine> machine_;
  ExecProber prober_;
  SimEngine engine_;
};

TEST_F(ExecProberTest, ExitCode0Passes) {
  const ProbeResult result = Ask({"exit", "0"});
  EXPECT_EQ(result.outcome, Outcome::kPassed) << result.detail;
  EXPECT_EQ(result.key, key_);
}

TEST_F(ExecProberTest, AnotherExitCodeFailsWithTheLastLineOfItsOutput) {
  EXPECT_EQ(Ask({"exit", "3"}).detail, "command: exit code 3");
  const ProbeResult result = Ask({"say", "trying\nno answer from db\n", "", "1"});
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.detail, "command: exit code 1: no answer from db");
  EXPECT_LE(Ask({"say", std::string(10'000, 'x'), "", "1"}).detail.size(), kProbeDetailMax);
}

TEST_F(ExecProberTest, OneThatWasKilledSaysNothingOfTheLaunch) {
  const ProbeResult result = Ask({"exit", "137"});
  EXPECT_EQ(result.outcome, Outcome::kUnknown);
  EXPECT_EQ(result.detail, "command: it was killed");
}

TEST_F(ExecProberTest, OneThatDoesNotEndFails) {
  const ProbeResult result = Ask({"sleep"});
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.detail, "command: not over within 2s");
}

TEST_F(ExecProberTest, OfWhatDoesNotRunNothingIsKnown) {
  key_ = {TaskId::Trusted("nobody"), 1, 0};
  EXPECT_EQ(Ask({"exit", "0"}).outcome, Outcome::kUnknown);
}

TEST_F(ExecProberTest, CommandsOfOthersAreNotItsOwn) {
  ExecRequest request;
  request.command = {"say", "hello"};
  engine_.Exec(7, key_, request);
  engine_.ExecCredit(7, 100);
  Pass(std::chrono::milliseconds(100));
  EXPECT_GE(others_, 2) << "output and end";
}

}  // namespace
}  // namespace cube::engine
