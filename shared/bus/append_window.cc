#include "shared/bus/append_window.h"

#include <algorithm>
#include <utility>

namespace cube::bus {

std::uint64_t AppendWindow::Add(OpId op, std::string subject, MonoTime deadline) {
  slots_.push_back({{op, std::move(subject)}, deadline, false});
  ++pending_;
  next_deadline_ = std::min(next_deadline_, deadline);
  return first_token_ + slots_.size() - 1;
}

std::optional<AppendWindow::Ended> AppendWindow::Finish(std::uint64_t token) {
  if (token < first_token_ || token - first_token_ >= slots_.size()) return std::nullopt;
  Slot& slot = slots_[token - first_token_];
  if (slot.done) return std::nullopt;
  slot.done = true;
  --pending_;
  Ended ended = std::move(slot.append);
  PopDone();
  if (pending_ == 0) next_deadline_ = MonoTime::max();
  return ended;
}

std::vector<AppendWindow::Ended> AppendWindow::TakeExpired(MonoTime now) {
  std::vector<Ended> expired;
  next_deadline_ = MonoTime::max();
  for (Slot& slot : slots_) {
    if (slot.done) continue;
    if (slot.deadline <= now) {
      slot.done = true;
      --pending_;
      expired.push_back(std::move(slot.append));
    } else {
      next_deadline_ = std::min(next_deadline_, slot.deadline);
    }
  }
  PopDone();
  return expired;
}

std::vector<AppendWindow::Ended> AppendWindow::TakeAll() {
  std::vector<Ended> all;
  for (Slot& slot : slots_) {
    if (!slot.done) all.push_back(std::move(slot.append));
  }
  first_token_ += slots_.size();
  slots_.clear();
  pending_ = 0;
  next_deadline_ = MonoTime::max();
  return all;
}

void AppendWindow::PopDone() {
  while (!slots_.empty() && slots_.front().done) {
    slots_.pop_front();
    ++first_token_;
  }
}

}  // namespace cube::bus
