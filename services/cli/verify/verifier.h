// `cube verify`: reads the log, and compares what follows from it with what is stored (complete
// sets, snapshots) and with what every manager and worker holds, each as of one and the same
// decision.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/cli/client.h"
#include "services/cli/terminal.h"
#include "services/cli/verify/log_replay.h"
#include "services/cli/verify/report.h"

namespace cube::cli {

class Verifier {
 public:
  // timeout: how long one service may take for its answer. Both must outlive it.
  Verifier(Client& client, Progress& progress, Duration timeout)
      : client_(client), progress_(progress), timeout_(timeout) {}

  // offline: no service is asked.
  [[nodiscard]] Result<VerifyReport> Run(bool offline);

 private:
  struct ManagerAnswer {
    v1::VerifyViewReply reply;
    bool begun_only = true;
  };
  using ManagerAnswers = std::map<std::uint64_t, ManagerAnswer>;  // by instance

  [[nodiscard]] const View& view() const { return replay_->view(); }
  [[nodiscard]] Result<void> ReadLog();
  [[nodiscard]] Result<void> ReadOn();
  // Up to a decision; false: the log does not have it, or not within timeout.
  [[nodiscard]] Result<bool> ReadTo(std::uint64_t decision);
  [[nodiscard]] Result<bool> Next();
  void Fill(VerifyReport& report);

  // What is stored is compared when the replay comes to the decision that it is as of.
  [[nodiscard]] Result<void> PlanSets();
  void PlanSnapshots();
  void CheckPlanned();
  void NotReached();
  using Check = std::function<void(Compared&)>;
  void Plan(std::uint64_t decision, Compared compared, Check check);

  [[nodiscard]] Result<ManagerAnswers> AskManagers();
  [[nodiscard]] Result<void> CompareManagers();
  [[nodiscard]] Result<Compared> CompareManager(const v1::VerifyViewReply& reply);
  // Finds the record: the digests of its range differ.
  [[nodiscard]] Result<void> NameRecord(const v1::VerifyViewReply& reply,
                                        const DifferentRange& range, Compared& compared);
  [[nodiscard]] Result<std::optional<v1::VerifyViewReply>> AskRecords(std::uint64_t instance,
                                                                      const v1::RecordRange& range);

  [[nodiscard]] Result<void> CompareWorkers();
  [[nodiscard]] Result<void> CompareWorker(const std::string& node, Compared& compared);
  // All pages, as of one state of the worker. nullopt: no answer.
  [[nodiscard]] Result<std::optional<v1::VerifyNodeReply>> AskWorker(const std::string& node);

  Client& client_;
  Progress& progress_;
  Duration timeout_;
  std::vector<manager::StoredManifest> snapshots_;
  std::optional<LogReplay> replay_;
  struct Planned {
    Compared compared;
    Check check;
  };
  std::multimap<std::uint64_t, Planned> planned_;
  std::vector<Compared> compared_;
  MonoTime shown_at_{};
  MonoTime said_at_{};
};

}  // namespace cube::cli
