// SIGTERM and SIGINT as calls on an ordinary thread.
//
// A handler writes to a pipe and a thread reads it. Blocking the signals for signalfd would be
// shorter, but only holds for threads started afterwards, and every child would inherit the mask;
// handlers are reset by exec.
#pragma once

#include <csignal>
#include <functional>
#include <memory>
#include <thread>

#include "shared/base/error.h"
#include "shared/runtime/fd.h"

namespace cube::runtime {

class SignalWatch {
 public:
  // `on_signal` gets SIGTERM or SIGINT, once for each arrival, on the watch's own thread: it
  // must be quick, may not throw and may not destroy the watch; push into an inbox. At most one
  // watch at a time in a process.
  [[nodiscard]] static Result<std::unique_ptr<SignalWatch>> Start(
      std::function<void(int signal_number)> on_signal);

  // Restores what the signals did before. No call of on_signal is running afterwards.
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  SignalWatch(Fd read_end, Fd write_end, std::function<void(int)> on_signal);
  [[nodiscard]] Result<void> Install();
  void Run() noexcept;

  Fd read_end_;
  Fd write_end_;
  std::function<void(int)> on_signal_;
  struct sigaction old_term_{};
  struct sigaction old_int_{};
  bool term_installed_ = false;
  bool int_installed_ = false;
  std::thread thread_;
};

// A write to a connection that the other side has closed then fails with EPIPE instead of ending
// the process. Programs that write to sockets call it first in main.
void IgnoreSigpipe();

}  // namespace cube::runtime
