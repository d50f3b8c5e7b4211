// Limits of what comes in from outside, beside those of shared/domain/validate.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shared/domain/decision.h"
#include "shared/domain/validate.h"

namespace cube::wire {

// Bytes of any message: nats-server's own ceiling for max_payload.
inline constexpr std::size_t kMessageBytesMax = 64u << 20;
// Items of one intent message: beyond it a refusal for each would not fit a decision message soon.
inline constexpr std::size_t kIntentItemsMax = 10'000;
// Items of any other message: a decision message of 256 KiB holds about 20,000.
inline constexpr std::size_t kItemsMax = 65'536;
// Bytes of one sentence for people (reason, detail, failure); longer ones are cut by the sender.
inline constexpr std::size_t kSentenceBytesMax = 4096;
// Bytes of versions, addresses, names for people, engines' ids.
inline constexpr std::size_t kWordBytesMax = 256;
// Filters of an explanation; each item carries a copy once decoded, so few.
inline constexpr std::size_t kFiltersMax = kExplanationFiltersMax;
inline constexpr std::size_t kEnginesMax = 16;           // of one node
inline constexpr std::uint32_t kNodeTasksMax = 100'000;  // of one node: beyond any machine
// Pages of a node's complete set. The leader cuts them at 256 KiB, so this is a set of 1 GiB: room
// for 10,000 tasks with a specification of its own and of the largest size each.
inline constexpr std::uint32_t kDesiredPagesMax = 4096;
// Bytes of an outcome token: two UUIDs' worth.
inline constexpr std::size_t kOutcomeTokenBytesMax = 64;

// Human form: text of one message, and how deep it may nest (a list of specs needs 5).
inline constexpr std::size_t kHumanBytesMax = 8u << 20;
// yaml-cpp takes time that grows faster than the text where brackets pile up.
inline constexpr std::size_t kYamlBytesMax = 1u << 20;
inline constexpr std::size_t kHumanDepthMax = 32;
// Values of one text after aliases are resolved: a few KB of YAML can stand for billions.
inline constexpr std::size_t kHumanValuesMax = 1'000'000;

// An item must fit an intent message of the server's default max_payload (1 MiB) many times.
static_assert(kIntentItemBytesMax * 4 <= (1u << 20));
static_assert(kTextLengthMax < kIntentItemBytesMax);

}  // namespace cube::wire
