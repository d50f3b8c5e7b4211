// Commands beside launches (Engine::Exec): each a `cube-supervise --exec` of its own, with pipes.
// On the event loop's thread, as is the sink.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "services/worker/engine/engine.h"
#include "services/worker/engine/process/event_loop.h"
#include "services/worker/engine/process/launch_dir.h"
#include "services/worker/engine/process/posix_files.h"
#include "shared/base/error.h"

namespace cube::engine::process {

class Execs {
 public:
  Execs(const Sink& sink, EventLoop& loop) : sink_(sink), loop_(loop) {}
  ~Execs();
  Execs(const Execs&) = delete;
  Execs& operator=(const Execs&) = delete;

  [[nodiscard]] bool Has(std::uint64_t exec) const { return execs_.contains(exec); }
  [[nodiscard]] std::size_t size() const { return execs_.size(); }
  // `timeout` 0 = none. An error: nothing was started.
  [[nodiscard]] Result<void> Start(std::uint64_t exec, const LaunchKey& key,
                                   const std::string& supervise_path, const Command& command,
                                   bool input, Duration timeout);
  void Credit(std::uint64_t exec, std::size_t bytes);
  void Input(std::uint64_t exec, std::string_view bytes, bool last);
  void Kill(std::uint64_t exec, std::optional<Error> reason);
  // The launch has ended, and with it what runs beside it.
  void KillOf(const LaunchKey& key);
  // What is due by time; how long the next wait may be, in ms (-1 = any).
  int Idle();

 private:
  struct Watched {
    Fd fd;
    std::uint64_t watch = 0;  // 0 = not watched
  };
  struct Exec {
    LaunchKey key;
    pid_t pid = 0;
    Fd lifeline;  // its closing kills
    Watched input;
    std::array<Watched, 2> streams;  // stdout, stderr
    Watched status;
    std::string to_write;
    bool input_last = false;
    std::size_t credit = 0;
    std::string status_bytes;
    bool over = false;  // the supervisor has ended: what is in the pipes is all
    std::optional<Error> killed;
    MonoTime kill_at = MonoTime::max();
    Duration timeout{0};
  };

  void Close(Watched& watched);
  void Watch(std::uint64_t exec, Watched& watched, EventLoop::For what);
  void WriteInput(std::uint64_t exec);
  void StatusReadable(std::uint64_t exec);
  void Pump(std::uint64_t exec);
  // False: no more now.
  bool ReadOnce(std::uint64_t exec, Exec& e, std::size_t stream);
  void End(std::uint64_t exec);
  [[nodiscard]] ExecEnded Ending(std::uint64_t exec, const Exec& e) const;

  const Sink& sink_;
  EventLoop& loop_;
  std::map<std::uint64_t, Exec> execs_;
};

}  // namespace cube::engine::process
