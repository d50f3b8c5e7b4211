// Container output as the engine sends it: frames of 8 bytes of header and a payload (Docker
// Engine API, "Stream format" of ContainerAttach), or raw bytes where the container has a
// terminal. Pure and incremental: bytes may be cut anywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "shared/base/error.h"
#include "shared/base/time.h"

namespace cube::engine::docker {

// A piece of output: one line, or a part of a long one.
struct LogPiece {
  bool is_stderr = false;
  WallTime time;  // unset where the engine gave none
  std::string bytes;
};

class LogFrames {
 public:
  enum class Format : std::uint8_t { kFrames, kRaw };

  // `timestamps`: each entry begins with an RFC 3339 time and a blank, which are taken off.
  LogFrames(Format format, bool timestamps) : format_(format), timestamps_(timestamps) {}

  // Gives every piece that `bytes` complete, in order. After an error (bytes that are no frames)
  // nothing more is given. A piece has at most kPieceBytesMax bytes.
  [[nodiscard]] Result<void> Add(std::string_view bytes, const std::function<void(LogPiece)>& give);
  // What an ended stream leaves unfinished.
  void Finish(const std::function<void(LogPiece)>& give);

  // Longer entries are given in parts, so that a broken length cannot ask for memory.
  static constexpr std::size_t kPieceBytesMax = 32u << 10;

 private:
  static constexpr std::size_t kHeaderBytes = 8;

  void AddPayload(std::string_view bytes, const std::function<void(LogPiece)>& give);
  void AddRaw(std::string_view bytes, const std::function<void(LogPiece)>& give);
  void Give(const std::function<void(LogPiece)>& give);

  Format format_;
  bool timestamps_;
  bool broken_ = false;
  std::string header_;           // of a frame that is not complete yet
  std::uint32_t remaining_ = 0;  // payload bytes of the frame that are still to come
  bool at_entry_start_ = true;   // the piece is the first of its entry: a time may lead it
  LogPiece piece_;               // being gathered; `time` lasts for the whole entry
};

// Cuts a stream into lines. Lines above kLineBytesMax are an error: the peer is not what it says.
class LineBuffer {
 public:
  [[nodiscard]] Result<void> Add(std::string_view bytes,
                                 const std::function<void(std::string_view)>& give);
  static constexpr std::size_t kLineBytesMax = 1u << 20;

 private:
  std::string line_;
};

}  // namespace cube::engine::docker
