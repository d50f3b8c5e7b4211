// What probers have answered, gathered for tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

#include "services/worker/engine/prober.h"

namespace cube::engine {

// Results as they came, from whichever thread.
class Results {
 public:
  [[nodiscard]] ProbeSink Sink() {
    return [this](ProbeResult result) {
      const std::lock_guard lock(mutex_);
      ++counts_[result.id];
      results_[result.id] = std::move(result);
    };
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return results_.size();
  }
  [[nodiscard]] ProbeResult Of(std::uint64_t id) const {
    const std::lock_guard lock(mutex_);
    const auto found = results_.find(id);
    return found == results_.end() ? ProbeResult{} : found->second;
  }
  [[nodiscard]] bool EachOnce() const {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, count] : counts_) {
      if (count != 1) return false;
    }
    return true;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::uint64_t, ProbeResult> results_;  // guarded by mutex_
  std::map<std::uint64_t, int> counts_;           // guarded by mutex_
};

}  // namespace cube::engine
