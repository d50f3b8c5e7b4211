#include "services/worker/engine/docker/log_frames.h"

#include <algorithm>
#include <utility>

namespace cube::engine::docker {
namespace {

constexpr std::uint8_t kStderr = 2;
constexpr std::uint8_t kStreamTypeMax = 3;  // stdin, stdout, stderr, the engine's own errors
// "2026-01-31T12:00:00.123456789+00:00 " is 36; anything longer is no time.
constexpr std::size_t kTimeBytesMax = 40;

}  // namespace

Result<void> LogFrames::Add(std::string_view bytes, const std::function<void(LogPiece)>& give) {
  if (format_ == Format::kRaw) {
    AddRaw(bytes, give);
    return {};
  }
  while (!bytes.empty() && !broken_) {
    if (remaining_ > 0) {
      const std::size_t take = std::min<std::size_t>(remaining_, bytes.size());
      remaining_ -= static_cast<std::uint32_t>(take);
      AddPayload(bytes.substr(0, take), give);
      bytes.remove_prefix(take);
      if (remaining_ == 0) Give(give);
      continue;
    }
    const std::size_t take = std::min(kHeaderBytes - header_.size(), bytes.size());
    header_.append(bytes.substr(0, take));
    bytes.remove_prefix(take);
    if (header_.size() < kHeaderBytes) break;
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(header_[i]); };
    if (byte(0) > kStreamTypeMax || byte(1) != 0 || byte(2) != 0 || byte(3) != 0) {
      broken_ = true;
      break;
    }
    remaining_ = (std::uint32_t{byte(4)} << 24) | (std::uint32_t{byte(5)} << 16) |
                 (std::uint32_t{byte(6)} << 8) | std::uint32_t{byte(7)};
    piece_ = {.is_stderr = byte(0) >= kStderr, .time = {}, .bytes = {}};
    at_entry_start_ = true;
    header_.clear();
  }
  if (broken_) return Fail(Code::kInternal, "the engine's log stream is not made of frames");
  return {};
}

void LogFrames::AddPayload(std::string_view bytes, const std::function<void(LogPiece)>& give) {
  while (!bytes.empty()) {
    const std::size_t room = kPieceBytesMax - piece_.bytes.size();
    const std::size_t take = std::min(room, bytes.size());
    piece_.bytes.append(bytes.substr(0, take));
    bytes.remove_prefix(take);
    if (piece_.bytes.size() == kPieceBytesMax) Give(give);
  }
}

void LogFrames::AddRaw(std::string_view bytes, const std::function<void(LogPiece)>& give) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const bool whole = end != std::string_view::npos;
    AddPayload(bytes.substr(0, whole ? end + 1 : bytes.size()), give);
    if (!whole) return;
    Give(give);
    at_entry_start_ = true;
    piece_.time = {};
    bytes.remove_prefix(end + 1);
  }
}

void LogFrames::Give(const std::function<void(LogPiece)>& give) {
  if (timestamps_ && at_entry_start_) {
    const std::size_t blank = piece_.bytes.find(' ');
    if (blank <= kTimeBytesMax) {  // npos is beyond it
      if (const auto time = ParseRfc3339(std::string_view(piece_.bytes).substr(0, blank))) {
        piece_.time = *time;
        piece_.bytes.erase(0, blank + 1);
      }
    }
  }
  at_entry_start_ = false;
  LogPiece next{.is_stderr = piece_.is_stderr, .time = piece_.time, .bytes = {}};
  if (!piece_.bytes.empty()) give(std::move(piece_));
  piece_ = std::move(next);
}

void LogFrames::Finish(const std::function<void(LogPiece)>& give) {
  if (!broken_ && !piece_.bytes.empty()) Give(give);
}

Result<void> LineBuffer::Add(std::string_view bytes,
                             const std::function<void(std::string_view)>& give) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() > kLineBytesMax)
      return Fail(Code::kResource, "a line of the engine's stream is longer than 1 MiB");
    line_.append(part);
    if (end == std::string_view::npos) return {};
    bytes.remove_prefix(end + 1);
    while (!line_.empty() && line_.back() == '\r') line_.pop_back();
    const std::string line = std::exchange(line_, {});
    if (!line.empty()) give(line);
  }
  return {};
}

}  // namespace cube::engine::docker
