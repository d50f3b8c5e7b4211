// Specifications that were read before: of many tasks that are submitted one by one with the same
// one, it is decoded and checked once, and all of them share it. Equal bytes mean the same, so what
// is kept changes no answer. One thread at a time.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <memory>
#include <string>

#include "shared/domain/task_spec.h"

namespace cube::wire {

class SpecCache {
 public:
  // All are forgotten when they take more. Of one that nobody has any more the memory is kept.
  static constexpr std::size_t kKeptBytesMax = 1u << 20;

  // What these bytes of a message were read as; nullptr: not known, or nobody has it any more.
  [[nodiscard]] TaskSpecPtr Find(const std::string& bytes) const;
  // Nothing happens if the bytes are more than a specification should have.
  void Keep(const std::string& bytes, const TaskSpecPtr& spec);
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  absl::flat_hash_map<std::string, std::weak_ptr<const TaskSpec>> kept_;
  std::size_t bytes_ = 0;  // of all keys and values
};

}  // namespace cube::wire
