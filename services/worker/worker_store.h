// The worker's tables and records (messages/cube/v1/records.proto). The outbox is the only copy of
// a fact until JetStream has it, so the store must be one whose commits survive a power loss.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/worker/core/worker_core.h"
#include "services/worker/outbox.h"
#include "shared/store/store.h"

namespace cube::worker {

inline constexpr store::TableId kMetaTable = 0;         // "meta" -> WorkerMeta
inline constexpr store::TableId kAssignmentsTable = 1;  // task, 0, attempt -> AssignmentRecord
inline constexpr store::TableId kOutboxTable = 2;       // number -> Facts with one fact

[[nodiscard]] store::Schema WorkerSchema();

// Everything of the store. A fresh one has meta.instance == 0. Damaged records: kDataLoss.
[[nodiscard]] Result<StoredState> LoadState(const store::Store& store, const NodeName& node);

// Specifications as they are in records. An attempt is written several times while its launch comes
// up, and its specification never changes: it is encoded once.
class SpecBytes {
 public:
  // They have come as these bytes, which are the specification's message.
  void Keep(const TaskSpecPtr& spec, std::string_view bytes);
  // The field of the record. Valid until the next call.
  [[nodiscard]] const std::string& Of(const TaskSpecPtr& spec);
  void Forget(const TaskSpecPtr& spec);
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    TaskSpecPtr spec;
    std::string bytes;
  };
  void Add(Entry entry);
  std::vector<Entry> entries_;  // oldest first
};
// One Reconcile begins no more; who comes back later is encoded again.
inline constexpr std::size_t kSpecBytesMax = kBeginsPerReconcileMax;

void PutMeta(store::WriteBatch& batch, const Meta& meta);
// Forgets the specification of an attempt that will not be written again soon.
void PutAttempt(store::WriteBatch& batch, const Attempt& attempt, SpecBytes& specs);
void DeleteAttempt(store::WriteBatch& batch, const AttemptKey& key);
void PutOutbox(store::WriteBatch& batch, const NodeName& node, const Meta& meta,
               const EncodedFact& fact);
void DeleteOutbox(store::WriteBatch& batch, std::uint64_t number);

// At most `facts_max` facts from number `from` on.
[[nodiscard]] Result<std::vector<NumberedFact>> ReadOutboxFrom(const store::Store& store,
                                                               const NodeName& node,
                                                               std::uint64_t from,
                                                               std::size_t facts_max);

}  // namespace cube::worker
