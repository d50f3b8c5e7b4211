#include "services/worker/engine/output_log.h"

#include <ctime>

#include "shared/base/check.h"

namespace cube::engine {
namespace {

constexpr std::size_t kTimeBytes = 30;
constexpr std::size_t kTagOffset = 38;

void AppendDigits(std::uint64_t value, int digits, std::string* out) {
  char text[20];
  for (int i = digits - 1; i >= 0; --i) {
    text[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  out->append(text, static_cast<std::size_t>(digits));
}

// FormatRfc3339 has milliseconds only; the order of lines needs all nine digits.
void AppendTime(WallTime time, std::string* out) {
  const std::int64_t nanos = ToNanos(time) < 0 ? 0 : ToNanos(time);
  const std::time_t seconds = nanos / 1'000'000'000;
  std::tm civil{};
  gmtime_r(&seconds, &civil);
  AppendDigits(static_cast<std::uint64_t>(civil.tm_year) + 1900, 4, out);
  *out += '-';
  AppendDigits(static_cast<std::uint64_t>(civil.tm_mon) + 1, 2, out);
  *out += '-';
  AppendDigits(static_cast<std::uint64_t>(civil.tm_mday), 2, out);
  *out += 'T';
  AppendDigits(static_cast<std::uint64_t>(civil.tm_hour), 2, out);
  *out += ':';
  AppendDigits(static_cast<std::uint64_t>(civil.tm_min), 2, out);
  *out += ':';
  AppendDigits(static_cast<std::uint64_t>(civil.tm_sec), 2, out);
  *out += '.';
  AppendDigits(static_cast<std::uint64_t>(nanos % 1'000'000'000), 9, out);
  *out += 'Z';
}

}  // namespace

void AppendFrame(WallTime time, bool is_stderr, bool full, std::string_view payload,
                 std::string* out) {
  CUBE_CHECK(payload.size() <= kFrameBytesMax);
  AppendTime(time, out);
  *out += is_stderr ? " stderr " : " stdout ";
  *out += full ? "F " : "P ";
  *out += payload;
  *out += '\n';
}

std::optional<Frame> ParseFrame(std::string_view line) {
  if (line.size() < kFrameHeaderBytes || line.size() > kFrameHeaderBytes + kFrameBytesMax) {
    return std::nullopt;
  }
  Frame frame;
  const auto stream = line.substr(kTimeBytes, kTagOffset - kTimeBytes);
  if (stream == " stderr ") {
    frame.is_stderr = true;
  } else if (stream != " stdout ") {
    return std::nullopt;
  }
  const char tag = line[kTagOffset];
  if ((tag != 'F' && tag != 'P') || line[kTagOffset + 1] != ' ') return std::nullopt;
  frame.full = tag == 'F';
  auto time = ParseRfc3339(line.substr(0, kTimeBytes));
  if (!time) return std::nullopt;
  frame.time = *time;
  frame.payload = line.substr(kFrameHeaderBytes);
  return frame;
}

std::size_t TailOffset(std::string_view bytes, std::int64_t lines, std::int64_t* missing) {
  // Backwards: the end of the last frame is the last line feed. A part counts only where it is the
  // last frame, since otherwise the frame after it ends the same line.
  std::size_t end = bytes.rfind('\n');
  std::size_t begin = end == std::string_view::npos ? 0 : end + 1;
  bool last = true;
  while (end != std::string_view::npos) {
    const std::size_t before = end == 0 ? std::string_view::npos : bytes.rfind('\n', end - 1);
    const std::size_t start = before == std::string_view::npos ? 0 : before + 1;
    const bool part = end - start > kTagOffset && bytes[start + kTagOffset] == 'P';
    const bool mark = bytes[start] == kCutMark.front();
    if ((!part || last) && !mark) {
      if (lines == 0) break;
      --lines;
    }
    last = false;
    begin = start;
    end = before;
  }
  *missing = lines;
  return begin;
}

std::string_view TailFrames(std::string_view frames, std::size_t text_max) {
  frames = frames.substr(0, frames.rfind('\n') + 1);  // what is still being written has no end
  std::size_t text = 0;
  std::size_t begin = frames.size();
  while (begin > 0) {
    const std::size_t before = begin == 1 ? std::string_view::npos : frames.rfind('\n', begin - 2);
    const std::size_t start = before == std::string_view::npos ? 0 : before + 1;
    const std::size_t size = begin - start;
    text += size > kFrameHeaderBytes ? size - kFrameHeaderBytes : 0;
    if (text > text_max || frames.size() - start > kFramesPerText * text_max) break;
    begin = start;
  }
  return frames.substr(begin);
}

void LineFramer::Add(WallTime time, std::string_view bytes, std::string* out) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const std::size_t room = kFrameBytesMax - waiting_.size();
    if (end != std::string_view::npos && end <= room) {
      if (waiting_.empty()) {
        AppendFrame(time, is_stderr_, true, bytes.substr(0, end), out);
      } else {
        waiting_ += bytes.substr(0, end);
        AppendFrame(time, is_stderr_, true, waiting_, out);
        waiting_.clear();
      }
      bytes.remove_prefix(end + 1);
      continue;
    }
    if (bytes.size() <= room) {
      waiting_ += bytes;
      return;
    }
    waiting_ += bytes.substr(0, room);
    bytes.remove_prefix(room);
    AppendFrame(time, is_stderr_, false, waiting_, out);
    waiting_.clear();
  }
}

void LineFramer::Finish(WallTime time, std::string* out) {
  if (waiting_.empty()) return;
  AppendFrame(time, is_stderr_, false, waiting_, out);
  waiting_.clear();
}

}  // namespace cube::engine
