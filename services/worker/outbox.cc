#include "services/worker/outbox.h"

#include <algorithm>
#include <utility>

#include "shared/wire/codec.h"

namespace cube::worker {

EncodedFact Encoded(const NumberedFact& fact) { return {fact.number, wire::EncodeFact(fact.fact)}; }

void Outbox::Add(EncodedFact fact) {
  last_ = fact.number;
  if (!unread_ && window_.size() >= kOutboxWindowMax) unread_ = true;
  if (unread_) return;
  next_read_ = fact.number + 1;
  window_.push_back(std::move(fact));
}

std::optional<std::uint64_t> Outbox::ReadFrom() {
  if (!unread_ || reading_ || window_.size() + kOutboxReadMax > kOutboxWindowMax) {
    return std::nullopt;
  }
  reading_ = true;
  return next_read_;
}

void Outbox::Filled(std::vector<NumberedFact> facts) {
  if (!std::exchange(reading_, false)) return;
  for (NumberedFact& fact : facts) {
    next_read_ = fact.number + 1;
    window_.push_back(Encoded(fact));
  }
  if (next_read_ > last_ || facts.empty()) unread_ = false;
}

std::vector<const EncodedFact*> Outbox::NextBatch() const {
  std::vector<const EncodedFact*> batch;
  batch.reserve(std::min(window_.size(), facts_per_message_));
  std::size_t bytes = 256;  // the message's own fields
  for (const EncodedFact& fact : window_) {
    bytes += fact.bytes.size();
    if (!batch.empty() && (bytes > kFactsBytesMax || batch.size() >= facts_per_message_ ||
                           fact.number != batch.back()->number + 1)) {
      break;
    }
    batch.push_back(&fact);
  }
  return batch;
}

std::vector<std::uint64_t> Outbox::Acked(std::uint64_t number) {
  std::vector<std::uint64_t> numbers;
  while (!window_.empty() && window_.front().number <= number) {
    numbers.push_back(window_.front().number);
    window_.pop_front();
  }
  return numbers;
}

void Outbox::Shrink() { facts_per_message_ = std::max<std::size_t>(1, facts_per_message_ / 2); }

void Outbox::Clear() {
  window_.clear();
  last_ = 0;
  next_read_ = 1;
  unread_ = reading_ = false;
}

}  // namespace cube::worker
