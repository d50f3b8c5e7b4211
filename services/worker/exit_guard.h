// A worker that is told to end does so in time, and lives until then: whatever its main thread
// waits for (a disk that a container's start keeps busy, a server that takes nothing), heartbeats
// go on, and when the time is up the process ends. What it holds is on disk, as for kill -9.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "shared/base/time.h"

namespace cube::worker {

class ExitGuard {
 public:
  struct Calls {
    std::function<void()> beat;     // says the last heartbeat again
    std::function<void()> time_up;  // ends the process
  };
  // Both are called on the guard's own thread, time_up at most once.
  ExitGuard(Duration beat_interval, Calls calls)
      : beat_interval_(beat_interval), calls_(std::move(calls)) {}
  // No call runs afterwards.
  ~ExitGuard();
  ExitGuard(const ExitGuard&) = delete;
  ExitGuard& operator=(const ExitGuard&) = delete;

  // The end begins: beats from now on, and time_up after `limit`. Once; from any thread.
  void Arm(Duration limit);
  // No beat begins afterwards; the limit stays.
  void StopBeats();

 private:
  void Run(Duration limit);

  const Duration beat_interval_;
  const Calls calls_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool beats_ = true;   // guarded by mutex_, held during a beat
  bool ended_ = false;  // guarded by mutex_
  std::thread thread_;  // guarded by mutex_
};

}  // namespace cube::worker
