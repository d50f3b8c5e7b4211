// The worker's tables and records (messages/cube/v1/records.proto). The outbox is the only copy of
// a fact until JetStream has it, so the store must be one whose commits survive a power loss.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "services/worker/core/worker_core.h"
#include "shared/store/store.h"

namespace cube::worker {

inline constexpr store::TableId kMetaTable = 0;         // "meta" -> WorkerMeta
inline constexpr store::TableId kAssignmentsTable = 1;  // task, 0, attempt -> AssignmentRecord
inline constexpr store::TableId kOutboxTable = 2;       // number -> Facts with one fact

[[nodiscard]] store::Schema WorkerSchema();

// Everything of the store. A fresh one has meta.instance == 0. Damaged records: kDataLoss.
[[nodiscard]] Result<StoredState> LoadState(const store::Store& store, const NodeName& node);

void PutMeta(store::WriteBatch& batch, const Meta& meta);
void PutAttempt(store::WriteBatch& batch, const Attempt& attempt);
void DeleteAttempt(store::WriteBatch& batch, const AttemptKey& key);
void PutOutbox(store::WriteBatch& batch, const NodeName& node, const Meta& meta,
               const NumberedFact& fact);
void DeleteOutbox(store::WriteBatch& batch, std::uint64_t number);

// At most `facts_max` facts from number `from` on.
[[nodiscard]] Result<std::vector<NumberedFact>> ReadOutboxFrom(const store::Store& store,
                                                               const NodeName& node,
                                                               std::uint64_t from,
                                                               std::size_t facts_max);

}  // namespace cube::worker
