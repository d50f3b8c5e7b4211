#include "services/worker/core/health.h"

#include <gtest/gtest.h>

#include <string>

#include "shared/domain/isolation.h"
#include "shared/domain/rules.h"

namespace cube::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Now kStart{MonoTime(std::chrono::hours(5)), WallFromNanos(1'700'000'000'000'000'000)};

Now After(Duration d) { return {kStart.mono + d, kStart.wall + d}; }

HealthCheck Check() {
  HealthCheck check;
  check.kind = HealthCheck::Kind::kTcp;
  check.interval = seconds(10);
  check.retries = 3;
  return check;
}

// Answers every check as it becomes due, from the start until `until`, with what `passes` says of
// the time since the start. -> the verdicts, as "12s unhealthy".
template <class Passes>
std::string Verdicts(const HealthCheck& check, Duration until, Passes passes) {
  HealthState state = BeginChecks(check, kStart.wall, std::nullopt, kStart);
  std::string text;
  for (;;) {
    const Duration at = state.due - kStart.mono;
    if (at > until) return text;
    state.probe = 1;
    if (!CountResult(state, check, passes(at), state.due)) continue;
    text += FormatDuration(at) + (*state.healthy ? " healthy\n" : " unhealthy\n");
  }
}

TEST(Health, ALaunchThatServesIsHealthyWithItsFirstCheck) {
  EXPECT_EQ(Verdicts(Check(), seconds(60), [](Duration) { return true; }), "0s healthy\n");
}

TEST(Health, WhoComesUpLateIsSeenAtOnceAndNotAnIntervalLater) {
  // Looked at after 0, 0.1, 0.3, 0.7, 1.5 s.
  EXPECT_EQ(Verdicts(Check(), seconds(60), [](Duration at) { return at >= milliseconds(800); }),
            "1s500ms healthy\n");
}

TEST(Health, FailuresCountOnceAnInterval) {
  EXPECT_EQ(Verdicts(Check(), seconds(60), [](Duration) { return false; }), "30s unhealthy\n");
}

TEST(Health, FailuresInTheStartPeriodDoNotCount) {
  HealthCheck check = Check();
  check.start_period = seconds(25);
  check.retries = 1;
  EXPECT_EQ(Verdicts(check, seconds(60), [](Duration) { return false; }), "25s unhealthy\n");
}

TEST(Health, OnceItHasComeUpTheStartPeriodIsOver) {
  HealthCheck check = Check();
  check.start_period = seconds(1000);
  const auto until_5s = [](Duration at) { return at < seconds(5); };
  EXPECT_EQ(Verdicts(check, seconds(60), until_5s), "0s healthy\n30s unhealthy\n");
}

TEST(Health, OnePassBetweenFailuresBeginsTheCountAnew) {
  int n = 0;
  const auto every_third = [&n](Duration) { return n++ % 3 == 0; };
  EXPECT_EQ(Verdicts(Check(), seconds(600), every_third), "0s healthy\n");
}

TEST(Health, ItTakesSoManySuccessesInARow) {
  HealthCheck check = Check();
  check.successes = 3;
  int n = 0;
  EXPECT_EQ(Verdicts(check, seconds(100), [&n](Duration) { return n++ != 1; }),
            "30s100ms healthy\n");
}

TEST(Health, WhoIsUnhealthyMayRecover) {
  const auto away = [](Duration at) { return at < seconds(5) || at > seconds(45); };
  EXPECT_EQ(Verdicts(Check(), seconds(100), away), "0s healthy\n30s unhealthy\n50s healthy\n");
}

TEST(Health, ACheckThatCouldNotBeMadeCountsAsNothing) {
  const HealthCheck check = Check();
  HealthState state = BeginChecks(check, kStart.wall, true, kStart);
  for (int i = 0; i < 10; ++i) {
    state.probe = 1;
    CountNothing(state, check, state.due);
  }
  EXPECT_EQ(state.failures, 0U);
  EXPECT_EQ(state.healthy, true);
  EXPECT_EQ(state.due - kStart.mono, seconds(100));
}

TEST(Health, AnOlderVerdictHoldsAfterARestartOfTheWorker) {
  const HealthCheck check = Check();
  HealthState state = BeginChecks(check, kStart.wall - seconds(100), true, kStart);
  EXPECT_EQ(state.due, kStart.mono);
  EXPECT_FALSE(CountResult(state, check, true, kStart.mono)) << "no news";
  EXPECT_FALSE(CountResult(state, check, false, After(seconds(10)).mono));
  EXPECT_EQ(state.failures, 1U);
}

TEST(Health, AClockThatHasJumpedMakesTheStartPeriodNotLonger) {
  HealthCheck check = Check();
  check.start_period = seconds(30);
  const HealthState ahead =
      BeginChecks(check, kStart.wall + std::chrono::hours(9), std::nullopt, kStart);
  EXPECT_EQ(ahead.counts_from - kStart.mono, seconds(30));
  const HealthState behind =
      BeginChecks(check, kStart.wall - std::chrono::hours(9), std::nullopt, kStart);
  EXPECT_EQ(behind.counts_from, kStart.mono);
}

// ---- where it goes ------------------------------------------------------------------------------

TaskSpec SpecWith(const HealthCheck& check) {
  TaskSpec spec;
  spec.image = "web:1";
  spec.ports = {{53, 0, Protocol::kUdp, "dns"},
                {8443, 0, Protocol::kTcp, "tls"},
                {8080, 0, Protocol::kTcp, "web"}};
  spec.health = check;
  return spec;
}

engine::LaunchStatus Running(std::string address) {
  engine::LaunchStatus status;
  status.key = {TaskId::Trusted("a"), 1, 2};
  status.state = LaunchState::kRunning;
  status.ports = {
      {53, 32001, Protocol::kUdp}, {8080, 32002, Protocol::kTcp}, {8443, 32003, Protocol::kTcp}};
  status.address = std::move(address);
  return status;
}

std::string Target(const HealthCheck& check, std::string address) {
  const auto request = ProbeOf(SpecWith(check), Running(std::move(address)), 7);
  EXPECT_EQ(request.id, 7U);
  EXPECT_EQ(request.key.launch, 2U);
  EXPECT_EQ(request.timeout, check.timeout);
  return request.host + " " + std::to_string(request.port) + request.path;
}

TEST(ProbeOf, TheLowestTcpPortAtTheContainersAddress) {
  EXPECT_EQ(Target(Check(), "172.17.0.2"), "172.17.0.2 8080");
}

TEST(ProbeOf, WithoutAnAddressThePublishedPortOnLoopback) {
  EXPECT_EQ(Target(Check(), ""), "127.0.0.1 32002");
}

TEST(ProbeOf, TheNamedPort) {
  HealthCheck check = Check();
  check.kind = HealthCheck::Kind::kHttp;
  check.http_path = "/x";
  check.port_name = "tls";
  EXPECT_EQ(Target(check, "172.17.0.2"), "172.17.0.2 8443/x");
  EXPECT_EQ(Target(check, ""), "127.0.0.1 32003/x");
}

TEST(ProbeOf, ANumberIsThePortInsideAndPublishedOrNot) {
  HealthCheck check = Check();
  check.port = 9000;
  EXPECT_EQ(Target(check, "172.17.0.2"), "172.17.0.2 9000");
  EXPECT_EQ(Target(check, ""), " 9000") << "that of the node is another's";
  check.port = 8443;
  EXPECT_EQ(Target(check, ""), "127.0.0.1 32003");
}

TEST(ProbeOf, WherePortsAreTheNodesOwnTheNumberOnLoopback) {
  HealthCheck check = Check();
  check.port = 9000;
  TaskSpec process = SpecWith(check);
  process.engine = kEngineProcess;
  EXPECT_EQ(ProbeOf(process, Running(""), 7).host, "127.0.0.1");
  TaskSpec host = SpecWith(check);
  host.network = kNetworkHost;
  EXPECT_EQ(ProbeOf(host, Running(""), 7).host, "127.0.0.1");
  EXPECT_EQ(ProbeOf(host, Running(""), 7).port, 9000);
}

}  // namespace
}  // namespace cube::worker
