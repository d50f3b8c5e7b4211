// What a step of the manager's loop asks its shell to do, in this order.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "shared/bus/operation.h"
#include "shared/store/store.h"

namespace cube::manager {

// One transaction of the view's store. Operations about the store that follow see it; those about
// the bus may go out before it is written.
struct Commit {
  store::WriteBatch batch;
};
// The view's store as of the commits before this in the list is to be read, piece by piece,
// whatever is committed meanwhile (store::FrozenScan). A scan that goes on is given up.
struct Freeze {};
// -> Input::rows: the next ones, in all about so many bytes; none = that were all, and the scan is
// over, as it is after an error. In the order of asking, sooner or later: perhaps when the scan has
// been given up and another one has begun.
struct ReadFrozen {
  std::size_t bytes_max = 0;
};
// The rest is not wanted.
struct Thaw {};
struct LogLine {
  enum class Level : std::uint8_t { kInfo, kWarning, kError };
  Level level = Level::kInfo;
  std::string text;
};
// The process cannot go on; ends with this message and code.
struct Exit {
  int code = 0;
  std::string reason;
};

using Operation = std::variant<bus::Operation, Commit, Freeze, ReadFrozen, Thaw, LogLine, Exit>;

// An ordered list that reads like calls.
class Operations {
 public:
  template <class BusOperation>
  void Bus(BusOperation operation) {
    list_.emplace_back(bus::Operation(std::move(operation)));
  }
  void Commit(store::WriteBatch batch) {
    if (!batch.empty()) list_.emplace_back(manager::Commit{std::move(batch)});
  }
  void Freeze() { list_.emplace_back(manager::Freeze{}); }
  void ReadFrozen(std::size_t bytes_max) { list_.emplace_back(manager::ReadFrozen{bytes_max}); }
  void Thaw() { list_.emplace_back(manager::Thaw{}); }
  void Info(std::string text) { Line(LogLine::Level::kInfo, std::move(text)); }
  void Warn(std::string text) { Line(LogLine::Level::kWarning, std::move(text)); }
  void Error(std::string text) { Line(LogLine::Level::kError, std::move(text)); }
  void Exit(int code, std::string reason) {
    list_.emplace_back(manager::Exit{code, std::move(reason)});
  }
  [[nodiscard]] std::vector<Operation> Take() { return std::exchange(list_, {}); }

 private:
  void Line(LogLine::Level level, std::string text) {
    list_.emplace_back(LogLine{level, std::move(text)});
  }
  std::vector<Operation> list_;
};

}  // namespace cube::manager
