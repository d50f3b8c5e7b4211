#include "services/cli/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "services/cli/render/text.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kTimeWidth = 26;   // RFC 3339 with milliseconds, and a gap
constexpr std::size_t kClockWidth = 14;  // its time of day, where the terminal is narrow
constexpr std::size_t kNarrow = 120;
constexpr std::size_t kRestMin = 20;     // of what happened: less is cut, not wrapped
constexpr std::size_t kAfterWidth = 10;  // "+12.345 s"
constexpr std::size_t kSourceWidth = 10;

// "+12 ms", "+1.2 s", "+3m": as exact as it matters.
std::string AfterText(Duration after) {
  using std::chrono::milliseconds;
  const auto ms = std::chrono::duration_cast<milliseconds>(after).count();
  if (ms < 0) return "+0 ms";  // several clocks tell the times
  if (ms < 1'000) return fmt::format("+{} ms", ms);
  if (ms < 120'000) return fmt::format("+{:.1f} s", static_cast<double>(ms) / 1'000.0);
  return "+" + FormatDuration(std::chrono::duration_cast<std::chrono::seconds>(after));
}

void AddHop(std::vector<Hop>& hops, const LogItem& item, std::optional<WallTime>& before) {
  hops.push_back({item, before ? item.When() - *before : Duration{0}});
  before = item.When();
}

std::string_view Singular(Source source) {
  switch (source) {
    case Source::kIntents:
      return "intent";
    case Source::kFacts:
      return "fact";
    case Source::kDecisions:
      return "decision";
  }
  return "";
}

// A hop with all that is known of it: below each other on a terminal.
std::string HopLine(const Hop& hop, bool first, std::size_t width) {
  std::string time = FormatRfc3339(hop.item.When());
  const bool narrow = width != 0 && width < kNarrow && time.size() == kTimeWidth - 2;
  if (narrow) time = time.substr(std::string_view("2026-01-01T").size(), kClockWidth - 2);
  const std::string head = fmt::format(
      "  {:<{}}{:>{}}  {:<{}}", time, narrow ? kClockWidth : kTimeWidth,
      first ? "" : AfterText(hop.after), kAfterWidth, Singular(hop.item.source), kSourceWidth);
  const std::string text = Printable(hop.item.text);
  if (width == 0) return head + text + "\n";
  if (width < head.size() + kRestMin) return CutToWidth(head + text, width) + "\n";
  std::string out;
  for (const auto& line : Wrap(text, width - head.size())) {
    out += (out.empty() ? head : std::string(head.size(), ' ')) + line + "\n";
  }
  return out;
}

// ", chosen by spread".
std::string ChosenText(const LogItem& decision) {
  const auto scheduler = decision.details.find("scheduler");
  if (scheduler == decision.details.end() || !scheduler->is_string()) return {};
  const auto name = scheduler->get<std::string>();
  return name == kPinned ? ", the only node for it" : ", chosen by " + name;
}

std::int64_t Number(const Json& details, const char* key) {
  const auto it = details.find(key);
  return it != details.end() && it->is_number() ? it->get<std::int64_t>() : 0;
}

std::string ScoreText(const Json& details, const char* key) {
  const auto it = details.find(key);
  return it != details.end() && it->is_number() ? fmt::format("{:.4f}", it->get<double>()) : "-";
}

Json HopsJson(const std::vector<Hop>& hops) {
  Json all = Json::array();
  for (const auto& hop : hops) {
    Json json = hop.item.ToJson();
    json["after_ms"] = std::max<std::int64_t>(
        0, std::chrono::duration_cast<std::chrono::milliseconds>(hop.after).count());
    all.push_back(std::move(json));
  }
  return all;
}

}  // namespace

Story StoryOf(std::string_view task, const std::vector<LogItem>& items) {
  Story story;
  story.task = task;
  std::optional<WallTime> before;
  for (const LogItem& item : items) {
    if (item.task != task || item.foreign) continue;
    if (item.source == Source::kDecisions && item.kind == "start") {
      StoryAttempt attempt;
      attempt.number = static_cast<std::uint32_t>(Number(item.details, "attempt"));
      attempt.decision = item;
      story.attempts.push_back(std::move(attempt));
    }
    AddHop(story.attempts.empty() ? story.before : story.attempts.back().hops, item, before);
  }
  return story;
}

std::string ChoiceText(const LogItem& decision) {
  const Json& details = decision.details;
  const std::int64_t nodes = Number(details, "nodes");
  std::vector<std::string> filters;
  if (const auto it = details.find("filtered"); it != details.end()) {
    for (const auto& [filter, count] : it->items()) {
      filters.push_back(fmt::format("{} {}", filter, count.get<std::int64_t>()));
    }
  }
  std::string text = fmt::format("{} node{} looked at", nodes, nodes == 1 ? " was" : "s were");
  if (!filters.empty()) {
    text += fmt::format(": {} fit; ruled out: {}", Number(details, "feasible"),
                        fmt::join(filters, ", "));
  } else if (nodes > 1) {
    text += ", all fit";
  }
  text += ".";
  if (const auto it = details.find("runner_up"); it != details.end() && it->is_string()) {
    text += fmt::format(" Score {} against {} of {}, the next best (lower is better).",
                        ScoreText(details, "score"), ScoreText(details, "runner_up_score"),
                        it->get<std::string>());
  }
  return text;
}

Json ToJson(const Story& story) {
  Json json = {{"task", story.task}, {"before", HopsJson(story.before)}};
  Json attempts = Json::array();
  for (const auto& attempt : story.attempts) {
    Json one = {{"attempt", attempt.number}, {"node", attempt.decision.node}};
    for (const char* key : {"scheduler", "nodes", "feasible", "filtered", "score",
                            "runner_up_score", "runner_up", "decided_at"}) {
      const auto it = attempt.decision.details.find(key);
      one[key] = it == attempt.decision.details.end() ? Json(nullptr) : *it;
    }
    one["choice"] = ChoiceText(attempt.decision);
    one["hops"] = HopsJson(attempt.hops);
    attempts.push_back(std::move(one));
  }
  json["attempts"] = std::move(attempts);
  return json;
}

std::string RenderStory(const Story& story, std::size_t width) {
  std::string out;
  auto paragraph = [&](std::string_view text, std::size_t indent) {
    const std::size_t room = width > 2 * indent ? width - indent : 0;
    for (const auto& line : Wrap(Printable(text), room)) {
      out += std::string(indent, ' ') + line + "\n";
    }
  };
  bool first = true;
  for (const auto& hop : story.before) {
    out += HopLine(hop, first, width);
    first = false;
  }
  for (const auto& attempt : story.attempts) {
    if (!out.empty()) out += "\n";
    paragraph(fmt::format("Attempt {} on {}{}", attempt.number, attempt.decision.node,
                          ChosenText(attempt.decision)),
              0);
    paragraph(ChoiceText(attempt.decision), 2);
    for (const auto& hop : attempt.hops) {
      out += HopLine(hop, first, width);
      first = false;
    }
  }
  return out;
}

}  // namespace cube::cli
