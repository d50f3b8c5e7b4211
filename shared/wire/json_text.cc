#include <string>

#include "shared/domain/text.h"
#include "shared/wire/human.h"
#include "shared/wire/limits.h"
#include "shared/wire/tree.h"

namespace cube::wire {
namespace {

using internal::TreeBuilder;

std::string Where(std::string_view text, std::size_t position) {
  const std::string_view before = text.substr(0, std::min(position, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t column = before.size() - (before.rfind('\n') + 1);  // npos + 1 = 0
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

// nlohmann's events; returning false ends the parsing.
class JsonEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonEvents(std::string_view text, TreeBuilder& tree) : text_(text), tree_(tree) {}

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(number_integer_t value) override { return Put(value); }
  bool number_unsigned(number_unsigned_t value) override { return Put(value); }
  bool number_float(number_float_t value, const string_t&) override { return Put(value); }
  bool string(string_t& value) override { return Put(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // never in text
  bool start_object(std::size_t) override {
    tree_.StartObject();
    return !tree_.failed();
  }
  bool key(string_t& value) override {
    tree_.Key(std::move(value));
    return !tree_.failed();
  }
  bool end_object() override {
    tree_.End();
    return true;
  }
  bool start_array(std::size_t) override {
    tree_.StartArray();
    return !tree_.failed();
  }
  bool end_array() override {
    tree_.End();
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // "[json.exception…] parse error at line 1, column 2: syntax error while …": keep the end.
    constexpr std::string_view kBefore = ": ";
    std::string_view why = error.what();
    const std::size_t start = why.find(kBefore);
    if (start != std::string_view::npos) why.remove_prefix(start + kBefore.size());
    tree_.Fail("is not valid JSON at " + Where(text_, position) + ": " +
               CleanText(why, kWordBytesMax));
    return false;
  }

 private:
  bool Put(nlohmann::json value) {
    tree_.Value(std::move(value));
    return !tree_.failed();
  }

  std::string_view text_;
  TreeBuilder& tree_;
};

}  // namespace

Result<nlohmann::json> ParseJson(std::string_view text) {
  if (text.size() > kHumanBytesMax) {
    return Fail(Code::kInvalid, "has " + std::to_string(text.size()) + " bytes; at most " +
                                    std::to_string(kHumanBytesMax) + " are allowed");
  }
  TreeBuilder tree;
  JsonEvents events(text, tree);
  try {
    const bool complete = nlohmann::json::sax_parse(text.begin(), text.end(), &events);
    if (!complete) tree.Fail("is not valid JSON");
  } catch (const nlohmann::json::exception& error) {
    tree.Fail(std::string("is not valid JSON: ") + CleanText(error.what(), kWordBytesMax));
  }
  return tree.Take();
}

}  // namespace cube::wire
