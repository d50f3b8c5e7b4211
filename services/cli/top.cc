// cube top: nodes and tasks by what they use. On a terminal it is drawn again as metrics come; when
// piped, one frame.
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "services/cli/commands.h"
#include "services/cli/exit_code.h"
#include "services/cli/interrupt.h"
#include "services/cli/render/format.h"
#include "services/cli/render/text.h"
#include "services/cli/session.h"
#include "services/cli/show.h"
#include "services/cli/usage.h"

namespace cube::cli {
namespace {

// Between frames, unless something is pressed: ages are shown in seconds.
constexpr Duration kRedraw = std::chrono::seconds(1);
// Nodes come and go; their list is asked for so often.
constexpr Duration kAskNodes = std::chrono::seconds(5);
// How long a pressed key may wait.
constexpr Duration kLookForKeys = std::chrono::milliseconds(100);
constexpr std::size_t kRowsDefault = 24;

// Keys without Enter, and the screen as it was before when this goes.
class Screen {
 public:
  explicit Screen(const Terminal& terminal) : terminal_(terminal) {
    keys_ = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before_) == 0;
    if (keys_) {
      termios raw = before_;
      raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      raw.c_cc[VMIN] = 0;
      raw.c_cc[VTIME] = 0;
      tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    terminal_.out << "\033[?1049h\033[?25l" << std::flush;
  }
  ~Screen() {
    terminal_.out << "\033[?25h\033[?1049l" << std::flush;
    if (keys_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // The key that was pressed, if one was.
  [[nodiscard]] char Key() const {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    char key = 0;
    if (!keys_ || poll(&input, 1, 0) <= 0 || read(STDIN_FILENO, &key, 1) != 1) return 0;
    return key;
  }

  // Draws over what is there, `last` below it; what does not fit between is left out.
  void Draw(const std::string& frame, const std::string& last) const {
    winsize size{};
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
    std::size_t rows = known ? size.ws_row : kRowsDefault;
    std::string text = "\033[H";
    std::size_t at = 0;
    while (at < frame.size() && rows > 2) {
      const std::size_t end = std::min(frame.find('\n', at), frame.size());
      text += frame.substr(at, end - at) + "\033[K\n";
      at = end + 1;
      --rows;
    }
    if (rows > 2) text += "\033[K\n";
    terminal_.out << text << last << "\033[J" << std::flush;
  }

 private:
  const Terminal& terminal_;
  termios before_{};
  bool keys_ = false;
};

TopSort SortOf(const std::string& word) {
  if (word == "mem") return TopSort::kMemory;
  return word == "name" ? TopSort::kName : TopSort::kCpu;
}

std::vector<std::string> NamesOf(const std::vector<v1::NodeView>& nodes) {
  std::vector<std::string> names;
  for (const auto& node : nodes) names.push_back(node.name());
  return names;
}

// Until q or Ctrl-C.
Result<int> Watch(Session& session, Client& client, std::vector<v1::NodeView> nodes,
                  MetricsByNode metrics, TopOptions options) {
  client.Listen(client.subjects().MetricsAll());
  const Screen screen(session.terminal());
  MonoTime draw_at{};
  MonoTime ask_at = client.In(kAskNodes);
  for (;;) {
    const char key = screen.Key();
    if (key == 'q' || key == 'Q' || Interrupted()) return kExitDone;
    if (key == 'c') options.sort = TopSort::kCpu;
    if (key == 'm') options.sort = TopSort::kMemory;
    if (key == 'n') options.sort = TopSort::kName;
    if (client.Mono() >= ask_at) {
      ask_at = client.In(kAskNodes);
      // No answer: what was known stays on the screen; ages show it.
      if (auto asked = client.Nodes()) nodes = *std::move(asked);
    }
    if (key != 0 || client.Mono() >= draw_at) {
      draw_at = client.In(kRedraw);
      options.now = client.Wall();
      options.layout.width = ColumnsNow(STDOUT_FILENO);
      screen.Draw(TopFrame(nodes, metrics, options),
                  CutToWidth("q quits; c, m, n sort by cpu, memory, name", options.layout.width));
    }
    const auto message = client.Next(client.In(kLookForKeys));
    if (!message) {
      if (Interrupted()) return kExitDone;
      return std::unexpected(message.error());
    }
    v1::Metrics fresh;
    if (*message && fresh.ParseFromString((*message)->payload)) {
      metrics.insert_or_assign(fresh.node(), NodeMetrics{fresh, client.Wall()});
    }
  }
}

Result<int> Top(Session& session) {
  const Args& args = session.args();
  const Format format = FormatOf(args);
  TopOptions options;
  if (!args.operands.empty()) {
    const std::string& what = args.operands.front();
    if (what != "tasks" && what != "nodes") {
      return Fail(Code::kInvalid,
                  fmt::format("there is no 'cube top {}'. It is 'cube top', 'cube top tasks' or "
                              "'cube top nodes'",
                              what));
    }
    options.tasks = what == "tasks";
    options.nodes = what == "nodes";
  }
  options.sort = SortOf(args.Text("sort"));
  options.layout = LayoutOf(args, session.terminal());
  CUBE_TRY(Client * client, session.client());
  CUBE_TRY(auto nodes, client->Nodes());
  CUBE_TRY(auto metrics, client->Metrics(NamesOf(nodes)));
  options.now = client->Wall();
  if (format == Format::kJson || format == Format::kYaml) {
    ShowJson(session, TopJson(nodes, metrics, options));
    return kExitDone;
  }
  if (session.terminal().out_tty) {
    return Watch(session, *client, std::move(nodes), std::move(metrics), options);
  }
  session.terminal().out << TopFrame(nodes, metrics, options);
  return kExitDone;
}

}  // namespace

CommandSpec TopCommand() {
  CommandSpec command{
      .name = "top",
      .summary = "Show nodes and tasks by what they use; refreshed on a terminal, until q.",
      .operands = "[tasks|nodes]",
      .flags = {{.name = "sort",
                 .value = "KEY",
                 .help = "cpu, mem or name",
                 .fallback = "cpu",
                 .choices = {"cpu", "mem", "name"}}},
      .examples = {{"all, as metrics come in", "cube top"},
                   {"tasks, those that use most memory first", "cube top tasks --sort mem"}},
      .exit_codes = {kExitDone, kExitUsage, kExitUnreachable},
      .operands_max = 1,
      .run = Top};
  const auto more = ShowFlags();
  command.flags.insert(command.flags.end(), more.begin(), more.end());
  return command;
}

}  // namespace cube::cli
