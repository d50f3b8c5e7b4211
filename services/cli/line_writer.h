// Output of tasks on the terminal: raw, or line by line with the task's name and times before it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "services/cli/terminal.h"

namespace cube::cli {

struct LineStyle {
  bool times = false;     // RFC 3339 before each line
  bool prefixes = false;  // the task before each line
};

// Standard error of a task goes to err, the rest to out, as docker does.
class LineWriter {
 public:
  LineWriter(const Terminal& terminal, LineStyle style) : terminal_(terminal), style_(style) {}
  ~LineWriter() { Finish(); }
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // Columns for the prefixes: the widest task.
  void Expect(const std::string& task);
  void Write(const std::string& task, bool is_stderr, std::int64_t time_ns, std::string_view bytes);
  // Lines that have no end yet.
  void Finish();

 private:
  struct Partial {
    std::string text;
    std::int64_t time_ns = 0;
  };
  void WriteLine(const std::string& task, bool is_stderr, const Partial& line);

  const Terminal& terminal_;
  const LineStyle style_;
  std::map<std::string, std::size_t> tasks_;  // in the order of their colours
  std::size_t width_ = 0;
  std::map<std::pair<std::string, bool>, Partial> partial_;
};

}  // namespace cube::cli
