#include "shared/runtime/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "shared/base/check.h"
#include "shared/runtime/os_error.h"

namespace cube::runtime {
namespace {

constexpr char kStopByte = 0;  // no signal has this number

// Where the handler writes: a handler can reach nothing but a global. -1 = no watch.
std::atomic<int> g_signal_fd{-1};  // NOLINT: see above
static_assert(std::atomic<int>::is_always_lock_free, "used inside a signal handler");

extern "C" void CubeForwardSignal(int signal_number) {
  const int saved = errno;
  const char byte = static_cast<char>(signal_number);
  // The pipe is full only when thousands are waiting already; one more tells nothing new.
  [[maybe_unused]] const ssize_t ignored = ::write(g_signal_fd.load(), &byte, 1);
  errno = saved;
}

}  // namespace

SignalWatch::SignalWatch(Fd read_end, Fd write_end, std::function<void(int)> on_signal)
    : read_end_(std::move(read_end)),
      write_end_(std::move(write_end)),
      on_signal_(std::move(on_signal)) {}

Result<std::unique_ptr<SignalWatch>> SignalWatch::Start(std::function<void(int)> on_signal) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailErrno(errno, "making the pipe for signals");
  Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  // Only the handler's end: it must never block, the thread should.
  if (::fcntl(write_end.get(), F_SETFL, O_NONBLOCK) != 0) {
    return FailErrno(errno, "preparing the pipe for signals");
  }
  std::unique_ptr<SignalWatch> watch(
      new SignalWatch(std::move(read_end), std::move(write_end), std::move(on_signal)));
  int none = -1;
  CUBE_CHECK(g_signal_fd.compare_exchange_strong(none, watch->write_end_.get()));
  watch->thread_ = std::thread([raw = watch.get()] { raw->Run(); });
  CUBE_TRY_VOID(watch->Install());
  return watch;
}

SignalWatch::~SignalWatch() {
  if (int_installed_) ::sigaction(SIGINT, &old_int_, nullptr);
  if (term_installed_) ::sigaction(SIGTERM, &old_term_, nullptr);
  // A handler that has just begun on another thread may still hold the old number, for the few
  // instructions until it writes; the pipe stays open beyond the join below.
  g_signal_fd.store(-1);
  if (!thread_.joinable()) return;
  // Room comes as the thread reads on, so this ends.
  while (::write(write_end_.get(), &kStopByte, 1) != 1) {
    CUBE_CHECK(errno == EINTR || errno == EAGAIN);
    std::this_thread::yield();
  }
  thread_.join();
}

Result<void> SignalWatch::Install() {
  struct sigaction action{};
  action.sa_handler = CubeForwardSignal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  if (::sigaction(SIGTERM, &action, &old_term_) != 0) return FailErrno(errno, "watching SIGTERM");
  term_installed_ = true;
  if (::sigaction(SIGINT, &action, &old_int_) != 0) return FailErrno(errno, "watching SIGINT");
  int_installed_ = true;
  return {};
}

void SignalWatch::Run() noexcept {
  while (true) {
    char byte = kStopByte;
    const ssize_t got = ::read(read_end_.get(), &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got != 1 || byte == kStopByte) return;
    on_signal_(byte);
  }
}

void IgnoreSigpipe() {
  struct sigaction action{};
  action.sa_handler = SIG_IGN;
  ::sigemptyset(&action.sa_mask);
  CUBE_CHECK(::sigaction(SIGPIPE, &action, nullptr) == 0);
}

}  // namespace cube::runtime
