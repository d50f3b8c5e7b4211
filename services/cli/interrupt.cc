#include "services/cli/interrupt.h"

#include <atomic>
#include <csignal>

namespace cube::cli {
namespace {

std::atomic<bool> interrupted{false};  // NOLINT: a signal handler reaches nothing else
static_assert(std::atomic<bool>::is_always_lock_free);  // used by a signal handler

extern "C" void OnInterrupt(int signal) {
  interrupted.store(true);
  std::signal(signal, SIG_DFL);
}

}  // namespace

void WatchInterrupts() {
  std::signal(SIGINT, OnInterrupt);
  std::signal(SIGTERM, OnInterrupt);
}

bool Interrupted() { return interrupted.load(); }

void ForgetInterrupt() {
  interrupted.store(false);
  WatchInterrupts();
}

}  // namespace cube::cli
