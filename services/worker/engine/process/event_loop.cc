#include "services/worker/engine/process/event_loop.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "shared/base/check.h"

namespace cube::engine::process {
namespace {

constexpr std::uint64_t kWakeId = 0;
constexpr int kEventsMax = 64;  // of one wait; the rest comes with the next

}  // namespace

Result<void> EventLoop::Run(std::function<int()> idle) {
  CUBE_CHECK(!thread_.joinable());
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_.valid() || !wake_.valid()) return SystemFailure("making an event loop", errno);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeId;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
    return SystemFailure("making an event loop", errno);
  }
  idle_ = std::move(idle);
  thread_ = std::thread([this] { Loop(); });
  return {};
}

void EventLoop::Join() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  Post([] {});
  thread_.join();
}

void EventLoop::Post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
  }
  if (!wake_.valid()) return;
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the thread wakes anyway.
  [[maybe_unused]] const auto put = write(wake_.get(), &one, sizeof(one));
}

Result<std::uint64_t> EventLoop::Watch(int fd, Task ready, For what) {
  const std::uint64_t id = next_id_++;
  epoll_event event{};
  event.events = what == For::kReading ? EPOLLIN : EPOLLOUT;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return SystemFailure("watching a descriptor", errno);
  }
  watched_[id] = {fd, std::make_shared<Task>(std::move(ready))};
  return id;
}

void EventLoop::Unwatch(std::uint64_t id) {
  const auto it = watched_.find(id);
  if (it == watched_.end()) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, it->second.fd, nullptr);
  watched_.erase(it);
}

// False: the end has been asked for, and all that was posted before it has been run.
bool EventLoop::RunPosted() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = read(wake_.get(), &count, sizeof(count));
  std::vector<Task> tasks;
  bool ending = false;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
    ending = ending_;
  }
  for (const auto& task : tasks) task();
  return !ending;
}

void EventLoop::Loop() {
  // Signals belong to the main thread; a pipe that nobody reads is an error of its write.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  std::array<epoll_event, kEventsMax> events{};
  while (true) {
    const int count = epoll_wait(epoll_.get(), events.data(), kEventsMax, idle_());
    CUBE_CHECK(count >= 0 || errno == EINTR);
    bool posted = false;
    for (int i = 0; i < count; ++i) {
      const std::uint64_t id = events[static_cast<std::size_t>(i)].data.u64;
      if (id == kWakeId) {
        posted = true;
        continue;
      }
      const auto it = watched_.find(id);
      if (it == watched_.end()) continue;   // unwatched by a callback of this very round
      const auto ready = it->second.ready;  // lives on if it unwatches itself
      (*ready)();
    }
    if (posted && !RunPosted()) return;
  }
}

}  // namespace cube::engine::process
