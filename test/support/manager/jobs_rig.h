// A cluster for tests of jobs: decisions are taken at once, and nodes obey.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "services/manager/core/decide.h"
#include "shared/cluster/job.h"
#include "shared/cluster/status.h"
#include "test/support/cluster/log_writer.h"

namespace cube::manager {

using test::LogWriter;

inline constexpr std::int64_t kGi = std::int64_t{1} << 30;

inline JobSpec Service(std::uint32_t replicas, const std::string& image = "web:1") {
  return test::JobOf("web", JobType::kService, replicas, image);
}

// A cluster whose decisions are taken, and whose nodes obey.
class JobsTest : public testing::Test {
 protected:
  LogWriter log;
  Planner planner = std::move(*Planner::Make({}));
  WallTime now = WallFromNanos(1);

  void SetUp() override {
    for (const char* node : {"a", "b", "c"}) log.Join(node, {8000, kGi, 0});
  }
  std::vector<DecisionItem> Cycle() {
    std::vector<DecisionItem> items = planner.Decide(log.view(), {}, now);
    log.Decide(items);
    now = log.view().decided_at;
    return items;
  }
  // Cycles until nothing is decided any more, with launches that obey.
  void Settle(bool new_ones_run = true) {
    for (int i = 0; i < 200; ++i) {
      const bool decided = !Cycle().empty();
      if (!Obey(new_ones_run) && !decided) return;
    }
    FAIL() << "it does not come to rest";
  }
  // Launches start and end as they should. -> whether anything happened.
  bool Obey(bool new_ones_run) {
    bool any = false;
    std::vector<std::pair<std::string, bool>> acts;  // id, ends
    for (const Task& task : log.view().tasks) {
      if (!IsLive(task)) continue;
      const bool ends = task.stop_told || IsEvicted(task);
      if (ends || (new_ones_run && !task.observed)) acts.emplace_back(IdOf(task).str(), ends);
    }
    for (const auto& [id, ends] : acts) {
      any = true;
      if (ends) {
        log.Exit(id, 143, /*final=*/true, /*stop_asked=*/true);
      } else {
        log.Launch(id, LaunchState::kRunning);
      }
    }
    return any;
  }
  const Job& TheJob(const std::string& name = "web") {
    return log.view().jobs.at(TaskName::Trusted(name));
  }
  const Task* Find(const std::string& id) { return log.view().Find(TaskId::Trusted(id)); }
  // Ids of tasks in this status, in order.
  std::vector<std::string> In(Status status) {
    std::vector<std::string> ids;
    for (const Task& task : log.view().tasks) {
      if (cube::StatusOf(task) == status) ids.push_back(IdOf(task).str());
    }
    return ids;
  }
};

using Ids = std::vector<std::string>;

}  // namespace cube::manager
