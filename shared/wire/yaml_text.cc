#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <charconv>
#include <istream>
#include <streambuf>

#include "shared/domain/rules.h"
#include "shared/domain/text.h"
#include "shared/wire/human.h"
#include "shared/wire/limits.h"
#include "shared/wire/tree.h"

namespace cube::wire {
namespace {

using internal::TreeBuilder;

std::string Where(const YAML::Mark& mark) {
  return "line " + std::to_string(mark.line + 1) + ", column " + std::to_string(mark.column + 1);
}

// A plain scalar as YAML 1.2 types it, but a number only where its text is the one that the number
// prints as: 1.10, 007 and 0x1f stay texts, so that nothing is lost where a text is wanted
// (environment, arguments). Whoever wants a number reads texts too, or says so.
nlohmann::json Typed(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  const char* const end = text.data() + text.size();
  std::int64_t integer = 0;
  if (const auto [at, failed] = std::from_chars(text.data(), end, integer);
      failed == std::errc() && at == end && std::to_string(integer) == text) {
    return integer;
  }
  const bool decimal = text.find('.') != std::string::npos &&
                       text.find_first_not_of("-.0123456789") == std::string::npos;
  double real = 0;
  if (const auto [at, failed] = std::from_chars(text.data(), end, real);
      decimal && failed == std::errc() && at == end) {
    nlohmann::json number = real;
    if (number.dump() == text) return number;
  }
  return text;
}

class YamlEvents final : public YAML::EventHandler {
 public:
  explicit YamlEvents(TreeBuilder& tree) : tree_(tree) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (tree_.ExpectsKey()) return Fail(mark, "a field without a name");
    tree_.Value(nullptr);
    Remember(anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (tree_.failed()) return;
    if (!IsUtf8(value)) return Fail(mark, "not valid UTF-8");
    if (tree_.ExpectsKey()) return tree_.Key(value);
    const bool plain = tag.empty() || tag == "?";
    if (!plain && tag != "!" && tag != "tag:yaml.org,2002:str") {
      return Fail(mark, "the tag '" + CleanText(tag, kQuotedLengthMax) + "' is not supported");
    }
    tree_.Value(plain ? Typed(value) : nlohmann::json(value));
    Remember(anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (tree_.failed()) return;
    if (tree_.ExpectsKey()) return Fail(mark, "an alias cannot be a field's name");
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end()) return Fail(mark, "an alias within what it stands for");
    tree_.Copy(known->second.value, known->second.size);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    if (!Open(mark, anchor)) return;
    tree_.StartArray();
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (!Open(mark, anchor)) return;
    tree_.StartObject();
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Anchored {
    nlohmann::json value;
    std::size_t size = 0;
  };
  struct Container {
    YAML::anchor_t anchor = YAML::NullAnchor;
    std::size_t values_before = 0;
  };

  void Fail(const YAML::Mark& mark, const std::string& what) {
    tree_.Fail("is not usable YAML at " + Where(mark) + ": " + what);
  }

  bool Open(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (tree_.failed()) return false;
    if (tree_.ExpectsKey()) {
      Fail(mark, "a field's name must be a text");
      return false;
    }
    containers_.push_back({anchor, tree_.values()});
    return true;
  }

  void Close() {
    if (tree_.failed()) return;
    tree_.End();
    const Container container = containers_.back();
    containers_.pop_back();
    Store(container.anchor, tree_.values() - container.values_before);
  }

  void Remember(YAML::anchor_t anchor) { Store(anchor, 1); }

  // What stands for an anchor counts like any other value: a text that only piles up anchors of
  // one large part is bounded too.
  void Store(YAML::anchor_t anchor, std::size_t size) {
    if (anchor == YAML::NullAnchor || tree_.failed()) return;
    anchored_values_ += size;
    if (anchored_values_ > kHumanValuesMax) return tree_.Fail("holds too many anchored values");
    anchors_[anchor] = {*tree_.last(), size};
  }

  TreeBuilder& tree_;
  std::vector<Container> containers_;
  std::unordered_map<YAML::anchor_t, Anchored> anchors_;
  std::size_t anchored_values_ = 0;
};

// Reads from where the text is.
class TextBuffer final : public std::streambuf {
 public:
  explicit TextBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // never written: there is no put area
    setg(begin, begin, begin + text.size());
  }
};

bool HasTwoDocuments(YAML::Parser& parser) {
  TreeBuilder ignored;
  YamlEvents events(ignored);
  return parser.HandleNextDocument(events);
}

}  // namespace

Result<nlohmann::json> ParseYaml(std::string_view text) {
  if (text.size() > kYamlBytesMax) {
    return Fail(Code::kInvalid, "has " + std::to_string(text.size()) + " bytes; at most " +
                                    std::to_string(kYamlBytesMax) + " are allowed");
  }
  if (!IsUtf8(text)) return Fail(Code::kInvalid, "is not valid UTF-8");
  TreeBuilder tree;
  YamlEvents events(tree);
  TextBuffer buffer(text);
  std::istream stream(&buffer);
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(events)) {
      tree.Fail("is empty");
    } else if (!tree.failed() && HasTwoDocuments(parser)) {
      tree.Fail("holds several documents; write one, with a list of tasks");
    }
  } catch (const YAML::Exception& error) {
    tree.Fail("is not valid YAML at " + Where(error.mark) + ": " +
              CleanText(error.msg, kWordBytesMax));
  } catch (const std::exception& error) {
    // yaml-cpp lets a few of the standard library's through on malformed input.
    tree.Fail(std::string("is not valid YAML: ") + CleanText(error.what(), kWordBytesMax));
  }
  return tree.Take();
}

}  // namespace cube::wire
