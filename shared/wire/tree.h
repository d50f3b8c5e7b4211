// Builds a JSON value from a parser's events, within limits; for this folder's JSON and YAML.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "shared/base/error.h"

namespace cube::wire::internal {

// Call order: as parsers do. After a failure everything is ignored until Take.
class TreeBuilder {
 public:
  void Value(nlohmann::json value) { Put(std::move(value)); }
  void Key(std::string key);
  void StartObject() { Start(nlohmann::json::object()); }
  void StartArray() { Start(nlohmann::json::array()); }
  void End();
  // A copy of a finished part stands here; `size` = its number of values.
  void Copy(const nlohmann::json& part, std::size_t size);

  // Only the first failure counts.
  void Fail(std::string message, std::string field = {});
  [[nodiscard]] bool failed() const { return error_.has_value(); }
  // True where the next event must be a key.
  [[nodiscard]] bool ExpectsKey() const;
  // The container that is open innermost; nullptr = none.
  [[nodiscard]] const nlohmann::json* open() const {
    return stack_.empty() ? nullptr : stack_.back();
  }
  // The value put last (not one that is open). Valid until the next event.
  [[nodiscard]] const nlohmann::json* last() const { return last_; }
  [[nodiscard]] std::size_t values() const { return values_; }

  // The whole, or the first failure. Nothing parsed = null.
  [[nodiscard]] Result<nlohmann::json> Take();

 private:
  nlohmann::json* Put(nlohmann::json value);
  void Start(nlohmann::json container);

  nlohmann::json root_;
  std::vector<nlohmann::json*> stack_;
  std::string key_;
  bool has_key_ = false;
  nlohmann::json* last_ = nullptr;
  std::size_t values_ = 0;
  std::optional<Error> error_;
};

}  // namespace cube::wire::internal
