// This process's standard input, read by a thread of its own as fast as it may be passed on.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "shared/runtime/fd.h"

namespace cube::cli {

class InputReader {
 public:
  // `on_ready` is called from the thread whenever there is something to take.
  InputReader(int fd, std::function<void()> on_ready);
  ~InputReader();
  InputReader(const InputReader&) = delete;
  InputReader& operator=(const InputReader&) = delete;

  struct Piece {
    std::string bytes;
    bool last = false;  // end of file, told once
  };
  // What has come, at most `bytes_max` of it. Until it is taken nothing more is read.
  [[nodiscard]] Piece Take(std::size_t bytes_max);

 private:
  void Run();

  const int fd_;
  const std::function<void()> on_ready_;
  runtime::Fd quit_read_, quit_write_;
  std::mutex mutex_;
  std::condition_variable taken_;
  std::string bytes_;      // guarded by mutex_
  bool at_end_ = false;    // guarded by mutex_
  bool told_end_ = false;  // guarded by mutex_
  bool quit_ = false;      // guarded by mutex_
  std::thread thread_;
};

}  // namespace cube::cli
