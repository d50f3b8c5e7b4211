// Reconcile looks only at tasks that have changed or are due: a look at all of them finds no more.
#include <gtest/gtest.h>

#include "test/support/worker/core_rig.h"

namespace cube::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kSteps = 400;
constexpr std::uint64_t kTasks = 6;

class Looks : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  std::uint64_t Below(std::uint64_t end) { return dice_.Below(end); }
  std::string Task() { return "t" + std::to_string(Below(kTasks)); }
  TaskSpecPtr SomeSpec() {
    TaskSpec spec = SpecOf("docker", {Below(2) == 0 ? RestartMode::kAlways : RestartMode::kNo, 0});
    if (Below(3) == 0) {
      spec.health.emplace();
      spec.health->kind = HealthCheck::Kind::kTcp;
      spec.health->port = 80;
      spec.health->interval = seconds(2);
      spec.health->timeout = seconds(1);
    }
    return std::make_shared<const TaskSpec>(std::move(spec));
  }
  // A launch that there may be.
  LaunchKey Launch() {
    const auto& attempts = rig_.core().attempts();
    if (attempts.empty()) return Key(Task());
    auto it = attempts.begin();
    for (std::uint64_t n = Below(attempts.size()); n > 0; --n) ++it;
    const auto newest = static_cast<std::uint64_t>(std::max<std::int64_t>(it->second.launch, 0));
    const auto launch = static_cast<std::uint32_t>(Below(4) == 0 ? Below(3) : newest);
    return {it->first.task, it->first.attempt, launch};
  }
  void SeeSomething() {
    const LaunchKey key = Launch();
    switch (Below(5)) {
      case 0:
        return rig_.See(Status(key, LaunchState::kStarting));
      case 1:
        return rig_.See(Exited(key, static_cast<int>(Below(2))));
      case 2:
        return rig_.Observe(engine::Removed{key});
      case 3:
        return rig_.Observe(engine::OpFailed{
            key, Error{Below(2) == 0 ? Code::kNotFound : Code::kTimedOut, "no", {}}});
      default:
        return rig_.See(Status(key, LaunchState::kRunning));
    }
  }
  void SeeList() {
    engine::Listed listed;
    for (const auto& [key, attempt] : rig_.core().attempts()) {
      for (const LaunchKey& launch : rig_.core().LaunchesOf(key)) {
        if (Below(4) != 0) listed.launches.push_back(Status(launch, LaunchState::kRunning));
      }
    }
    if (Below(4) == 0) listed.launches.push_back(Status(Key(Task(), 3), LaunchState::kRunning));
    rig_.Observe(std::move(listed));
  }
  void Tell() {
    const std::uint64_t seq = ++seq_;
    const std::string task = Task();
    if (Below(3) == 0) {
      rig_.Apply(Batch(seq, seq - 1, {StopOf(task, attempts_[task], seconds(Below(20)))}));
    } else {
      rig_.Apply(Batch(seq, seq - 1, {Start(task, ++attempts_[task], SomeSpec())}));
    }
  }
  void TellSet() {
    std::vector<Assignment> assignments;
    for (const auto& [key, attempt] : rig_.core().attempts()) {
      if (attempt.done || Below(4) == 0) continue;
      assignments.push_back(Start(key.task.str(), key.attempt, attempt.spec));
    }
    rig_.Apply(Set(++seq_, std::move(assignments), Below(2) == 0 ? kUp : Stamp{}));
  }
  void DoSomething() {
    switch (Below(12)) {
      case 0:
        return Tell();
      case 1:
        return Below(6) == 0 ? TellSet() : Tell();
      case 2:
        return rig_.AckAll();
      case 3:
        return SeeList();
      case 4:
        return Below(4) == 0 ? rig_.Observe(engine::Down{"gone"})
                             : rig_.Observe(engine::Up{"1", true});
      case 5:
        return rig_.core().SetPins({Launch()});
      case 6:
        return rig_.core().SetPins({});
      case 7:
        return rig_.Pass(milliseconds(Below(90'000)));
      case 8:
        return rig_.core().Acked(Below(rig_.core().meta().last_fact + 1));
      default:
        return SeeSomething();
    }
  }

  Random dice_{GetParam()};
  CoreRig rig_ = CoreRig::Ready();
  std::uint64_t seq_ = 10;
  std::map<std::string, std::uint32_t> attempts_;
};

TEST_P(Looks, AtAllFindNoMore) {
  for (int i = 0; i < kSteps; ++i) {
    DoSomething();
    rig_.Step();
    const MonoTime next = rig_.core().NextDeadline();
    rig_.core().LookAtAll();
    ASSERT_EQ(rig_.Step(), "") << "after step " << i;
    ASSERT_EQ(rig_.core().NextDeadline(), next) << "after step " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Looks, ::testing::Range<std::uint64_t>(1, 41));

}  // namespace
}  // namespace cube::worker
