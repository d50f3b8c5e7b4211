// What fits as the next word of a command line. Pure but for the names that it is given.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "services/cli/args.h"

namespace cube::cli {

struct Candidate {
  std::string word;
  std::string help;  // empty = none
  friend bool operator==(const Candidate&, const Candidate&) = default;
};

struct Completions {
  std::vector<Candidate> candidates;
  bool files = false;  // names of files fit too
};

// `words`: what stands after the program's name; the last one is being typed (perhaps empty).
// `names` is asked for tasks and nodes, if those fit.
[[nodiscard]] Completions CompleteWords(const CommandSpec& root,
                                        const std::vector<std::string>& words,
                                        const std::function<std::vector<Candidate>(Word)>& names);

}  // namespace cube::cli
