// A cluster for one benchmark: a nats-server of its own, and the services as separate processes,
// all in a temporary folder and gone at the end.
#pragma once

#include <cube/v1/queries.pb.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/cluster/child.h"
#include "shared/base/error.h"
#include "shared/base/time.h"
#include "shared/bus/blocking.h"
#include "shared/runtime/clock.h"
#include "shared/wire/subjects.h"
#include "test/support/bus/nats_server.h"

namespace cube::bench {

struct ClusterCounts {
  std::map<std::string, std::uint64_t> tasks;  // by status
  std::map<std::string, std::uint64_t> nodes;
};

class Stage {
 public:
  // `bin_dir` has cube-manager and cube-worker.
  [[nodiscard]] static Result<std::unique_ptr<Stage>> Open(std::string bin_dir);

  // With a state folder of its own below that of the stage; the same one again: a restart.
  [[nodiscard]] Result<Child*> StartManager(const std::string& name = "first");
  // What that manager keeps on disk. It must have ended.
  [[nodiscard]] Result<void> RemoveManagerState(const std::string& name = "first");
  [[nodiscard]] Result<Child*> StartWorker(const std::string& name,
                                           const std::vector<std::string>& engines);
  [[nodiscard]] Result<Child*> Start(std::vector<std::string> command, const std::string& log);
  void Stop(Child* child);  // as Child::Stop
  void Kill(Child* child);  // as Child::Kill

  // Asks the managers; fails if none answers, or what answers reports a failure.
  [[nodiscard]] Result<v1::QueryReply> Ask(const std::string& what,
                                           const v1::QueryRequest& request);
  // What the leading manager says of the cluster.
  [[nodiscard]] Result<ClusterCounts> Counts();
  // Stored in the log when it returns.
  [[nodiscard]] Result<void> Append(std::string subject, std::string payload);
  // Until so many nodes take work; fails when no more do for a minute.
  [[nodiscard]] Result<void> WaitForNodes(std::uint64_t count);

  [[nodiscard]] std::string url() const { return server_->url(); }
  [[nodiscard]] pid_t server_pid() const { return server_->pid(); }
  [[nodiscard]] bus::BlockingBus& bus() { return *bus_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] const wire::Subjects& subjects() const { return subjects_; }

 private:
  Stage() = default;
  [[nodiscard]] std::string ManagerLog(const std::string& name) const {
    return dir_.path() + "/" + name + ".log";
  }

  const SystemClock clock_;
  const wire::Subjects subjects_;
  const WorkDir dir_;
  std::string bin_dir_;
  std::unique_ptr<bus::NatsServer> server_;
  std::unique_ptr<bus::BlockingBus> bus_;
  std::vector<std::unique_ptr<Child>> children_;  // ended before the server
};

[[nodiscard]] inline double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
// The value below which `percent` of them are. Not empty.
[[nodiscard]] double Percentile(std::vector<double> values, double percent);

}  // namespace cube::bench
