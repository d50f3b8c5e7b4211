// Commands and flags as data: parsing, --help, did-you-mean and shell completion all read the same
// table, so they cannot disagree. Pure: no environment, no output.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/time.h"

namespace cube::cli {

class Session;

// What a word on the command line stands for: tells completion what to offer.
enum class Word : std::uint8_t { kText, kFile, kTask, kNode, kTaskOrNode, kJob, kShell };

struct FlagSpec {
  std::string name{};      // "timeout" for --timeout
  char letter = 0;         // 't' for -t; 0 = none
  std::string value{};     // "SECONDS": what --help calls its value; empty = a switch
  std::string help{};      // without a full stop
  std::string fallback{};  // the default as text; empty = none
  bool repeated = false;
  std::string
      value_if_bare{};  // the value when it is given without one; empty = a value must follow
  std::string env{};    // its twin in the environment
  Word word = Word::kText;
  std::vector<std::string> choices{};  // the only values allowed; empty = any
};

struct Example {
  std::string what{};
  std::string line{};
};

struct CommandSpec {
  std::string name{};
  std::string summary{};   // one sentence
  std::string operands{};  // "TASK...": the usage line after the flags
  std::vector<FlagSpec> flags{};
  std::vector<Example> examples{};
  std::vector<int> exit_codes{};
  std::string interrupted{};  // what Ctrl-C means; empty = the work goes on
  std::size_t operands_min = 0;
  std::size_t operands_max = 0;
  bool flags_end_at_operand = false;  // as `docker run`: what follows the image is the task's own
  bool passes_through = false;        // everything after the name goes to another program
  bool hidden = false;
  Word word = Word::kText;  // of the operands
  std::function<Result<int>(Session&)> run{};
  std::vector<CommandSpec> children{};
  std::string default_child{};  // `cube node` = `cube node ls`
};

inline constexpr std::size_t kOperandsMany = ~std::size_t{0};

// What stood on the command line. Values of a flag are in the order in which they were given.
class Args {
 public:
  [[nodiscard]] bool Has(std::string_view flag) const { return values_.contains(flag); }
  // The last value given, else the flag's default; nullopt if it has neither.
  [[nodiscard]] std::optional<std::string> Get(std::string_view flag) const;
  [[nodiscard]] std::string Text(std::string_view flag) const { return Get(flag).value_or(""); }
  [[nodiscard]] std::vector<std::string> All(std::string_view flag) const;
  // kInvalid names the flag.
  [[nodiscard]] Result<std::optional<std::int64_t>> Integer(std::string_view flag, std::int64_t low,
                                                            std::int64_t high) const;
  // "10s", "1m30s", and a bare number as seconds.
  [[nodiscard]] Result<std::optional<Duration>> Time(std::string_view flag) const;

  void Add(const std::string& flag, std::string value) {
    values_[flag].push_back(std::move(value));
  }
  void SetDefault(const std::string& flag, std::string value) {
    defaults_[flag] = std::move(value);
  }

  std::vector<std::string> operands;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::map<std::string, std::string, std::less<>> defaults_;
};

struct Invocation {
  std::vector<const CommandSpec*> path;  // root, ..., the command that was named
  Args args;
  bool help = false;
};

// Flags that every command accepts.
[[nodiscard]] const std::vector<FlagSpec>& GlobalFlags();

// kInvalid for what the table does not allow, with what was probably meant. The words do not
// include the program's name. Global flags may stand before the command too.
[[nodiscard]] Result<Invocation> Parse(const CommandSpec& root,
                                       const std::vector<std::string>& words);

// The command's own flags, then the global ones.
[[nodiscard]] std::vector<const FlagSpec*> FlagsOf(const CommandSpec& command);
[[nodiscard]] const CommandSpec* FindChild(const CommandSpec& command, std::string_view name);
// "cube node ls".
[[nodiscard]] std::string PathText(const std::vector<const CommandSpec*>& path);

// The name nearest to `word` by edits (swaps count one), if near enough to be a typo of it.
[[nodiscard]] std::optional<std::string> Nearest(std::string_view word,
                                                 const std::vector<std::string>& names);

}  // namespace cube::cli
