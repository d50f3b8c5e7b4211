#include "bench/cluster/progress.h"

#include <functional>

namespace cube::bench {
namespace {

std::uint64_t HashOf(std::string_view task) { return std::hash<std::string_view>()(task); }

}  // namespace

Progress::State* Progress::Newest(std::string_view task, std::uint32_t attempt) {
  State& state = tasks_[HashOf(task)];
  if (attempt < state.newest) return nullptr;
  if (attempt > state.newest) {
    if (state.runs) --running_;
    state.runs = false;
    state.newest = attempt;
  }
  return &state;
}

void Progress::Placed(std::string_view task, std::uint32_t attempt) {
  State* state = Newest(task, attempt);
  if (state == nullptr) state = &tasks_[HashOf(task)];
  if (attempt <= state->placed) return;  // told before
  ++(state->placed == 0 ? scheduled_ : moves_);
  state->placed = attempt;
}

void Progress::Runs(std::string_view task, std::uint32_t attempt) {
  State* state = Newest(task, attempt);
  if (state == nullptr || state->runs) return;
  state->runs = true;
  ++running_;
}

void Progress::Ended(std::string_view task, std::uint32_t attempt) {
  State* state = Newest(task, attempt);
  if (state == nullptr || !state->runs) return;
  state->runs = false;
  --running_;
}

}  // namespace cube::bench
