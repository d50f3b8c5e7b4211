#include "services/cli/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/cli/exit_code.h"
#include "services/cli/render/text.h"

namespace cube::cli {
namespace {

// Help is 80 columns wide on every terminal: it is pasted into mails and issues.
constexpr std::size_t kHelpWidth = 80;
// The longest left column ("  -o, --output table|wide|json|yaml|name" is cut onto its own line).
constexpr std::size_t kLeftWidthMax = 30;

// Two columns; a left side that is too long stands on a line of its own.
void Entry(std::string& out, const std::string& left, std::string_view right, std::size_t column) {
  const auto lines = Wrap(right, kHelpWidth - column);
  std::string line = "  " + left;
  if (line.size() + 2 > column) {
    out += line + "\n";
    line.clear();
  }
  for (const auto& text : lines) {
    line.resize(column, ' ');
    out += line + text + "\n";
    line.clear();
  }
}

std::string FlagLeft(const FlagSpec& flag) {
  std::string left = flag.letter != 0 ? fmt::format("-{}, ", flag.letter) : "    ";
  left += "--" + flag.name;
  if (!flag.value.empty()) {
    left += flag.value_if_bare.empty() ? " " + flag.value : " [" + flag.value + "]";
  }
  return left;
}

std::string FlagRight(const FlagSpec& flag) {
  std::string right = flag.help;
  if (flag.repeated) right += "; may be repeated";
  if (!flag.value_if_bare.empty()) right += fmt::format("; alone: {}", flag.value_if_bare);
  if (!flag.env.empty()) right += fmt::format(" [${}]", flag.env);
  if (!flag.fallback.empty()) right += fmt::format(" (default {})", flag.fallback);
  return right;
}

void Flags(std::string& out, std::string_view title, const std::vector<FlagSpec>& flags) {
  if (flags.empty()) return;
  std::size_t column = 0;
  for (const auto& flag : flags) {
    const std::size_t width = FlagLeft(flag).size() + 4;
    if (width <= kLeftWidthMax) column = std::max(column, width);
  }
  column = std::max<std::size_t>(column, 16);
  out += fmt::format("\n{}:\n", title);
  for (const auto& flag : flags) Entry(out, FlagLeft(flag), FlagRight(flag), column);
}

void Commands(std::string& out, const CommandSpec& command) {
  std::size_t column = 0;
  for (const auto& child : command.children) {
    if (!child.hidden) column = std::max(column, child.name.size() + 5);
  }
  if (column == 0) return;
  out += "\nCommands:\n";
  for (const auto& child : command.children) {
    if (child.hidden) continue;
    const bool is_default = child.name == command.default_child;
    std::string summary = child.summary;
    if (is_default) summary.insert(summary.rfind('.'), " (the default)");
    Entry(out, child.name, summary, column);
  }
}

std::string UsageLine(const std::string& path, const CommandSpec& command) {
  std::string line = "Usage: " + path;
  if (command.passes_through) return line + " [FLAGS]\n";
  if (!command.children.empty())
    return line + (command.default_child.empty() ? " COMMAND\n" : " [COMMAND]\n");
  line += " [FLAGS]";
  if (!command.operands.empty()) line += " " + command.operands;
  return line + "\n";
}

}  // namespace

std::string RenderHelp(const std::vector<const CommandSpec*>& path) {
  const CommandSpec& command = *path.back();
  const std::string name = PathText(path);
  std::string out;
  for (const auto& line : Wrap(command.summary, kHelpWidth)) out += line + "\n";
  out += "\n" + UsageLine(name, command);
  Commands(out, command);
  Flags(out, "Flags", command.flags);
  Flags(out, "Global flags", GlobalFlags());
  if (!command.examples.empty()) out += "\nExamples:\n";
  for (const auto& example : command.examples) {
    out += fmt::format("  # {}\n  {}\n", example.what, example.line);
  }
  if (!command.exit_codes.empty()) out += "\nExit codes:\n";
  for (const int code : command.exit_codes) {
    const std::string left = code < 0 ? "other" : std::to_string(code);
    const bool own = code == kExitInterrupted && !command.interrupted.empty();
    Entry(out, left, own ? command.interrupted : DescribeExitCode(code), 9);
  }
  return out;
}

}  // namespace cube::cli
