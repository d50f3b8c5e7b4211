// Waiting until a job is up or has ended, with its progress.
#pragma once

#include <optional>
#include <string>

#include "services/cli/client.h"
#include "services/cli/terminal.h"
#include "services/cli/watch.h"

namespace cube::cli {

// Whether a job in this state has reached the goal, for good or ill. kUp: as many tasks are up as
// are wanted, or it cannot get there any more.
[[nodiscard]] bool Reached(Goal goal, const v1::JobView& job);
// Whether that is what was asked for.
[[nodiscard]] bool IsGood(Goal goal, const v1::JobView& job);

class JobWatch {
 public:
  // Listens to the feed from now on.
  JobWatch(Client& client, Progress& progress, Goal goal, std::string name);
  ~JobWatch();
  JobWatch(const JobWatch&) = delete;
  JobWatch& operator=(const JobWatch&) = delete;

  // True: the goal is reached; false: the deadline has passed. Asks for states as of this intent or
  // later. Managers that do not answer are waited for.
  [[nodiscard]] Result<bool> Wait(MonoTime deadline, std::uint64_t min_intent);
  // What is known of it; nothing if no manager has answered.
  [[nodiscard]] const std::optional<v1::JobView>& job() const { return job_; }

 private:
  [[nodiscard]] Result<void> Look(std::uint64_t min_intent);
  void OnFeed(const bus::Message& message);

  Client& client_;
  Progress& progress_;
  const Goal goal_;
  const std::string name_;
  const bus::SubId feed_;
  std::optional<v1::JobView> job_;
  std::string shown_;
  bool manager_missed_ = false;
};

}  // namespace cube::cli
