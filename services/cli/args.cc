#include "services/cli/args.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace cube::cli {
namespace {

// A word may differ from what was meant by a third of its letters, at most by this many edits.
constexpr std::size_t kTypoEditsMax = 3;

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::string MeantText(std::string_view word, const std::vector<std::string>& names,
                      std::string_view prefix) {
  const auto nearest = Nearest(word, names);
  return nearest ? fmt::format(" Did you mean '{}{}'?", prefix, *nearest) : std::string();
}

// Walks over the words of one command line.
class Parser {
 public:
  Parser(const CommandSpec& root, const std::vector<std::string>& words) : words_(words) {
    invocation_.path.push_back(&root);
  }

  Result<Invocation> Run() {
    while (at_ < words_.size()) CUBE_TRY_VOID(Take());
    Descend();
    if (invocation_.help) return std::move(invocation_);
    CUBE_TRY_VOID(CheckOperands());
    for (const FlagSpec* flag : FlagsOf(command())) {
      if (!flag->fallback.empty()) invocation_.args.SetDefault(flag->name, flag->fallback);
    }
    return std::move(invocation_);
  }

 private:
  [[nodiscard]] const CommandSpec& command() const { return *invocation_.path.back(); }

  Result<void> Take() {
    const std::string& word = words_[at_];
    const bool flags_over =
        only_operands_ || (command().flags_end_at_operand && !invocation_.args.operands.empty());
    if (command().passes_through || flags_over || word == "-" || !word.starts_with('-')) {
      return TakeWord(word);
    }
    ++at_;
    if (word == "--") {
      Descend();
      only_operands_ = true;
      return {};
    }
    return word.starts_with("--") ? TakeLong(word) : TakeLetters(word);
  }

  Result<void> TakeWord(const std::string& word) {
    if (!only_operands_ && !command().children.empty()) {
      if (const CommandSpec* child = FindChild(command(), word)) {
        ++at_;
        invocation_.path.push_back(child);
        return {};
      }
      // `cube status web` must not be read as a misspelt sub-command.
      if (!Descend()) return UnknownCommand(word);
    }
    ++at_;
    invocation_.args.operands.push_back(word);
    return {};
  }

  // Goes to the default sub-command, where there is one that can take the words that follow.
  bool Descend() {
    if (command().default_child.empty()) return command().children.empty();
    const CommandSpec* child = FindChild(command(), command().default_child);
    const bool more = at_ < words_.size() && !words_[at_].starts_with('-');
    if (more && child->operands_max == 0) return false;
    if (!invocation_.help) invocation_.path.push_back(child);
    return true;
  }

  std::unexpected<Error> UnknownCommand(const std::string& word) {
    std::vector<std::string> names;
    for (const auto& child : command().children) {
      if (!child.hidden) names.push_back(child.name);
    }
    const std::string path = PathText(invocation_.path);
    return Fail(Code::kInvalid, fmt::format("'{} {}' is not a command.{} '{} --help' lists them.",
                                            path, word, MeantText(word, names, path + " "), path));
  }

  // A flag may belong to the default sub-command: `cube node -o json`.
  const FlagSpec* FindFlag(std::string_view name, char letter) {
    auto search = [&](const CommandSpec& c) -> const FlagSpec* {
      for (const FlagSpec* flag : FlagsOf(c)) {
        if (letter != 0 ? flag->letter == letter : flag->name == name) return flag;
      }
      return nullptr;
    };
    if (const FlagSpec* flag = search(command())) return flag;
    if (const CommandSpec* child = FindChild(command(), command().default_child)) {
      return search(*child);
    }
    return nullptr;
  }

  std::unexpected<Error> UnknownFlag(std::string_view shown, std::string_view name) {
    std::vector<std::string> names;
    for (const FlagSpec* flag : FlagsOf(command())) names.push_back(flag->name);
    const std::string path = PathText(invocation_.path);
    return Fail(Code::kInvalid, fmt::format("'{}' is not a flag of '{}'.{} '{} --help' lists them.",
                                            shown, path, MeantText(name, names, "--"), path));
  }

  Result<void> TakeLong(const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
    const FlagSpec* flag = FindFlag(name, 0);
    if (flag == nullptr) return UnknownFlag("--" + name, name);
    if (equals != std::string::npos) {
      const std::string value = word.substr(equals + 1);
      if (flag->value.empty() && value != "true" && value != "false") {
        return Fail(Code::kInvalid, fmt::format("--{} takes no value", name));
      }
      if (flag->value.empty() && value == "false") return {};
      return Set(*flag, "--" + name, flag->value.empty() ? "" : value);
    }
    return TakeValue(*flag, "--" + name);
  }

  // "-d", "-aq", "-n5", "-p 80".
  Result<void> TakeLetters(const std::string& word) {
    for (std::size_t i = 1; i < word.size(); ++i) {
      const std::string shown = std::string("-") + word[i];
      const FlagSpec* flag = FindFlag({}, word[i]);
      if (flag == nullptr) return UnknownFlag(shown, word.substr(1));
      if (flag->value.empty()) {
        CUBE_TRY_VOID(Set(*flag, shown, ""));
        continue;
      }
      std::string rest = word.substr(i + 1);
      if (rest.starts_with('=')) rest.erase(0, 1);
      return rest.empty() ? TakeValue(*flag, shown) : Set(*flag, shown, rest);
    }
    return {};
  }

  Result<void> TakeValue(const FlagSpec& flag, const std::string& shown) {
    if (flag.value.empty()) return Set(flag, shown, "");
    const bool follows = at_ < words_.size();
    if (!flag.value_if_bare.empty()) {
      const bool is_value = follows && (words_[at_] == "-" || !words_[at_].starts_with('-'));
      return Set(flag, shown, is_value ? words_[at_++] : flag.value_if_bare);
    }
    if (!follows) {
      return Fail(Code::kInvalid, fmt::format("{} needs a value: {} {}", shown, shown, flag.value));
    }
    return Set(flag, shown, words_[at_++]);
  }

  Result<void> Set(const FlagSpec& flag, const std::string& shown, const std::string& value) {
    if (flag.name == "help") {
      invocation_.help = true;
      return {};
    }
    if (!flag.choices.empty() && std::ranges::find(flag.choices, value) == flag.choices.end()) {
      return Fail(Code::kInvalid,
                  fmt::format("{} cannot be '{}': it is one of {}.{}", shown, value,
                              fmt::join(flag.choices, ", "), MeantText(value, flag.choices, "")));
    }
    invocation_.args.Add(flag.name, value);
    return {};
  }

  Result<void> CheckOperands() {
    const std::string path = PathText(invocation_.path);
    const std::size_t count = invocation_.args.operands.size();
    if (!command().run) {
      return Fail(Code::kInvalid,
                  fmt::format("'{}' needs a command; '{} --help' lists them", path, path));
    }
    if (count < command().operands_min) {
      return Fail(Code::kInvalid,
                  fmt::format("'{}' needs {}; see '{} --help'", path, command().operands, path));
    }
    if (count > command().operands_max) {
      return Fail(Code::kInvalid,
                  fmt::format("'{}' does not take '{}'; see '{} --help'", path,
                              invocation_.args.operands[command().operands_max], path));
    }
    return {};
  }

  const std::vector<std::string>& words_;
  std::size_t at_ = 0;
  bool only_operands_ = false;
  Invocation invocation_;
};

}  // namespace

std::optional<std::string> Args::Get(std::string_view flag) const {
  if (const auto it = values_.find(flag); it != values_.end()) return it->second.back();
  if (const auto it = defaults_.find(flag); it != defaults_.end()) return it->second;
  return std::nullopt;
}

std::vector<std::string> Args::All(std::string_view flag) const {
  const auto it = values_.find(flag);
  return it == values_.end() ? std::vector<std::string>{} : it->second;
}

Result<std::optional<std::int64_t>> Args::Integer(std::string_view flag, std::int64_t low,
                                                  std::int64_t high) const {
  const auto text = Get(flag);
  if (!text) return std::nullopt;
  std::int64_t value = 0;
  const char* end = text->data() + text->size();
  const auto [stop, failure] = std::from_chars(text->data(), end, value);
  if (failure != std::errc() || stop != end || text->empty() || value < low || value > high) {
    return Fail(Code::kInvalid,
                fmt::format("--{} cannot be '{}': it is a whole number from {} to {}", flag, *text,
                            low, high));
  }
  return value;
}

Result<std::optional<Duration>> Args::Time(std::string_view flag) const {
  const auto text = Get(flag);
  if (!text) return std::nullopt;
  const bool bare = !text->empty() && std::ranges::all_of(*text, [](char c) {
    return (c >= '0' && c <= '9') || c == '.';
  });
  auto duration = ParseDuration(bare ? *text + "s" : *text);
  if (!duration) {
    return Fail(Code::kInvalid,
                fmt::format("--{} cannot be '{}': it is a time as 10s, 1m30s or 2h", flag, *text));
  }
  return *duration;
}

const std::vector<FlagSpec>& GlobalFlags() {
  static const std::vector<FlagSpec> kFlags = {
      {.name = "server",
       .value = "URL",
       .help = "NATS server, or several with commas (then NATS_URL, then the context)",
       .env = "CUBE_SERVER"},
      {.name = "context",
       .value = "NAME",
       .help = "context of the nats tool to take server and credentials from",
       .env = "CUBE_CONTEXT"},
      {.name = "creds",
       .value = "FILE",
       .help = "NATS credentials file",
       .env = "CUBE_CREDS",
       .word = Word::kFile},
      {.name = "nkey",
       .value = "FILE",
       .help = "file with the seed of a NATS nkey",
       .env = "CUBE_NKEY",
       .word = Word::kFile},
      {.name = "nats-user", .value = "USER", .help = "NATS user", .env = "CUBE_NATS_USER"},
      {.name = "nats-password",
       .value = "PASSWORD",
       .help = "NATS password (better in the environment)",
       .env = "CUBE_NATS_PASSWORD"},
      {.name = "nats-token",
       .value = "TOKEN",
       .help = "NATS token (better in the environment)",
       .env = "CUBE_NATS_TOKEN"},
      {.name = "tlsca",
       .value = "FILE",
       .help = "certificates to check the server with",
       .env = "CUBE_TLSCA",
       .word = Word::kFile},
      {.name = "tlscert",
       .value = "FILE",
       .help = "certificate of this client",
       .env = "CUBE_TLSCERT",
       .word = Word::kFile},
      {.name = "tlskey",
       .value = "FILE",
       .help = "private key of this client",
       .env = "CUBE_TLSKEY",
       .word = Word::kFile},
      {.name = "allow-unsafe-tls",
       .help = "use TLS with a NATS client library older than 3.11, which locks it badly",
       .env = "CUBE_ALLOW_UNSAFE_TLS"},
      {.name = "request-timeout",
       .value = "TIME",
       .help = "wait for one answer of the cluster",
       .fallback = "5s",
       .env = "CUBE_REQUEST_TIMEOUT"},
      {.name = "root",
       .value = "NAME",
       .help = "first token of all subjects: which cluster on this server",
       .fallback = "cube",
       .env = "CUBE_ROOT"},
      {.name = "no-color", .help = "no colours (as NO_COLOR in the environment)"},
      {.name = "help", .letter = 'h', .help = "print this help"},
  };
  return kFlags;
}

Result<Invocation> Parse(const CommandSpec& root, const std::vector<std::string>& words) {
  return Parser(root, words).Run();
}

std::vector<const FlagSpec*> FlagsOf(const CommandSpec& command) {
  std::vector<const FlagSpec*> all;
  for (const auto& flag : command.flags) all.push_back(&flag);
  for (const auto& flag : GlobalFlags()) all.push_back(&flag);
  return all;
}

const CommandSpec* FindChild(const CommandSpec& command, std::string_view name) {
  for (const auto& child : command.children) {
    if (child.name == name) return &child;
  }
  return nullptr;
}

std::string PathText(const std::vector<const CommandSpec*>& path) {
  std::string text;
  for (const CommandSpec* command : path) {
    if (!text.empty()) text += ' ';
    text += command->name;
  }
  return text;
}

std::optional<std::string> Nearest(std::string_view word, const std::vector<std::string>& names) {
  std::optional<std::string> nearest;
  std::size_t best = std::min(kTypoEditsMax, (word.size() + 2) / 3) + 1;
  for (const auto& name : names) {
    const std::size_t distance = EditDistance(word, name);
    if (distance < best && distance < name.size()) {
      best = distance;
      nearest = name;
    }
  }
  return nearest;
}

}  // namespace cube::cli
