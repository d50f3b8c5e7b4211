// Why a task is where it is: its attempts with what was decided about each, and the way of each
// through the log with the time of every hop. Pure: built from the items of the log.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "services/cli/log_items.h"

namespace cube::cli {

// One thing that the log says about the task.
struct Hop {
  LogItem item;
  Duration after{0};  // since the hop before it; 0 for the first. By LogItem::When
};

// What was decided with an attempt, and what became of it.
struct StoryAttempt {
  std::uint32_t number = 0;
  LogItem decision;
  std::vector<Hop> hops;  // the decision first
};

struct Story {
  std::string task;
  std::vector<Hop> before;  // until the first attempt: asked for, refused, stopped
  std::vector<StoryAttempt> attempts;

  [[nodiscard]] bool empty() const { return before.empty() && attempts.empty(); }
};

// `items`: any items in the log's order; those of other tasks, and messages that nobody took, are
// left out. What happens after an attempt began belongs to it, until the next one begins.
[[nodiscard]] Story StoryOf(std::string_view task, const std::vector<LogItem>& items);

[[nodiscard]] nlohmann::ordered_json ToJson(const Story& story);

// "4 nodes were looked at: 2 fit; ruled out: memory 1, down 1." and the scores, where there are
// any.
[[nodiscard]] std::string ChoiceText(const LogItem& decision);

// A paragraph for each attempt, its hops below it. `width`: columns of the terminal, 0 = no limit.
[[nodiscard]] std::string RenderStory(const Story& story, std::size_t width);

}  // namespace cube::cli
