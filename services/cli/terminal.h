// Where output goes and what that place can show. Data on `out`, all else on `err`.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>

#include "services/cli/render/table.h"
#include "shared/base/error.h"

namespace cube::cli {

struct Terminal {
  std::ostream& out;
  std::ostream& err;
  bool out_tty = false;
  bool err_tty = false;
  std::size_t width = 0;  // columns of a terminal at `out`; 0 = not a terminal: no limit
  bool color = false;     // `out` shows colours

  // Colour only on a terminal, never with NO_COLOR (https://no-color.org) or TERM=dumb.
  [[nodiscard]] static Terminal Real();

  // "cube: <text>" on err.
  void Say(std::string_view text) const;
};

// How wide the terminal at a descriptor is now: people resize it. $COLUMNS or 80 where it does not
// say.
[[nodiscard]] std::size_t ColumnsNow(int fd);

// One line that is drawn over itself on a terminal, and plain lines when piped. On err.
class Progress {
 public:
  explicit Progress(const Terminal& terminal) : terminal_(terminal) {}
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Something has changed: a plain line when piped (once for the same text), kept on a terminal.
  void Step(std::string_view text);
  // What is being waited for now; on a terminal only, drawn over.
  void Waiting(std::string_view text);
  void Clear();

 private:
  const Terminal& terminal_;
  bool drawn_ = false;  // a line is on the screen
  std::size_t frame_ = 0;
  std::string last_step_;
};

}  // namespace cube::cli
