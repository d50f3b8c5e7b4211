// The running worker: adapters around the loop, and the one blocking wait.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "services/worker/engines.h"
#include "services/worker/exit_guard.h"
#include "services/worker/exposition.h"
#include "services/worker/flags.h"
#include "services/worker/machine.h"
#include "services/worker/node_folder.h"
#include "services/worker/output_files.h"
#include "services/worker/worker_loop.h"
#include "shared/bus/nats_bus.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/inbox.h"
#include "shared/runtime/signals.h"
#include "shared/telemetry/listener.h"

namespace cube::worker {

class Process {
 public:
  Process(const Flags& flags, const NodeFolder& folder);

  [[nodiscard]] Result<void> Open();

  struct End {
    int code = 0;
    bool again = false;  // begin anew with what the store holds now
  };
  ~Process();
  // Until a signal or the loop ends it.
  [[nodiscard]] End Run();

 private:
  // Somebody scrapes: a snapshot is wanted.
  struct Scrape {};
  using Queued = std::variant<Input, Scrape>;

  [[nodiscard]] Result<StoredState> OpenStore();
  [[nodiscard]] Result<void> OpenLmdb();
  [[nodiscard]] Result<LoopOptions> OptionsOfLoop() const;
  void OpenBuses(bus::NatsBusOptions options);
  // -> false when the process should end.
  [[nodiscard]] bool Execute(Operations& operations);
  [[nodiscard]] bool ExecuteOne(Operation& operation);
  [[nodiscard]] bool Fails(std::string_view what, const Error& error);
  void Write(const LogLine& line) const;
  void PruneIfDue();
  [[nodiscard]] Result<void> Listen();
  // Answers scrapes, counts what the figures need; leaves the loop's own inputs.
  void TakeOut(std::vector<Queued>& queued);
  void PutSnapshot();

  // Says the last heartbeat once more, whatever the loop is waiting for.
  void BeatAgain();

  const Flags& flags_;
  const NodeFolder& folder_;
  std::mutex beat_mutex_;
  std::optional<Beat> last_beat_;  // guarded by beat_mutex_
  ExitGuard guard_;                // ends before what it beats with
  SystemClock clock_;
  Inbox<Queued> inbox_;
  OutputFiles output_;
  Machine machine_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<WorkerLoop> loop_;
  std::unique_ptr<Engines> engines_;
  std::unique_ptr<bus::NatsBus> bus_;
  std::unique_ptr<bus::NatsBus> beats_;  // heartbeats only
  std::unique_ptr<runtime::SignalWatch> signals_;
  std::vector<Input> inputs_;
  ShellFigures figures_;
  std::shared_ptr<telemetry::Snapshot> snapshot_;
  std::unique_ptr<telemetry::Listener> listener_;  // null = none
  MonoTime prune_at_{};
  End end_;
};

}  // namespace cube::worker
