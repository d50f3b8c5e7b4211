#include "services/cli/resolve.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/cli/args.h"

namespace cube::cli {
namespace {

// An ambiguous word lists at most so many candidates (as queries.proto does).
constexpr std::size_t kCandidatesMax = 20;

std::unexpected<Error> NoSuch(std::string_view kind, std::string_view word,
                              const std::vector<std::string>& known, std::string_view lists) {
  const auto nearest = Nearest(word, known);
  return Fail(Code::kNotFound,
              fmt::format("there is no {} '{}'.{} '{}' lists them.", kind, word,
                          nearest ? fmt::format(" Did you mean '{}'?", *nearest) : "", lists));
}

std::unexpected<Error> Ambiguous(std::string_view word, std::vector<std::string> candidates) {
  const std::size_t count = candidates.size();
  if (count > kCandidatesMax) candidates.resize(kCandidatesMax);
  return Fail(Code::kConflict,
              fmt::format("'{}' could be any of {}: {}{}", word, count, fmt::join(candidates, ", "),
                          count > kCandidatesMax ? ", ..." : ""));
}

}  // namespace

Result<std::string> ResolveTask(std::string_view word, const std::vector<Named>& tasks) {
  std::vector<std::string> named;
  std::vector<std::string> prefixed;
  std::vector<std::string> known;
  for (const auto& task : tasks) {
    if (task.id == word) return task.id;
    if (task.name == word) named.push_back(task.id);
    if (task.id.starts_with(word)) prefixed.push_back(task.id);
    known.push_back(task.id);
    known.push_back(task.name);
  }
  const auto& fitting = named.empty() ? prefixed : named;
  if (fitting.empty()) return NoSuch("task", word, known, "cube ps -a");
  if (fitting.size() > 1) return Ambiguous(word, fitting);
  return fitting.front();
}

Result<std::string> ResolveNode(std::string_view word, const std::vector<std::string>& nodes) {
  std::vector<std::string> prefixed;
  for (const auto& node : nodes) {
    if (node == word) return node;
    if (node.starts_with(word)) prefixed.push_back(node);
  }
  if (prefixed.empty()) return NoSuch("node", word, nodes, "cube node ls");
  if (prefixed.size() > 1) return Ambiguous(word, prefixed);
  return prefixed.front();
}

Result<void> CheckExactEnough(std::string_view word, const Named& task) {
  if (word == task.id || word == task.name) return {};
  const bool of_name = (task.name + "-").starts_with(word);
  if (of_name || word.size() < kChangePrefixMin || !task.id.starts_with(word)) {
    return Fail(Code::kInvalid,
                fmt::format("'{}' is too short to change anything: it means {} today. Give the "
                            "whole id or name, or more of the id",
                            word, task.id));
  }
  return {};
}

}  // namespace cube::cli
