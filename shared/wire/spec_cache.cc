#include "shared/wire/spec_cache.h"

#include "shared/domain/validate.h"

namespace cube::wire {

TaskSpecPtr SpecCache::Find(const std::string& bytes) const {
  const auto it = kept_.find(bytes);
  return it == kept_.end() ? nullptr : it->second.lock();
}

void SpecCache::Keep(const std::string& bytes, const TaskSpecPtr& spec) {
  // One that repeats its fields has more bytes than it means.
  if (bytes.size() > kIntentItemBytesMax) return;
  const std::size_t size = bytes.size() + sizeof(TaskSpec);
  if (bytes_ + size > kKeptBytesMax) {
    kept_.clear();
    bytes_ = 0;
  }
  if (kept_.insert_or_assign(bytes, spec).second) bytes_ += size;
}

}  // namespace cube::wire
