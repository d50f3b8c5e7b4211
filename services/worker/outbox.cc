#include "services/worker/outbox.h"

#include <algorithm>
#include <utility>

namespace cube::worker {
namespace {

// A bound above a fact's encoded size.
std::size_t SizeMax(const Fact& fact) {
  constexpr std::size_t kFixed = 160;
  if (const auto* l = std::get_if<LaunchFact>(&fact.what)) {
    return kFixed + l->key.task.str().size() + l->detail.size() + l->container_id.size() +
           l->ports.size() * 16;
  }
  if (const auto* h = std::get_if<AttemptHeld>(&fact.what)) {
    std::size_t size = kFixed + h->task.str().size();
    if (h->spec) size += EncodedBytesMax(*h->spec);
    if (h->observed) size += SizeMax({fact.at, *h->observed});
    if (h->health) size += kFixed + h->task.str().size() + h->health->reason.size();
    return size;
  }
  const NodeDescription* d = nullptr;
  if (const auto* j = std::get_if<NodeJoined>(&fact.what)) d = &j->description;
  if (const auto* j = std::get_if<NodeDescribed>(&fact.what)) d = &j->description;
  if (d == nullptr) return kFixed;
  std::size_t size = kFixed + d->version.size() + d->address.size();
  for (const auto& [key, value] : d->labels) size += key.size() + value.size() + 16;
  for (const EngineDescription& e : d->engines) size += e.kind.size() + e.version.size() + 16;
  return size;
}

}  // namespace

void Outbox::Add(NumberedFact fact) {
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
    window_.push_back(std::move(fact));
  }
  if (next_read_ > last_ || facts.empty()) unread_ = false;
}

std::vector<NumberedFact> Outbox::NextBatch() const {
  std::vector<NumberedFact> batch;
  std::size_t bytes = 256;  // the message's own fields
  for (const NumberedFact& fact : window_) {
    bytes += SizeMax(fact.fact);
    if (!batch.empty() && (bytes > kFactsBytesMax || batch.size() >= facts_per_message_ ||
                           fact.number != batch.back().number + 1)) {
      break;
    }
    batch.push_back(fact);
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
