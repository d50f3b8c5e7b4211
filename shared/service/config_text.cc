#include "shared/service/config_text.h"

#include <algorithm>

namespace cube::service {
namespace {

constexpr std::string_view kBare =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/+*@%,=!~";

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<std::vector<ConfigEntry>> Read() {
    std::vector<ConfigEntry> entries;
    for (SkipLines(); !text_.empty(); SkipLines()) {
      CUBE_TRY(ConfigEntry entry, Entry());
      const auto before = std::ranges::find(entries, entry.name, &ConfigEntry::name);
      if (before != entries.end()) {
        line_ = entry.line;
        return Bad("'" + entry.name + "' is there already, in line " +
                   std::to_string(before->line));
      }
      entries.push_back(std::move(entry));
    }
    return entries;
  }

 private:
  Result<ConfigEntry> Entry() {
    ConfigEntry entry;
    entry.line = line_;
    if (Next() == '[') return Bad("there are no sections here: every line is name = value");
    entry.name = Take("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    SkipBlanks();
    if (entry.name.empty() || Next() != '=') return Bad("is not name = value");
    text_.remove_prefix(1);
    SkipBlanks();
    if (Next() == '[') {
      CUBE_TRY(entry.values, List());
    } else {
      CUBE_TRY(std::string value, Value());
      entry.values.push_back(std::move(value));
    }
    SkipBlanks();
    SkipComment();
    if (Next() != '\n' && !text_.empty()) {
      return Bad("more follows after the value of '" + entry.name +
                 "': a text with spaces needs quotes");
    }
    return entry;
  }

  Result<std::vector<std::string>> List() {
    const int began = line_;
    std::vector<std::string> values;
    text_.remove_prefix(1);
    for (;;) {
      SkipLines();
      if (Next() == ']') break;
      if (!text_.empty()) {
        CUBE_TRY(std::string value, Value(/*in_list=*/true));
        values.push_back(std::move(value));
      }
      SkipLines();
      if (Next() == ',') {
        text_.remove_prefix(1);
      } else if (Next() != ']') {
        line_ = text_.empty() ? began : line_;
        return Bad("a list goes on with ',' or ends with ']'");
      }
    }
    text_.remove_prefix(1);
    return values;
  }

  Result<std::string> Value(bool in_list = false) {
    const char quote = Next();
    if (quote == '"' || quote == '\'') return Quoted(quote);
    std::string bare = Take(kBare, in_list);
    if (!bare.empty()) return bare;
    return Bad("a value is missing, or needs quotes");
  }

  // In '...' every character stands for itself.
  Result<std::string> Quoted(char quote) {
    text_.remove_prefix(1);
    std::string value;
    for (; !text_.empty() && Next() != '\n'; text_.remove_prefix(1)) {
      if (Next() == quote) {
        text_.remove_prefix(1);
        return value;
      }
      if (Next() == '\\' && quote == '"') {
        text_.remove_prefix(1);
        if (Next() != '"' && Next() != '\\') {
          return Bad("after \\ comes \\ or \"; in '...' each character stands for itself");
        }
      }
      value += Next();
    }
    return Bad(quote == '"' ? "the closing \" is missing" : "the closing ' is missing");
  }

  [[nodiscard]] char Next() const { return text_.empty() ? '\0' : text_.front(); }
  std::string Take(std::string_view characters, bool not_comma = false) {
    std::size_t length = 0;
    while (length < text_.size() && characters.contains(text_[length]) &&
           !(not_comma && text_[length] == ',')) {
      ++length;
    }
    std::string taken(text_.substr(0, length));
    text_.remove_prefix(length);
    return taken;
  }
  void SkipBlanks() {
    while (Next() == ' ' || Next() == '\t' || Next() == '\r') text_.remove_prefix(1);
  }
  void SkipComment() {
    if (Next() == '#') text_.remove_prefix(std::min(text_.find('\n'), text_.size()));
  }
  // To the next thing that means something.
  void SkipLines() {
    for (;;) {
      SkipBlanks();
      SkipComment();
      if (Next() != '\n') return;
      text_.remove_prefix(1);
      ++line_;
    }
  }
  [[nodiscard]] std::unexpected<Error> Bad(std::string message) const {
    return Fail(Code::kInvalid, std::move(message), "line " + std::to_string(line_));
  }

  std::string_view text_;
  int line_ = 1;
};

}  // namespace

Result<std::vector<ConfigEntry>> ParseConfig(std::string_view text) { return Reader(text).Read(); }

}  // namespace cube::service
