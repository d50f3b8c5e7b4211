// The appends in flight: tokens count up, acknowledgements come (nearly) in order, so a ring and
// one deadline do the work of a hash table and a timer each. Not thread safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/time.h"
#include "shared/bus/bus.h"

namespace cube::bus {

class AppendWindow {
 public:
  struct Ended {
    OpId op = 0;
    std::string subject;  // for error texts
  };

  // -> the token that the acknowledgement will name.
  std::uint64_t Add(OpId op, std::string subject, MonoTime deadline);
  // Which append the token stands for; nullopt if it has ended already (or never was).
  std::optional<Ended> Finish(std::uint64_t token);
  // Ends those whose deadline has passed, oldest first.
  std::vector<Ended> TakeExpired(MonoTime now);
  // Ends all, oldest first.
  std::vector<Ended> TakeAll();

  // When to call TakeExpired; MonoTime::max() if nothing is in flight. Never too late, at times
  // too early.
  [[nodiscard]] MonoTime next_deadline() const { return next_deadline_; }
  [[nodiscard]] std::size_t size() const { return pending_; }

 private:
  struct Slot {
    Ended append;
    MonoTime deadline;
    bool done = false;
  };
  void PopDone();

  std::deque<Slot> slots_;
  std::uint64_t first_token_ = 1;  // of slots_.front()
  std::size_t pending_ = 0;
  MonoTime next_deadline_ = MonoTime::max();
};

}  // namespace cube::bus
