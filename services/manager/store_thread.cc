#include "services/manager/store_thread.h"

#include <future>
#include <utility>

#include "shared/base/check.h"
#include "shared/logging/logging.h"

namespace cube::manager {

StoreThread::StoreThread(store::Store& store, Duration sync_every, Events events)
    : store_(&store),
      sync_every_(sync_every),
      events_(std::move(events)),
      port_(store),
      thread_([this] { Loop(); }) {}

StoreThread::~StoreThread() { (void)End(); }

void StoreThread::Commit(manager::Commit commit) {
  {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return commits_ < kCommitsMax; });
    ++commits_;
  }
  Add(std::move(commit));
}

Result<void> StoreThread::Read(const Reading& reading) {
  std::promise<Result<void>> read;
  Add(Ask([&] {
    if (!error_) reading(*store_);
    read.set_value(error_ ? std::unexpected(*error_) : Result<void>());
  }));
  return read.get_future().get();
}

Result<void> StoreThread::End() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    asked_.notify_one();
    thread_.join();
  }
  if (error_) return std::unexpected(*error_);
  return {};
}

void StoreThread::Add(Job job) {
  {
    const std::lock_guard lock(mutex_);
    CUBE_CHECK(!ends_);
    jobs_.push_back(std::move(job));
  }
  asked_.notify_one();
}

void StoreThread::Loop() {
  while (std::optional<Job> job = Next()) {
    Do(*job);
    if (std::holds_alternative<manager::Commit>(*job)) {
      job.reset();  // its memory is free before there may be another
      {
        const std::lock_guard lock(mutex_);
        --commits_;
      }
      done_.notify_one();
    }
    if (sync_at_ && std::chrono::steady_clock::now() >= *sync_at_) SyncNow();
  }
}

std::optional<StoreThread::Job> StoreThread::Next() {
  std::unique_lock lock(mutex_);
  const auto due = [this] { return ends_ || !jobs_.empty(); };
  if (sync_at_ && !asked_.wait_until(lock, *sync_at_, due)) {
    lock.unlock();
    SyncNow();
    lock.lock();
  }
  asked_.wait(lock, due);
  if (jobs_.empty()) return std::nullopt;
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  return job;
}

void StoreThread::Do(const Job& job) {
  if (const auto* ask = std::get_if<Ask>(&job)) {
    (*ask)();
  } else if (error_) {
    return;  // what the store holds is not what whoever asks believes
  } else if (const auto* commit = std::get_if<manager::Commit>(&job)) {
    if (Result<void> done = port_.Commit(commit->batch); !done) {
      error_ = done.error();
      events_.failed();
    } else if (!sync_at_) {
      sync_at_ = std::chrono::steady_clock::now() + sync_every_;
    }
  } else if (std::holds_alternative<manager::Freeze>(job)) {
    port_.Freeze();
  } else if (const auto* read = std::get_if<manager::ReadFrozen>(&job)) {
    events_.rows(port_.ReadFrozen(read->bytes_max));
  } else {
    port_.Thaw();
  }
}

void StoreThread::SyncNow() {
  sync_at_.reset();
  if (Result<void> synced = store_->Sync(); !synced) {
    logging::LogError(logging::Level::kWarning, "the view could not be synced", synced.error());
  }
}

}  // namespace cube::manager
