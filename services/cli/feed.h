// What the leading manager tells people and senders of intents: cube.events.* and cube.outcome.*,
// one JSON object a message. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"

namespace cube::cli {

// One transition of a task.
struct FeedEvent {
  std::string time;
  std::string task;
  std::string name;
  std::string node;  // empty = none
  std::uint32_t attempt = 0;
  std::uint32_t launch = 0;
  std::string status;
  bool healthy = false;
  std::string reason;  // empty = none
  std::optional<std::int64_t> exit_code;
};
// kInvalid if it is not such an object.
[[nodiscard]] Result<FeedEvent> ParseFeedEvent(std::string_view payload);

// What became of one item of an intent.
struct OutcomeItem {
  std::uint32_t index = 0;
  std::string id{};
  std::string status{};  // accepted, unchanged, refused
  Error error{};         // refused: why
};
struct Outcome {
  std::uint64_t intent = 0;  // sequence of the intent message
  std::vector<OutcomeItem> items;
};
[[nodiscard]] Result<Outcome> ParseOutcome(std::string_view payload);

// The code with that name (CodeName); kInternal for an unknown one.
[[nodiscard]] Code CodeFromName(std::string_view name);

}  // namespace cube::cli
