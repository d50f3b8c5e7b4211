// Upper bounds of encoded sizes, sums over the values without encoding anything. Specifications
// have theirs in shared/domain/task_spec.h, since deciding fills messages by it; nothing but tests
// and the benchmark of the codec asks for whole items yet.
#include "shared/wire/codec.h"
#include "shared/wire/limits.h"

namespace cube::wire {
namespace {

// A field's key (1 or 2 bytes) and a varint of any length (10), rounded up.
constexpr std::size_t kScalarMax = 12;
// A field's key and the length of what follows.
constexpr std::size_t kFramingMax = 7;

std::size_t Text(std::string_view text) { return kFramingMax + text.size(); }

// A sentence is cleaned on its way: a malformed byte becomes three, but never above the limit.
std::size_t Sentence(std::string_view text) {
  return kFramingMax + std::min(text.size() * 3, kSentenceBytesMax);
}

std::size_t Of(const StartAttempt& item) {
  const Explanation& why = *item.explanation;
  std::size_t size = Text(item.task.str()) + 4 * kScalarMax + Text(item.node.str()) +
                     EncodedBytesMax(*item.spec) + kFramingMax + Text(why.scheduler) +
                     5 * kScalarMax + Text(why.runner_up.str());
  for (const FilterCount& count : why.filtered) {
    size += kFramingMax + Text(count.filter) + kScalarMax;
  }
  return size;
}
std::size_t Of(const StopAttempt& item) {
  return Text(item.task.str()) + 3 * kScalarMax + Text(item.node.str());
}
std::size_t Of(const RefuseIntent& item) {
  return 2 * kScalarMax + kFramingMax + std::min(item.task.size() * 3, kWordBytesMax) +
         kFramingMax + Text(CodeName(item.error.code)) + Sentence(item.error.message) +
         Sentence(item.error.field);
}
std::size_t Of(const NodeDown& item) {
  return Text(item.node.str()) + kScalarMax + Sentence(item.reason);
}
std::size_t Of(const NodeUp& item) { return Text(item.node.str()) + kScalarMax; }
std::size_t Of(const WelcomeNode& item) { return Text(item.node.str()) + 4 * kScalarMax; }
std::size_t Of(const RefuseNode& item) {
  return Text(item.node.str()) + 2 * kScalarMax + Sentence(item.reason);
}
std::size_t Of(const ForgetTask& item) { return Text(item.task.str()); }
std::size_t Of(const SetLoad& item) {
  return Text(item.node.str()) + kScalarMax + kFramingMax + 3 * kScalarMax;
}
std::size_t Of(const EvictAttempt& item) {
  return Text(item.task.str()) + 4 * kScalarMax + Text(item.node.str()) + Sentence(item.reason);
}

std::size_t Of(const FillSlots& item) {
  return Text(item.job.str()) + 5 * kScalarMax + Text(item.node.str());
}
std::size_t Of(const EmptySlots& item) { return Text(item.job.str()) + 5 * kScalarMax; }
std::size_t Of(const EndUpdate& item) {
  return Text(item.job.str()) + kScalarMax + Sentence(item.failure);
}
std::size_t Of(const EndJob& item) {
  return Text(item.job.str()) + kScalarMax + Sentence(item.reason);
}
std::size_t Of(const ReadoptAttempt& item) {
  return Text(item.node.str()) + Text(item.task.str()) + kFramingMax + 5 * kScalarMax +
         (item.spec == nullptr ? 0 : EncodedBytesMax(*item.spec) + kFramingMax);
}
std::size_t Of(const DropAttempt& item) {
  return Text(item.node.str()) + Text(item.task.str()) + 2 * kScalarMax + Sentence(item.reason);
}
std::size_t Of(const SettleNode& item) { return Text(item.node.str()) + kScalarMax; }

}  // namespace

std::size_t EncodedSizeMax(const DecisionItem& item) {
  return 2 * kFramingMax + std::visit([](const auto& what) { return Of(what); }, item);
}

}  // namespace cube::wire
