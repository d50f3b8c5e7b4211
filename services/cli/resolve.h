// Which task or node a word on the command line means. Pure.
//
// Reading: any unique prefix of an id; an exact match wins over a prefix; order: id, name. Changing
// (stop): exact ids and names, or a prefix that reaches into the id's tail, of 4 letters or more:
// never the beginning of a name, which may mean more tomorrow than today.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"

namespace cube::cli {

inline constexpr std::size_t kChangePrefixMin = 4;

struct Named {
  std::string id;
  std::string name;
};

// The one that is meant. kNotFound (with a similar id, if there is one) or kConflict (lists the
// candidates).
[[nodiscard]] Result<std::string> ResolveTask(std::string_view word,
                                              const std::vector<Named>& tasks);
// Nodes have names only.
[[nodiscard]] Result<std::string> ResolveNode(std::string_view word,
                                              const std::vector<std::string>& nodes);

// Whether `word`, which a manager resolved to this task, is exact enough to change it; kInvalid
// says how to name it.
[[nodiscard]] Result<void> CheckExactEnough(std::string_view word, const Named& task);

}  // namespace cube::cli
