#include "services/cli/complete.h"

namespace cube::cli {
namespace {

const FlagSpec* FindFlag(const CommandSpec& command, std::string_view word) {
  for (const FlagSpec* flag : FlagsOf(command)) {
    const bool by_name = word == "--" + flag->name;
    const bool by_letter = flag->letter != 0 && word == std::string("-") + flag->letter;
    if (by_name || by_letter) return flag;
  }
  return nullptr;
}

// Where the cursor is: in which command, after which flag.
struct Place {
  const CommandSpec* command;
  const FlagSpec* flag = nullptr;  // whose value is being typed
  bool only_operands = false;
  std::size_t operands = 0;
};

Place Walk(const CommandSpec& root, const std::vector<std::string>& words) {
  Place place{.command = &root};
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (place.flag != nullptr) {
      place.flag = nullptr;
      continue;
    }
    if (word == "--") {
      place.only_operands = true;
    } else if (!place.only_operands && word.size() > 1 && word.starts_with('-')) {
      const FlagSpec* flag = FindFlag(*place.command, word);
      if (flag != nullptr && !flag->value.empty()) place.flag = flag;
    } else if (const CommandSpec* child = FindChild(*place.command, word);
               child != nullptr && place.operands == 0) {
      place.command = child;
    } else {
      ++place.operands;
      if (place.command->flags_end_at_operand) place.only_operands = true;
    }
  }
  return place;
}

class Collector {
 public:
  Collector(std::string typed, const std::function<std::vector<Candidate>(Word)>& names)
      : typed_(std::move(typed)), names_(names) {}

  void Offer(std::string word, std::string help) {
    if (word.starts_with(typed_)) found_.candidates.push_back({std::move(word), std::move(help)});
  }
  void OfferWord(Word word) {
    if (word == Word::kFile) found_.files = true;
    if (word == Word::kShell) {
      for (const char* shell : {"bash", "zsh", "fish"}) Offer(shell, "");
    }
    if (word != Word::kTask && word != Word::kNode && word != Word::kTaskOrNode &&
        word != Word::kJob) {
      return;
    }
    for (auto& name : names_(word)) Offer(std::move(name.word), std::move(name.help));
  }
  void OfferValues(const FlagSpec& flag, const std::string& before) {
    for (const auto& choice : flag.choices) Offer(before + choice, "");
    if (before.empty()) OfferWord(flag.word);
  }
  Completions Done() { return std::move(found_); }

 private:
  std::string typed_;
  const std::function<std::vector<Candidate>(Word)>& names_;
  Completions found_;
};

}  // namespace

Completions CompleteWords(const CommandSpec& root, const std::vector<std::string>& words,
                          const std::function<std::vector<Candidate>(Word)>& names) {
  const std::string typed = words.empty() ? std::string() : words.back();
  const Place place = Walk(root, words);
  const CommandSpec& command = *place.command;
  Collector collector(typed, names);
  if (command.passes_through) return collector.Done();
  if (place.flag != nullptr) {
    collector.OfferValues(*place.flag, "");
    return collector.Done();
  }
  if (!place.only_operands && typed.starts_with('-')) {
    if (const std::size_t equals = typed.find('='); equals != std::string::npos) {
      const FlagSpec* flag = FindFlag(command, typed.substr(0, equals));
      if (flag != nullptr) collector.OfferValues(*flag, typed.substr(0, equals + 1));
      return collector.Done();
    }
    for (const FlagSpec* flag : FlagsOf(command)) collector.Offer("--" + flag->name, flag->help);
    return collector.Done();
  }
  for (const auto& child : command.children) {
    if (!child.hidden) collector.Offer(child.name, child.summary);
  }
  if (place.operands < command.operands_max) collector.OfferWord(command.word);
  return collector.Done();
}

}  // namespace cube::cli
