// Failures as values. An Error's code says what the caller can do about it; its text is for
// people and is never compared.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace cube {

// What went wrong, by what to do about it.
enum class Code : std::uint8_t {
  kInvalid,       // the input is wrong: its sender must change it (Error::field says where)
  kNotFound,      // no such thing: name another one
  kConflict,      // the same name already stands for something else: choose another one
  kUnavailable,   // a server or engine cannot be reached now: repeat this call
  kTimedOut,      // no answer in time, outcome unknown: look before repeating
  kAborted,       // somebody else came first: read again, then retry the larger step
  kPrecondition,  // the system is not in a state that allows it: someone must change something
  kResource,      // a limit is reached (size, count, space): send less or free some
  kPermission,    // not allowed: credentials or configuration must change
  kUnsupported,   // this build, server or engine cannot do it
  kDataLoss,      // stored data is damaged: set it aside and rebuild
  kInternal,      // a bug or an unexpected answer: report it
};

// "invalid", "not_found", ...: stable names for logs and messages.
[[nodiscard]] std::string_view CodeName(Code code);

struct [[nodiscard]] Error {
  Code code = Code::kInternal;
  std::string message;  // one sentence for people: what was tried, what was wrong
  std::string field;    // path in the input ("ports[1].host_port"), empty if none applies

  // "ports[1].host_port: must be 0 to 65535", or the message alone.
  [[nodiscard]] std::string Text() const;
  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = std::expected<T, Error>;

// std::unexpected(Error{...}) with less noise: `return Fail(Code::kInvalid, "...", "ports[1]")`.
[[nodiscard]] inline std::unexpected<Error> Fail(Code code, std::string message,
                                                 std::string field = {}) {
  return std::unexpected(Error{code, std::move(message), std::move(field)});
}

// The same failure, with what this layer knows put in front: "opening the view: <text>".
[[nodiscard]] std::unexpected<Error> Annotate(Error error, std::string_view what);

}  // namespace cube

#define CUBE_CONCAT_INNER(a, b) a##b
#define CUBE_CONCAT(a, b) CUBE_CONCAT_INNER(a, b)

// CUBE_TRY(auto x, Parse(s)); CUBE_TRY_VOID(Write(x)): return the error of a failed call.
#define CUBE_TRY(target, expression) \
  CUBE_TRY_IMPL(CUBE_CONCAT(cube_try_, __LINE__), target, expression)
#define CUBE_TRY_IMPL(result, target, expression)                     \
  auto result = (expression);                                         \
  if (!result) return ::std::unexpected(::std::move(result).error()); \
  target = ::std::move(*result)
#define CUBE_TRY_VOID(expression)                                   \
  do {                                                              \
    if (auto cube_try_void = (expression); !cube_try_void)          \
      return ::std::unexpected(::std::move(cube_try_void).error()); \
  } while (false)
