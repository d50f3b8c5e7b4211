#include "shared/runtime/os_error.h"

#include <cerrno>
#include <system_error>

namespace cube::runtime {

Code CodeFromErrno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ESRCH:
      return Code::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kPermission;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return Code::kResource;
    case EEXIST:
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case ELOOP:
    case ENAMETOOLONG:
      return Code::kPrecondition;
    case EINTR:
    case EAGAIN:
    case EBUSY:
      return Code::kUnavailable;
    default:
      return Code::kInternal;
  }
}

std::unexpected<Error> FailErrno(int error_number, const std::string& what) {
  // generic_category().message is thread-safe, strerror is not.
  return Fail(CodeFromErrno(error_number),
              what + ": " + std::generic_category().message(error_number));
}

}  // namespace cube::runtime
