#include "services/manager/work_ahead.h"

#include <utility>

namespace cube::manager {

WorkAhead::WorkAhead() : thread_([this] { Loop(); }) {}

WorkAhead::~WorkAhead() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  offered_.notify_one();
  thread_.join();
}

void WorkAhead::Offer(const std::shared_ptr<Work>& work) {
  {
    const std::lock_guard lock(mutex_);
    works_.push_back(work);
  }
  offered_.notify_one();
}

void WorkAhead::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    offered_.wait(lock, [this] { return ends_ || !works_.empty(); });
    if (ends_) return;
    const std::weak_ptr<Work> next = std::move(works_.front());
    works_.pop_front();
    lock.unlock();
    if (const std::shared_ptr<Work> work = next.lock()) work->Do();
    lock.lock();
  }
}

}  // namespace cube::manager
