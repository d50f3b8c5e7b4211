// A thread that runs what others post to it and calls back for descriptors that become readable.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "services/worker/engine/process/posix_files.h"
#include "shared/base/error.h"

namespace cube::engine::process {

class EventLoop {
 public:
  using Task = std::function<void()>;

  EventLoop() = default;
  ~EventLoop() { Join(); }
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Before each wait, `idle` is called and says how long the wait may be in ms (-1 = any).
  [[nodiscard]] Result<void> Run(std::function<int()> idle);
  // Tasks that were posted before are still run. Callbacks do not come any more.
  void Join();
  // From any thread; in order.
  void Post(Task task);

  // On the loop's thread only. The descriptor must stay open until Unwatch.
  enum class For : std::uint8_t { kReading, kWriting };
  [[nodiscard]] Result<std::uint64_t> Watch(int fd, Task ready, For what = For::kReading);
  void Unwatch(std::uint64_t id);

 private:
  struct Watched {
    int fd = -1;
    std::shared_ptr<Task> ready;
  };
  void Loop();
  bool RunPosted();

  Fd epoll_;
  Fd wake_;
  std::function<int()> idle_;
  std::thread thread_;
  std::map<std::uint64_t, Watched> watched_;
  std::uint64_t next_id_ = 1;
  std::mutex mutex_;
  std::vector<Task> posted_;  // guarded by mutex_
  bool ending_ = false;       // guarded by mutex_
};

}  // namespace cube::engine::process
