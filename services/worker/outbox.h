// The durable outbox as the loop sees it: which facts to send next, and what has been acknowledged.
// Its bytes are in the store (worker_store.h); here is a window on the oldest of them, so that days
// without NATS fill the disk and not the memory. The disk is the outbox's only limit.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "services/worker/core/worker_state.h"
#include "shared/domain/fact.h"

namespace cube::worker {

// Facts in memory: about 10 MB.
inline constexpr std::size_t kOutboxWindowMax = 20'000;
// Facts that one look into the store brings.
inline constexpr std::size_t kOutboxReadMax = 5'000;
// Of one message: far below every server's max_payload (1 MiB by default).
inline constexpr std::size_t kFactsBytesMax = 256u << 10;
inline constexpr std::size_t kFactsPerMessageMax = 1000;
static_assert(kOutboxReadMax <= kOutboxWindowMax && kFactsPerMessageMax <= kOutboxReadMax);

// A fact as its bytes in a message (wire::EncodeFact): the store and the log get the same.
struct EncodedFact {
  std::uint64_t number = 0;
  std::string bytes;
};
[[nodiscard]] EncodedFact Encoded(const NumberedFact& fact);

class Outbox {
 public:
  // `acked`: all before; `last`: the newest that the store holds (acked == last: empty).
  Outbox(std::uint64_t acked, std::uint64_t last)
      : last_(last), next_read_(acked + 1), unread_(acked < last) {}

  // A fact that is being committed.
  void Add(EncodedFact fact);
  // What ReadFrom asked for.
  void Filled(std::vector<NumberedFact> facts);
  // Where to read on in the store, if the window has room and the store has more.
  [[nodiscard]] std::optional<std::uint64_t> ReadFrom();

  // The facts of the next message, valid until the outbox changes. Empty if there is nothing.
  [[nodiscard]] std::vector<const EncodedFact*> NextBatch() const;
  // The numbers of the facts up to `number`, which leave the outbox.
  [[nodiscard]] std::vector<std::uint64_t> Acked(std::uint64_t number);
  // The server finds messages too large: halves them. / They get through again.
  void Shrink();
  void Restore() { facts_per_message_ = kFactsPerMessageMax; }
  // A new incarnation: nothing of before counts.
  void Clear();

  [[nodiscard]] bool empty() const { return window_.empty() && !unread_; }
  [[nodiscard]] std::size_t facts_per_message() const { return facts_per_message_; }

 private:
  std::deque<EncodedFact> window_;
  std::uint64_t last_ = 0;
  std::uint64_t next_read_ = 1;
  bool unread_ = false;   // the store has facts behind the window
  bool reading_ = false;  // a read is under way
  std::size_t facts_per_message_ = kFactsPerMessageMax;
};

}  // namespace cube::worker
