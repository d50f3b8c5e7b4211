// Names and ids, each with a type of its own: a value of the type is valid, so nothing inside
// checks again. The grammar is one token of a NATS subject (docs/PROTOCOL.md).
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "shared/base/error.h"

namespace cube {

// A DNS label (RFC 1123): what container engines, host names and NATS tokens all accept.
inline constexpr std::size_t kTokenLengthMax = 63;
// Leaves room in a token for "-" and the longest generated tail (13 + 1 + 7 base32 digits).
inline constexpr std::size_t kTaskNameLengthMax = 40;
static_assert(kTaskNameLengthMax + 1 + 13 + 1 + 7 <= kTokenLengthMax);

// [a-z0-9]([a-z0-9-]*[a-z0-9])?, at most `length_max` characters. The error names `field`.
[[nodiscard]] Result<void> CheckToken(std::string_view text, std::string_view field,
                                      std::size_t length_max = kTokenLengthMax);

// A token with a meaning; Tag keeps the kinds apart. Empty (default) stands for "none".
template <class Tag>
class Token {
 public:
  Token() = default;
  [[nodiscard]] static Result<Token> Parse(std::string_view text, std::string_view field) {
    CUBE_TRY_VOID(CheckToken(text, field, Tag::kLengthMax));
    return Token(std::string(text));
  }
  // For text that this program made or has checked before (records of its own store).
  [[nodiscard]] static Token Trusted(std::string text) { return Token(std::move(text)); }

  [[nodiscard]] const std::string& str() const { return text_; }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  friend auto operator<=>(const Token&, const Token&) = default;
  friend bool operator==(const Token&, const Token&) = default;

 private:
  explicit Token(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

struct NodeNameTag {
  static constexpr std::size_t kLengthMax = kTokenLengthMax;
};
struct TaskIdTag {
  static constexpr std::size_t kLengthMax = kTokenLengthMax;
};
struct TaskNameTag {
  static constexpr std::size_t kLengthMax = kTaskNameLengthMax;
};
using NodeName = Token<NodeNameTag>;
using TaskId = Token<TaskIdTag>;
using TaskName = Token<TaskNameTag>;

// Numbers from outside that are counted on from (attempts, launches, incarnations, versions): far
// from where they would begin again.
inline constexpr std::uint32_t kCounterMax = 1u << 31;

// The order of acceptance: which intent message, and which item in it. Unlike ids it grows, so
// that keys in the store are appended. {0,0} = none.
struct TaskNumber {
  std::uint64_t intent = 0;  // sequence in the intents stream
  std::uint32_t index = 0;   // item of that message
  friend auto operator<=>(const TaskNumber&, const TaskNumber&) = default;
};

// The id of a submission that named none: every reader computes the same one.
[[nodiscard]] TaskId GeneratedTaskId(const TaskName& name, TaskNumber number);

// What a manager's term of office is known by: a counter that grows, and a random name, since
// counters can come back when a server loses the end of a stream. epoch 0 = none.
struct Term {
  std::uint64_t epoch = 0;
  std::uint64_t id = 0;
  friend auto operator<=>(const Term&, const Term&) = default;
};

// Names one decision message for ever: the term that wrote it and its cycle within the term.
struct Stamp {
  std::uint64_t term_id = 0;
  std::uint64_t cycle = 0;
  friend auto operator<=>(const Stamp&, const Stamp&) = default;
};

// One container (or process): a launch of an attempt of a task.
struct LaunchKey {
  TaskId task;
  std::uint32_t attempt = 0;  // from 1; grows when the task is placed again
  std::uint32_t launch = 0;   // from 0; grows when it is restarted in place
  friend auto operator<=>(const LaunchKey&, const LaunchKey&) = default;
};

}  // namespace cube

template <class Tag>
struct std::hash<cube::Token<Tag>> {
  std::size_t operator()(const cube::Token<Tag>& t) const noexcept {
    return std::hash<std::string>()(t.str());
  }
};
