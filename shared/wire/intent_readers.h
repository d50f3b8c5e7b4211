// What the readers of the different intents share; codec_intents.cc chooses among them. For this
// folder.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/domain/intent.h"
#include "shared/wire/spec_cache.h"

namespace cube::wire::internal {

// Reads the payload of one kind of intent.
struct IntentReader {
  Result<std::vector<IntentItem>> (*read)(std::string_view payload, SpecCache& known) = nullptr;
  // The human form, which begins with '{', '[' or (where `bare_text`) '"'.
  Result<std::vector<IntentItem>> (*read_human)(std::string_view payload) = nullptr;
  bool bare_text = false;
};

// An item that cannot be accepted, with what it named if that could be read.
[[nodiscard]] InvalidItem Invalid(Error error, std::string_view task = {},
                                  std::string_view name = {});
// The member if it is a text, else empty.
[[nodiscard]] std::string TextMember(const nlohmann::json& value, const char* key);
// One item, a list of items, or {"<list_key>": [...]}.
[[nodiscard]] Result<std::vector<IntentItem>> ReadHumanItems(
    std::string_view payload, const char* list_key,
    const std::function<IntentItem(const nlohmann::json&)>& read_one);

// codec_nodes.cc
extern const IntentReader kCordonReader;
extern const IntentReader kUncordonReader;
extern const IntentReader kDrainReader;
// codec_jobs.cc
extern const IntentReader kSubmitJobReader;
extern const IntentReader kStopJobReader;
extern const IntentReader kScaleJobReader;

}  // namespace cube::wire::internal
