// What the messages of the log say, item by item: as JSON (the truth, one object a line) and as a
// line for people. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "services/cli/event_merge.h"
#include "shared/bus/bus.h"
#include "shared/domain/decision.h"

namespace cube::cli {

struct LogItem {
  Source source = Source::kIntents;
  std::uint64_t seq = 0;
  std::uint32_t index = 0;  // in the message
  WallTime time;            // the server's stamp of the message
  WallTime happened_at{};   // facts: the worker's clock; unset = it does not say
  std::string kind;         // "submit", "start", "running", ...
  std::string task;
  std::string name;
  std::string node;
  bool foreign = false;                                               // decisions: nobody takes it
  std::string text;                                                   // one sentence
  nlohmann::ordered_json details = nlohmann::ordered_json::object();  // what else is known

  // When it happened, for people: a fact may have waited for NATS. A clock that is ahead of the
  // server's is not believed.
  [[nodiscard]] WallTime When() const {
    return IsSet(happened_at) ? std::min(happened_at, time) : time;
  }
  [[nodiscard]] nlohmann::ordered_json ToJson() const;
};

// A message of one of the three streams, decoded; what cannot be read is one item of kind
// "unreadable". For decisions `order` is filled in.
[[nodiscard]] std::vector<LogItem> ItemsOf(Source source, const bus::StreamMessage& message,
                                           DecisionOrder* order);

// What explains a placement where there was no choice: a task of a system job.
inline constexpr std::string_view kPinned = "pinned";

// "intents", "facts", "decisions".
[[nodiscard]] std::string_view SourceName(Source source);

// Items about one task or node. An exact id, node or name wins; else an id that begins with `text`,
// if only one does (kConflict lists them). kNotFound if nothing fits.
struct LogFilter {
  std::set<std::string> tasks{};  // these ids; grows with what `name` brings
  std::string name{};             // or all tasks of this name
  std::string node{};             // or this node
  [[nodiscard]] bool Matches(const LogItem& item);
};
[[nodiscard]] Result<LogFilter> FilterFor(const std::string& text,
                                          const std::vector<LogItem>& items);

}  // namespace cube::cli
