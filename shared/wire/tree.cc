#include "shared/wire/tree.h"

#include "shared/base/check.h"
#include "shared/domain/rules.h"
#include "shared/domain/text.h"
#include "shared/wire/limits.h"

namespace cube::wire::internal {

void TreeBuilder::Fail(std::string message, std::string field) {
  if (!error_) error_ = Error{Code::kInvalid, std::move(message), std::move(field)};
}

bool TreeBuilder::ExpectsKey() const {
  return !stack_.empty() && stack_.back()->is_object() && !has_key_;
}

void TreeBuilder::Key(std::string key) {
  if (failed()) return;
  CUBE_CHECK(ExpectsKey());
  if (stack_.back()->contains(key)) {
    const std::string shown = CleanText(key, kQuotedLengthMax);
    Fail("'" + shown + "' is there twice", shown);
    return;
  }
  key_ = std::move(key);
  has_key_ = true;
}

nlohmann::json* TreeBuilder::Put(nlohmann::json value) {
  if (failed()) return nullptr;
  if (++values_ > kHumanValuesMax) {
    Fail("holds more than " + std::to_string(kHumanValuesMax) + " values");
    return nullptr;
  }
  if (stack_.empty()) {
    root_ = std::move(value);
    return last_ = &root_;
  }
  nlohmann::json& parent = *stack_.back();
  if (parent.is_array()) {
    parent.push_back(std::move(value));
    return last_ = &parent.back();
  }
  CUBE_CHECK(has_key_);
  has_key_ = false;
  nlohmann::json& member = parent[key_];
  member = std::move(value);
  return last_ = &member;
}

void TreeBuilder::Start(nlohmann::json container) {
  if (failed()) return;
  if (stack_.size() >= kHumanDepthMax) {
    Fail("is nested deeper than " + std::to_string(kHumanDepthMax) + " levels");
    return;
  }
  // The parent does not grow while its member is open, so the pointer stays valid.
  if (nlohmann::json* put = Put(std::move(container))) stack_.push_back(put);
}

void TreeBuilder::End() {
  if (failed()) return;
  CUBE_CHECK(!stack_.empty());
  last_ = stack_.back();
  stack_.pop_back();
}

void TreeBuilder::Copy(const nlohmann::json& part, std::size_t size) {
  if (failed()) return;
  // Before the copy is made: a few aliases of aliases could stand for billions of values.
  if (size > kHumanValuesMax - std::min(values_, kHumanValuesMax)) {
    Fail("holds more than " + std::to_string(kHumanValuesMax) + " values");
    return;
  }
  values_ += size;
  Put(part);
}

Result<nlohmann::json> TreeBuilder::Take() {
  if (error_) return std::unexpected(*std::move(error_));
  return std::move(root_);
}

}  // namespace cube::wire::internal
