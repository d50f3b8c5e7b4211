// Inbox: how values get from other threads (callbacks of C libraries, readers of pipes) to the one
// thread that owns the state. Many may push, one takes.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "shared/base/check.h"
#include "shared/base/time.h"
#include "shared/runtime/clock.h"

namespace cube {

template <class T>
class Inbox {
 public:
  // capacity: how many values Push lets in; what PushAlways put in counts too.
  explicit Inbox(std::size_t capacity) : capacity_(capacity) { CUBE_CHECK(capacity > 0); }
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // False (and counted in dropped()) if full or closed: for what may be lost, as core messages.
  bool Push(T value) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || values_.size() >= capacity_) {
        ++dropped_;
        return false;
      }
      values_.push_back(std::move(value));
    }
    ready_.notify_one();
    return true;
  }

  // Puts it in even if full: for completions, whose number the taker bounds by what it starts.
  // After Close it is dropped like the rest.
  void PushAlways(T value) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) {
        ++dropped_;
        return;
      }
      values_.push_back(std::move(value));
    }
    ready_.notify_one();
  }

  // Waits until there is a value, Wake or Close was called, or the deadline has passed; then
  // appends at most `max` values to `out`, in the order they came. A deadline in the past does not
  // wait.
  // -> how many were taken. MonoTime::max() = no deadline.
  std::size_t TakeUntil(std::vector<T>& out, std::size_t max, MonoTime deadline) {
    std::unique_lock lock(mutex_);
    const auto due = [this] { return !values_.empty() || woken_ || closed_; };
    if (deadline == MonoTime::max()) {
      ready_.wait(lock, due);
    } else if (!due()) {
      ready_.wait_until(lock, ToSteady(deadline), due);
    }
    woken_ = false;
    const std::size_t count = std::min(max, values_.size());
    for (std::size_t i = 0; i < count; ++i) {
      out.push_back(std::move(values_.front()));
      values_.pop_front();
    }
    return count;
  }

  // Ends the current or the next wait, without a value. Any thread; not for signal handlers.
  void Wake() {
    {
      const std::lock_guard lock(mutex_);
      woken_ = true;
    }
    ready_.notify_one();
  }

  // Nothing gets in any more; what is inside can still be taken, and TakeUntil never waits again.
  void Close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
  }

  [[nodiscard]] bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return values_.size();
  }
  // How many values Push refused since the start.
  [[nodiscard]] std::uint64_t dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
  }

 private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<T> values_;
  std::uint64_t dropped_ = 0;
  bool woken_ = false;
  bool closed_ = false;
};

}  // namespace cube
