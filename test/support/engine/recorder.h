// An inbox for the events of one engine, and ways to wait until something is in it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/worker/engine/engine.h"

namespace cube::engine {

// How long a condition may take on a loaded machine before the test fails.
inline constexpr std::chrono::seconds kWaitMax{60};

class Recorder {
 public:
  // Given to the engine as its sink; the recorder outlives the engine.
  [[nodiscard]] Sink MakeSink() {
    return [this](Event event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
      changed_.notify_all();
    };
  }

  // Lets time pass in an engine without a thread of its own; false = wait for real events.
  void SetPump(std::function<bool()> pump) { pump_ = std::move(pump); }

  [[nodiscard]] std::vector<Event> All() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }

  // How many events have come so far: a mark, for Wait's `from`.
  [[nodiscard]] std::size_t Count() const {
    const std::lock_guard lock(mutex_);
    return events_.size();
  }

  // Waits until `found` is true of all events so far.
  template <class Predicate>
  [[nodiscard]] bool WaitUntil(Predicate found, std::chrono::milliseconds wait_max = kWaitMax) {
    const auto deadline = std::chrono::steady_clock::now() + wait_max;
    for (;;) {
      const bool pumped = pump_ && pump_();
      std::unique_lock lock(mutex_);
      if (found(std::as_const(events_))) return true;
      if (std::chrono::steady_clock::now() >= deadline) return false;
      if (!pumped) changed_.wait_until(lock, deadline);
    }
  }

  // The first event of type E, from position `from` on, for which `matches` is true.
  template <class E, class Predicate>
  [[nodiscard]] std::optional<E> WaitFor(Predicate matches, std::size_t from = 0,
                                         std::chrono::milliseconds wait_max = kWaitMax) {
    std::optional<E> result;
    (void)WaitUntil(
        [&](const std::vector<Event>& events) {
          for (std::size_t i = from; i < events.size(); ++i) {
            const E* e = std::get_if<E>(&events[i]);
            if (e != nullptr && matches(*e)) {
              result = *e;
              return true;
            }
          }
          return false;
        },
        wait_max);
    return result;
  }
  template <class E>
  [[nodiscard]] std::optional<E> WaitFor(std::size_t from = 0) {
    return WaitFor<E>([](const E&) { return true; }, from);
  }

  // The status with which `key` entered `state`, or nothing in time.
  [[nodiscard]] std::optional<LaunchStatus> WaitForState(const LaunchKey& key, LaunchState state,
                                                         std::size_t from = 0) {
    auto changed = WaitFor<Changed>(
        [&](const Changed& c) { return c.status.key == key && c.status.state == state; }, from);
    if (!changed) return std::nullopt;
    return changed->status;
  }

  // Every Changed of one launch, in order.
  [[nodiscard]] std::vector<LaunchStatus> History(const LaunchKey& key) const {
    const std::lock_guard lock(mutex_);
    std::vector<LaunchStatus> result;
    for (const Event& event : events_) {
      const auto* c = std::get_if<Changed>(&event);
      if (c != nullptr && c->status.key == key) result.push_back(c->status);
    }
    return result;
  }

  // What a log stream has given so far, standard output and error apart.
  struct Output {
    std::string out, err;
    bool ended = false;
    std::optional<Error> error;
    std::size_t bytes = 0;
  };
  [[nodiscard]] static Output OutputOf(const std::vector<Event>& events, std::uint64_t stream) {
    Output result;
    for (const Event& event : events) {
      if (const auto* c = std::get_if<LogChunk>(&event); c != nullptr && c->stream == stream) {
        (c->is_stderr ? result.err : result.out) += c->bytes;
        result.bytes += c->bytes.size();
      }
      if (const auto* e = std::get_if<LogEnd>(&event); e != nullptr && e->stream == stream) {
        result.ended = true;
        result.error = e->error;
      }
    }
    return result;
  }
  [[nodiscard]] Output OutputOf(std::uint64_t stream) const { return OutputOf(All(), stream); }

  // What a command of Exec has given so far.
  struct Execution : Output {
    std::int32_t exit_code = -1;
    std::size_t took = 0;  // of its input
    int ends = 0;
  };
  [[nodiscard]] static Execution ExecOf(const std::vector<Event>& events, std::uint64_t exec) {
    Execution result;
    for (const Event& event : events) {
      if (const auto* o = std::get_if<ExecOutput>(&event); o != nullptr && o->exec == exec) {
        (o->is_stderr ? result.err : result.out) += o->bytes;
        result.bytes += o->bytes.size();
      }
      if (const auto* t = std::get_if<ExecTook>(&event); t != nullptr && t->exec == exec)
        result.took += t->bytes;
      if (const auto* e = std::get_if<ExecEnded>(&event); e != nullptr && e->exec == exec) {
        result.ended = true;
        ++result.ends;
        result.error = e->error;
        result.exit_code = e->exit_code;
      }
    }
    return result;
  }
  [[nodiscard]] Execution ExecOf(std::uint64_t exec) const { return ExecOf(All(), exec); }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
  std::function<bool()> pump_;
};

}  // namespace cube::engine
