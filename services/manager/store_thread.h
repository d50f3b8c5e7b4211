// The view's store on a thread of its own: what a step of the loop commits is written while the
// loop goes on.
//
// Threads: one uses it; from then on until End has returned nobody else uses the store.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "services/manager/operation.h"
#include "services/manager/store_port.h"
#include "shared/base/error.h"
#include "shared/base/time.h"
#include "shared/store/store.h"

namespace cube::manager {

// Commits that were asked for and are not done: one that is written, and one behind it. Whoever
// asks for more waits, so a slow disk takes no memory.
inline constexpr std::size_t kCommitsMax = 2;

class StoreThread {
 public:
  using Rows = Result<std::vector<store::Row>>;
  using Reading = std::function<void(const store::Store&)>;
  // Called on the store's thread.
  struct Events {
    std::function<void(Rows)> rows;  // of each ReadFrozen before a failed commit, in order
    // A commit has failed, so nothing is written any more; once. End says why.
    std::function<void()> failed;
  };

  // The store must outlive it. A sync follows at the latest so long after a commit was done.
  StoreThread(store::Store& store, Duration sync_every, Events events);
  ~StoreThread();
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  // All is done in the order in which it was asked for.
  void Commit(manager::Commit commit);
  void Freeze() { Add(manager::Freeze{}); }
  void ReadFrozen(std::size_t bytes_max) { Add(manager::ReadFrozen{bytes_max}); }
  void Thaw() { Add(manager::Thaw{}); }

  // Reads the store behind all that was asked for, and waits until that is done. -> the error of a
  // commit that failed; then it reads nothing.
  Result<void> Read(const Reading& reading);

  // Does what was asked for, then ends; nothing may be asked for afterwards. -> the first error of
  // a commit.
  Result<void> End();

 private:
  using Ask = std::function<void()>;
  using Job =
      std::variant<manager::Commit, manager::Freeze, manager::ReadFrozen, manager::Thaw, Ask>;

  void Add(Job job);
  void Loop();
  // Waits for the next one, and syncs meanwhile when that is due. nullopt = it is to end.
  std::optional<Job> Next();
  void Do(const Job& job);
  void SyncNow();

  store::Store* store_;
  const Duration sync_every_;
  Events events_;
  // Of the thread, until it has ended.
  StorePort port_;
  std::optional<std::chrono::steady_clock::time_point> sync_at_;  // nullopt = all is synced
  std::optional<Error> error_;

  std::mutex mutex_;
  std::condition_variable asked_;
  std::condition_variable done_;
  std::deque<Job> jobs_;
  std::size_t commits_ = 0;  // waiting, or being written
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace cube::manager
