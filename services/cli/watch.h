// Waiting until tasks are up or have ended: shows each step from the readable feed, believes the
// manager's answers only.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/cli/client.h"
#include "services/cli/terminal.h"

namespace cube::cli {

enum class Goal : std::uint8_t {
  kUp,      // running, and healthy where a check exists; or ended before that
  kScaled,  // jobs: as kUp, whatever has become of an update
  kEnded,   // nothing further happens
};

// Whether a task in this state has reached the goal, for good or ill.
[[nodiscard]] bool Reached(Goal goal, const v1::TaskView& task);

// What a task that has not come up is not: "running", or "healthy" where it runs.
[[nodiscard]] std::string_view MissedGoal(const v1::TaskView& task);

// A state of a task, as the feed or a manager tells it.
struct Step {
  std::uint32_t attempt = 0;
  std::uint32_t launch = 0;
  std::string status;
  std::string node;
  std::string reason;
};
// Whether `next` is worth a line after `last`: the feed may be late and repeats itself, so what is
// earlier in the task's life is not shown any more, nor the same with less.
[[nodiscard]] bool IsNews(const Step& last, const Step& next);

class TaskWatch {
 public:
  // `ids`: whole ids. Listens to the feed from now on.
  TaskWatch(Client& client, Progress& progress, Goal goal, std::vector<std::string> ids);
  ~TaskWatch();
  TaskWatch(const TaskWatch&) = delete;
  TaskWatch& operator=(const TaskWatch&) = delete;

  // Steps are not shown (commands that print something else).
  void Quiet() { quiet_ = true; }
  // No more interest in a task (it was refused).
  void Forget(const std::string& id) { waiting_.erase(id); }
  // True: all have reached the goal; false: the deadline has passed. Asks for states as of this
  // intent or later. Managers that do not answer are waited for.
  [[nodiscard]] Result<bool> Wait(MonoTime deadline, std::uint64_t min_intent);

  // What is known of each; absent: nothing yet.
  [[nodiscard]] const std::map<std::string, v1::TaskView>& tasks() const { return tasks_; }
  // Those that have not reached the goal.
  [[nodiscard]] const std::set<std::string>& waiting() const { return waiting_; }

 private:
  [[nodiscard]] Result<void> Refresh(std::uint64_t min_intent);
  void OnFeed(const bus::Message& message);
  void Show(const std::string& id, const Step& step);
  void ShowWaiting(MonoTime started);

  Client& client_;
  Progress& progress_;
  const Goal goal_;
  bool quiet_ = false;
  std::size_t count_;
  std::vector<bus::SubId> listeners_;
  std::set<std::string> waiting_;
  std::set<std::string> dirty_;  // of those, whose state is to be asked for
  std::map<std::string, v1::TaskView> tasks_;
  std::map<std::string, Step> shown_;
  bool manager_missed_ = false;
};

}  // namespace cube::cli
