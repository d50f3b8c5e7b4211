// Specifications of many tasks, as they are written: that of a job with ten thousand tasks goes to
// thousands of nodes, and is encoded once. One thread at a time.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "shared/domain/task_spec.h"

namespace cube::wire {

// More owners than this has the specification of many tasks: its text is worth keeping, and an
// equal one of others not worth looking for.
inline constexpr long kSharedByMany = 8;
[[nodiscard]] inline bool IsShared(const TaskSpecPtr& spec) {
  return spec.use_count() > kSharedByMany;
}

// A message's bytes as one element of the field `field` of another message.
[[nodiscard]] std::string AsField(int field, std::string_view message);

class SpecTexts {
 public:
  // All are forgotten when they take more.
  static constexpr std::size_t kKeptBytesMax = 1u << 20;

  // As elements of a message's field number `field`.
  explicit SpecTexts(int field) : field_(field) {}
  void Append(const TaskSpecPtr& spec, std::string& to);
  void Clear();
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Kept {
    std::weak_ptr<const TaskSpec> spec;  // another one may be made where it was
    std::string text;
  };
  int field_;
  absl::flat_hash_map<const TaskSpec*, Kept> kept_;
  std::size_t bytes_ = 0;  // of all texts
};
// Those of live copies.
[[nodiscard]] SpecTexts AssignTexts();

}  // namespace cube::wire
