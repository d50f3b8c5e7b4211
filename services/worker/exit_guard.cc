#include "services/worker/exit_guard.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace cube::worker {

using Clock = std::chrono::steady_clock;

ExitGuard::~ExitGuard() {
  std::thread thread;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    thread = std::move(thread_);
  }
  changed_.notify_all();
  if (thread.joinable()) thread.join();
}

void ExitGuard::Arm(Duration limit) {
  const std::lock_guard lock(mutex_);
  if (thread_.joinable() || ended_) return;
  // Signals belong to the main thread; the new one inherits a full mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this, limit] { Run(limit); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ExitGuard::StopBeats() {
  const std::lock_guard lock(mutex_);
  beats_ = false;
}

void ExitGuard::Run(Duration limit) {
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(limit);
  const auto interval = std::chrono::duration_cast<Clock::duration>(beat_interval_);
  std::unique_lock lock(mutex_);
  auto beat_at = Clock::now() + interval;
  while (!ended_) {
    changed_.wait_until(lock, std::min(beat_at, end));
    if (ended_) return;
    if (Clock::now() >= end) {
      lock.unlock();
      return calls_.time_up();
    }
    if (Clock::now() < beat_at) continue;
    beat_at = Clock::now() + interval;
    if (beats_) calls_.beat();
  }
}

}  // namespace cube::worker
