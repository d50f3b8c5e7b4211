#include "services/cli/event_lines.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/cli/render/text.h"

namespace cube::cli {
namespace {

// The first so many items say how wide the columns are.
constexpr std::size_t kHeldMax = 1'000;
// Where nothing has come yet: a running feed begins with these.
constexpr std::size_t kNodeWidth = 12;
constexpr std::size_t kTaskWidth = 22;
constexpr std::size_t kTitleWidth = 4;  // of NODE and of TASK

constexpr std::size_t kTimeWidth = 24;
constexpr std::size_t kShortTimeWidth = 12;
constexpr std::size_t kSourceWidth = 8;
// Below this many columns the date has to give way to what happened.
constexpr std::size_t kNarrow = 120;

constexpr int kCyan = 36;
constexpr int kMagenta = 35;
constexpr int kRed = 31;

std::string Singular(Source source) {
  switch (source) {
    case Source::kIntents:
      return "intent";
    case Source::kFacts:
      return "fact";
    case Source::kDecisions:
      return "decision";
  }
  return {};
}

bool IsNarrow(const TableLayout& layout) { return layout.width != 0 && layout.width < kNarrow; }

std::string Padded(std::string text, std::size_t width) {
  const std::size_t used = DisplayWidth(text);
  if (used < width) text.append(width - used, ' ');
  return text + "  ";
}

// "2026-01-01T00:00:00.123Z", on a narrow terminal "00:00:00.123".
std::string TimeText(WallTime time, const TableLayout& layout) {
  const std::string text = FormatRfc3339(time);
  return IsNarrow(layout) && text.size() == kTimeWidth ? text.substr(11, kShortTimeWidth) : text;
}

int ColorOf(const LogItem& item) {
  if (item.foreign || item.kind == "refuse" || item.kind == "node_down" ||
      item.kind == "unreadable") {
    return kRed;
  }
  if (item.source == Source::kIntents) return kCyan;
  return item.source == Source::kDecisions ? kMagenta : 0;
}

}  // namespace

void EventLines::Add(const LogItem& item) {
  if (flushed_) return Show(item);
  held_.push_back(item);
  if (held_.size() >= kHeldMax) Flush();
}

void EventLines::Flush() {
  if (flushed_) return;
  flushed_ = true;
  node_width_ = held_.empty() ? kNodeWidth : kTitleWidth;
  task_width_ = held_.empty() ? kTaskWidth : kTitleWidth;
  for (const auto& item : held_) {
    node_width_ = std::max(node_width_, DisplayWidth(Printable(item.node)));
    task_width_ = std::max(task_width_, DisplayWidth(Printable(item.task)));
  }
  if (IsNarrow(layout_)) {
    node_width_ = std::min(node_width_, kNodeWidth);
    task_width_ = std::min(task_width_, kTaskWidth);
  }
  if (layout_.headers) {
    const std::string title = Line("TIME", "SOURCE", "NODE", "TASK", "EVENT");
    write_((layout_.width == 0 ? title : CutToWidth(title, layout_.width)) + "\n");
  }
  for (const auto& item : held_) Show(item);
  held_.clear();
}

std::string EventLines::Line(const std::string& time, const std::string& source,
                             const std::string& node, const std::string& task,
                             const std::string& what) const {
  const bool narrow = IsNarrow(layout_);
  const auto column = [&](const std::string& text, std::size_t width) {
    const std::string shown = text.empty() ? "-" : Printable(text);
    return Padded(narrow ? CutInTheMiddle(shown, width) : shown, width);
  };
  std::string line = Padded(time, narrow ? kShortTimeWidth : kTimeWidth);
  line += Padded(source, kSourceWidth) + column(node, node_width_);
  if (task_) line += column(task, task_width_);
  return line + Printable(what);
}

void EventLines::Show(const LogItem& item) const {
  const std::string what = item.foreign ? "ignored, foreign: " + item.text : item.text;
  std::string line =
      Line(TimeText(item.When(), layout_), Singular(item.source), item.node, item.task, what);
  if (layout_.width != 0) line = CutToWidth(line, layout_.width);
  const int color = ColorOf(item);
  if (layout_.color && color != 0) line = fmt::format("\x1b[{}m{}\x1b[0m", color, line);
  write_(line + "\n");
}

}  // namespace cube::cli
