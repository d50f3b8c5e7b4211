#include "services/cli/flag_names.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <string>
#include <string_view>

namespace cube::cli {
namespace {

// Where a flag is called otherwise than its field.
const std::map<std::string, std::string, std::less<>>& Flags() {
  static const std::map<std::string, std::string, std::less<>> kFlags = {
      {"ports", "--publish"},
      {"labels", "--label"},
      {"volumes", "--volume"},
      {"constraints", "--constraint"},
      {"affinities", "--affinity"},
      {"stop_grace", "--stop-timeout"},
      {"health", "--health-http"},
      {"health.command", "--health-cmd"},
      {"read_only_root", "--read-only"},
      {"image", "IMAGE"},
      {"command", "COMMAND"}};
  return kFlags;
}

// "--volume" of "volumes[0].target".
std::string FlagOf(std::string_view field) {
  std::string_view root = field.substr(0, field.find_first_of(".["));
  if (root == "health" && field.size() > root.size()) {
    root = field.substr(0, field.find_first_of(".[", root.size() + 1));
  }
  if (const auto known = Flags().find(root); known != Flags().end()) return known->second;
  std::string flag = "--";
  for (const char c : root) flag += c == '_' || c == '.' ? '-' : c;
  return flag;
}

// The number in "volumes[2].target".
std::optional<std::size_t> IndexOf(std::string_view field) {
  const std::size_t open = field.find('[');
  if (open == std::string_view::npos) return std::nullopt;
  std::size_t index = 0;
  const auto [end, bad] =
      std::from_chars(field.data() + open + 1, field.data() + field.size(), index);
  return bad == std::errc() ? std::optional(index) : std::nullopt;
}

}  // namespace

Error NameTheFlag(Error error, const Args& args) {
  constexpr std::string_view kOfJob = "task.";
  std::string_view field = error.field;
  if (field.starts_with(kOfJob)) field.remove_prefix(kOfJob.size());
  if (field.empty() || field.starts_with("--")) return error;
  std::string flag = FlagOf(field);
  if (flag.starts_with("--")) {
    if (flag == "--env" && !args.Has("env")) flag = "--env-file";
    const auto index = IndexOf(field);
    const auto values = args.All(flag.substr(2));
    if (index && *index < values.size()) flag += fmt::format(" '{}'", values[*index]);
  }
  error.field = std::move(flag);
  return error;
}

}  // namespace cube::cli
