#include "services/cli/line_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "shared/base/time.h"

namespace cube::cli {
namespace {

// A line without an end is written out at this length: bounds memory.
constexpr std::size_t kLineMax = 1u << 20;
constexpr std::array kColors = {36, 33, 32, 35, 34, 96, 93, 92, 95, 94};

}  // namespace

void LineWriter::Expect(const std::string& task) {
  tasks_.try_emplace(task, tasks_.size());
  width_ = std::max(width_, task.size());
}

void LineWriter::Write(const std::string& task, bool is_stderr, std::int64_t time_ns,
                       std::string_view bytes) {
  if (!style_.times && !style_.prefixes) {
    std::ostream& to = is_stderr ? terminal_.err : terminal_.out;
    to.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    to.flush();
    return;
  }
  Partial& partial = partial_[{task, is_stderr}];
  while (!bytes.empty()) {
    if (partial.text.empty()) partial.time_ns = time_ns;
    const std::size_t end = bytes.find('\n');
    const std::size_t room = kLineMax - partial.text.size();
    const std::size_t take = std::min(end == std::string_view::npos ? bytes.size() : end, room);
    partial.text += bytes.substr(0, take);
    bytes.remove_prefix(take);
    const bool complete = !bytes.empty() && bytes.front() == '\n';
    if (!complete && partial.text.size() < kLineMax) break;
    if (complete) bytes.remove_prefix(1);
    WriteLine(task, is_stderr, partial);
    partial.text.clear();
  }
}

void LineWriter::WriteLine(const std::string& task, bool is_stderr, const Partial& line) {
  std::ostream& to = is_stderr ? terminal_.err : terminal_.out;
  if (style_.prefixes) {
    std::string prefix = task;
    prefix.resize(std::max(width_, task.size()), ' ');
    prefix += " | ";
    const auto known = tasks_.find(task);
    const bool colored = terminal_.color && known != tasks_.end();
    to << (colored
               ? fmt::format("\x1b[{}m{}\x1b[0m", kColors[known->second % kColors.size()], prefix)
               : prefix);
  }
  if (style_.times && line.time_ns != 0) {
    to << FormatRfc3339(WallFromNanos(line.time_ns)) << ' ';
  }
  to << line.text << '\n';
  to.flush();
}

void LineWriter::Finish() {
  for (auto& [key, partial] : partial_) {
    if (!partial.text.empty()) WriteLine(key.first, key.second, partial);
  }
  partial_.clear();
}

}  // namespace cube::cli
