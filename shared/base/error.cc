#include "shared/base/error.h"

namespace cube {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kInvalid:
      return "invalid";
    case Code::kNotFound:
      return "not_found";
    case Code::kConflict:
      return "conflict";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kTimedOut:
      return "timed_out";
    case Code::kAborted:
      return "aborted";
    case Code::kPrecondition:
      return "precondition";
    case Code::kResource:
      return "resource";
    case Code::kPermission:
      return "permission";
    case Code::kUnsupported:
      return "unsupported";
    case Code::kDataLoss:
      return "data_loss";
    case Code::kInternal:
      return "internal";
  }
  return "unknown";
}

std::string Error::Text() const { return field.empty() ? message : field + ": " + message; }

std::unexpected<Error> Annotate(Error error, std::string_view what) {
  error.message = std::string(what) + ": " + error.message;
  return std::unexpected(std::move(error));
}

}  // namespace cube
