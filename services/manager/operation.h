// What a step of the manager's loop asks its shell to do, in this order.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "shared/bus/operation.h"
#include "shared/store/store.h"

namespace cube::manager {

// One transaction of the view's store. What follows in the list may rely on it.
struct Commit {
  store::WriteBatch batch;
};
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

using Operation = std::variant<bus::Operation, Commit, LogLine, Exit>;

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
