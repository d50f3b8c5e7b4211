// The format of output in files, of launches that run (engine `process`) and of removed ones (every
// engine): one frame a line, readable as it is (it is the log format of the Kubernetes container
// runtime interface, so that tools exist for it):
//
//   2026-01-31T12:00:00.123456789Z stdout F the line\n
//
// F = a full line; P = a part of a line that goes on in the next frame of that stream (a line
// longer than kFrameBytesMax, or the end of the output without a line feed). Frames read at once
// carry the same time. Pure; any bytes may be decoded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/time.h"

namespace cube::engine {

// Longest payload of one frame, as in that format's other writers.
inline constexpr std::size_t kFrameBytesMax = 16u << 10;
// "<time> stdout F ": time with nine digits (30), stream (6), tag (1), spaces (3).
inline constexpr std::size_t kFrameHeaderBytes = 40;

// Appends one frame to `out`. `payload` has no line feed and at most kFrameBytesMax bytes.
void AppendFrame(WallTime time, bool is_stderr, bool full, std::string_view payload,
                 std::string* out);

struct Frame {
  WallTime time;
  bool is_stderr = false;
  bool full = true;
  std::string_view payload;  // without line feed; points into what was parsed
};
// `line` is without its line feed. nullopt: not a frame.
[[nodiscard]] std::optional<Frame> ParseFrame(std::string_view line);

// Where the last `lines` lines of these frames begin; 0 if there are no more than that. A frame
// that is still being written (no line feed yet) does not count and comes after all others. Parts
// count with the line they belong to, as far as the next frame of whatever stream tells. *missing
// is the number of lines that were not there.
[[nodiscard]] std::size_t TailOffset(std::string_view bytes, std::int64_t lines,
                                     std::int64_t* missing);

// The last whole frames whose text, line feeds included, is at most `text_max` bytes, and that have
// at most kFramesPerText times as many as they stand here.
[[nodiscard]] std::string_view TailFrames(std::string_view frames, std::size_t text_max);
// Lines of less than 5 bytes would take more, and are kept to fewer bytes of text.
inline constexpr std::size_t kFramesPerText = 9;

// Where the first frames were dropped this line stands in their place; it is no frame, which every
// reader skips. A file of a running launch begins with it where another one came before it: if that
// one is not there any more, the beginning is gone.
inline constexpr std::string_view kCutMark = "# what came before is not kept\n";

// Cuts one stream into frames. Not thread-safe; one for each of stdout and stderr.
class LineFramer {
 public:
  explicit LineFramer(bool is_stderr) : is_stderr_(is_stderr) {}
  // Frames for the whole lines (and over-long parts) of what came so far; the rest waits.
  void Add(WallTime time, std::string_view bytes, std::string* out);
  // The stream has ended: what waits is written as a part.
  void Finish(WallTime time, std::string* out);

 private:
  bool is_stderr_;
  std::string waiting_;
};

}  // namespace cube::engine
