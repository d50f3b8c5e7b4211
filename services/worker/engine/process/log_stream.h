// One reader of a launch's output: from where its options say, over the rotation of the file, as
// far as credit allows. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "services/worker/engine/engine.h"
#include "services/worker/engine/output_log.h"
#include "services/worker/engine/process/posix_files.h"

namespace cube::engine::process {

// So much is sent of one stream before others get their turn.
inline constexpr std::size_t kPumpBytesMax = 1u << 20;

class LogStream {
 public:
  LogStream(std::uint64_t id, std::string folder, LogOptions options);

  enum class Next : std::uint8_t {
    kWait,   // for more output or more credit
    kAgain,  // there is more at once
    kEnd,    // all has been sent
  };
  // Sends LogChunks. `final`: the launch has ended, nothing will be added to its output.
  [[nodiscard]] Next Pump(bool final, const Sink& sink);

  void AddCredit(std::size_t bytes);
  [[nodiscard]] bool follow() const { return options_.follow; }

 private:
  struct File {
    Fd fd;
    std::uint64_t inode = 0;
    std::uint64_t offset = 0;
  };
  static File OpenFile(const std::string& path);
  void SeekTail();
  static std::int64_t SeekTail(File* file, std::int64_t lines);
  bool ReadMore();
  bool NextFile();
  bool Fill();
  void Take(const Frame& frame);
  std::size_t Send(const Sink& sink, std::size_t bytes_max);

  std::uint64_t id_;
  std::string folder_;
  LogOptions options_;
  std::deque<File> files_;  // front: the one being read; empty: no output yet
  std::string unparsed_;    // bytes of frames, from parsed_ on
  std::size_t parsed_ = 0;
  bool skipping_ = false;  // until the end of the line: it was cut by a change of file
  std::string pending_;    // payload to send, all of one stream and time
  std::size_t sent_ = 0;   // of pending_
  bool pending_stderr_ = false;
  WallTime pending_time_;
  LogChunk::Gap gap_ = LogChunk::Gap::kNone;  // to be told with the next bytes
  std::size_t credit_ = 0;
};

}  // namespace cube::engine::process
