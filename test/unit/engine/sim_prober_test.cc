#include "services/worker/engine/sim/sim_prober.h"

#include <gtest/gtest.h>

#include "test/support/engine/prober_contract.h"

namespace cube::engine {
namespace {

class SimProberFixture : public testing::Test {
 protected:
  SimProberFixture()
      : machine_(std::make_shared<SimMachine>()), engine_(machine_, [](const Event&) {}) {
    Pass(Duration{0});
    engine_.Start({"c", NodeName::Trusted("n")});
  }

  std::unique_ptr<Prober> Make(ProbeSink sink) {
    return std::make_unique<SimProber>(machine_, std::move(sink));
  }
  ProbeRequest Serving(HealthCheck::Kind kind) { return To(kind, {}); }
  ProbeRequest Failing() { return To(HealthCheck::Kind::kHttp, {{"sim.serves-from", "never"}}); }
  ProbeRequest Refusing(HealthCheck::Kind kind) {
    ProbeRequest request;
    request.kind = kind;
    request.path = "/";
    request.key = {TaskId::Trusted("nobody"), 1, 0};
    return request;
  }
  ProbeRequest Silent() { return To(HealthCheck::Kind::kHttp, {{"sim.answers-after", "1h"}}); }
  bool WaitUntil(const std::function<bool()>& condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) Pass(std::chrono::milliseconds(10));
    return condition();
  }

  // A request to a launch with these labels, running.
  ProbeRequest To(HealthCheck::Kind kind, std::map<std::string, std::string> labels) {
    std::string name = "t";
    for (const auto& [key, value] : labels) name += "-" + value;
    TaskSpec spec;
    spec.name = TaskName::Trusted("t");
    spec.labels = std::move(labels);
    ProbeRequest request;
    request.kind = kind;
    request.path = "/";
    request.key = {TaskId::Trusted(name), 1, 0};
    engine_.Launch({request.key, {}, std::make_shared<const TaskSpec>(spec)});
    Pass(std::chrono::milliseconds(5));
    return request;
  }
  void Pass(Duration d) {
    now_.mono += d;
    now_.wall += d;
    machine_->Advance(now_);
  }

  Now now_{MonoTime(std::chrono::hours(1)), WallFromNanos(1'000'000'000'000'000)};
  std::shared_ptr<SimMachine> machine_;
  SimEngine engine_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Sim, ProberContract, SimProberFixture);

TEST_F(SimProberFixture, ALaunchServesInItsTime) {
  Results results;
  SimProber prober(machine_, results.Sink());
  ProbeRequest request =
      To(HealthCheck::Kind::kTcp, {{"sim.serves-from", "10s"}, {"sim.serves-until", "20s"}});
  request.timeout = std::chrono::seconds(1);
  std::string seen;
  for (request.id = 1; request.id <= 5; ++request.id) {
    prober.Start(request);
    Pass(std::chrono::seconds(5));
    seen += results.Of(request.id).outcome == ProbeResult::Outcome::kPassed ? "y" : "n";
  }
  EXPECT_EQ(seen, "nnyyn");
}

}  // namespace
}  // namespace cube::engine
