#include "services/worker/engine/process/log_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "services/worker/engine/process/launch_dir.h"

namespace cube::engine::process {
namespace {

constexpr std::size_t kReadBytes = 64u << 10;
// The first look back from the end of a file for its last lines; the next ones are 8 times longer.
constexpr std::uint64_t kTailWindowBytes = 64u << 10;
constexpr std::uint64_t kTailWindowGrowth = 8;

std::uint64_t InodeOf(const std::string& path) {
  struct stat found{};
  return stat(path.c_str(), &found) == 0 ? found.st_ino : 0;
}

// Bytes [from, to) of the file, or what there is of them.
std::string ReadRange(int fd, std::uint64_t from, std::uint64_t to) {
  std::string bytes(to - from, '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const auto got =
        pread(fd, bytes.data() + have, bytes.size() - have, static_cast<off_t>(from + have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace

LogStream::LogStream(std::uint64_t id, std::string folder, LogOptions options)
    : id_(id), folder_(std::move(folder)), options_(options) {
  // The current file first: a rotation between the two calls then shows it twice, never not at all.
  auto current = OpenFile(folder_ + '/' + kOutputFile);
  auto old = OpenFile(folder_ + '/' + kOldOutputFile);
  if (old.fd.valid() && old.inode != current.inode) files_.push_back(std::move(old));
  if (current.fd.valid()) files_.push_back(std::move(current));
  if (options_.tail_lines >= 0) {
    SeekTail();
  } else if (!IsSet(options_.since) && !files_.empty() &&
             ReadRange(files_.front().fd.get(), 0, kCutMark.size()) == kCutMark) {
    gap_ = LogChunk::Gap::kBeginning;
  }
}

LogStream::File LogStream::OpenFile(const std::string& path) {
  File file;
  file.fd = Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat found{};
  if (file.fd.valid() && fstat(file.fd.get(), &found) == 0) file.inode = found.st_ino;
  return file;
}

void LogStream::SeekTail() {
  std::int64_t missing = options_.tail_lines;
  for (std::size_t i = files_.size(); i-- > 0;) {
    if (missing == 0 && i + 1 < files_.size()) {
      files_.pop_front();  // older than all that is wanted
    } else {
      missing = SeekTail(&files_[i], missing);
    }
  }
}

std::int64_t LogStream::SeekTail(File* file, std::int64_t lines) {
  struct stat found{};
  if (fstat(file->fd.get(), &found) != 0) return lines;
  const auto size = static_cast<std::uint64_t>(found.st_size);
  for (std::uint64_t window = kTailWindowBytes;; window *= kTailWindowGrowth) {
    const std::uint64_t from = window < size ? size - window : 0;
    const std::string bytes = ReadRange(file->fd.get(), from, size);
    std::int64_t missing = 0;
    const std::size_t begin = TailOffset(bytes, lines, &missing);
    // The first line of a window may be the end of one.
    if (begin == 0 && from > 0) continue;
    file->offset = from + begin;
    return missing;
  }
}

void LogStream::AddCredit(std::size_t bytes) {
  credit_ += std::min(bytes, std::numeric_limits<std::size_t>::max() - credit_);
}

bool LogStream::NextFile() {
  if (files_.size() > 1) {
    files_.pop_front();
  } else {
    const std::string current = folder_ + '/' + kOutputFile;
    const std::uint64_t last = files_.empty() ? 0 : files_.front().inode;
    if (InodeOf(current) == last || InodeOf(current) == 0) return false;
    // What was read last is output.1 now; if it is not, a whole file has passed unread in between.
    auto old = OpenFile(folder_ + '/' + kOldOutputFile);
    files_.clear();
    if (old.fd.valid() && old.inode != last) {
      if (last != 0) gap_ = LogChunk::Gap::kBetween;
      files_.push_back(std::move(old));
    }
    auto next = OpenFile(current);
    if (next.fd.valid()) files_.push_back(std::move(next));
    if (files_.empty()) return false;
  }
  // Writers end a file with a whole frame; a torn one (power cut, full disk) is dropped.
  unparsed_.clear();
  parsed_ = 0;
  return true;
}

// False if there is nothing more now.
bool LogStream::ReadMore() {
  unparsed_.erase(0, parsed_);
  parsed_ = 0;
  while (true) {
    if (!files_.empty()) {
      const std::size_t had = unparsed_.size();
      unparsed_ += ReadRange(files_.front().fd.get(), files_.front().offset,
                             files_.front().offset + kReadBytes);
      files_.front().offset += unparsed_.size() - had;
      if (unparsed_.size() > had) return true;
    }
    // Looked at again after the change was seen: the writer may have added to the old file.
    if (files_.size() <= 1 && !files_.empty()) {
      const std::uint64_t inode = files_.front().inode;
      if (InodeOf(folder_ + '/' + kOutputFile) == inode) return false;
      const auto rest = ReadRange(files_.front().fd.get(), files_.front().offset,
                                  files_.front().offset + kReadBytes);
      if (!rest.empty()) {
        files_.front().offset += rest.size();
        unparsed_ += rest;
        return true;
      }
    }
    if (!NextFile()) return false;
  }
}

void LogStream::Take(const Frame& frame) {
  pending_ += frame.payload;
  if (frame.full) pending_ += '\n';
  pending_stderr_ = frame.is_stderr;
  pending_time_ = frame.time;
}

// Gathers the next frames of one stream and time. False: there is none now.
bool LogStream::Fill() {
  pending_.clear();
  sent_ = 0;
  while (pending_.size() < kLogChunkBytesMax) {
    const auto end = unparsed_.find('\n', parsed_);
    if (end == std::string::npos) {
      if (!pending_.empty()) return true;
      // Not a file of frames: no line of ours is that long.
      if (unparsed_.size() - parsed_ > kFrameHeaderBytes + kFrameBytesMax) {
        parsed_ = unparsed_.size();
        skipping_ = true;
      }
      if (!ReadMore()) return false;
      continue;
    }
    const auto frame = ParseFrame(std::string_view(unparsed_).substr(parsed_, end - parsed_));
    const bool wanted =
        frame && !skipping_ && (!IsSet(options_.since) || frame->time >= options_.since);
    if (wanted && !pending_.empty() &&
        (frame->is_stderr != pending_stderr_ || frame->time != pending_time_)) {
      return true;
    }
    skipping_ = false;
    parsed_ = end + 1;
    if (wanted) Take(*frame);
  }
  return true;
}

// One chunk of pending_: whole lines if credit reaches for one.
std::size_t LogStream::Send(const Sink& sink, std::size_t bytes_max) {
  const auto rest = std::string_view(pending_).substr(sent_);
  std::size_t size = std::min({rest.size(), bytes_max, kLogChunkBytesMax});
  if (size < rest.size()) {
    const auto line_end = rest.rfind('\n', size - 1);
    if (line_end != std::string_view::npos) size = line_end + 1;
  }
  sink(LogChunk{id_, pending_stderr_, pending_time_, std::string(rest.substr(0, size)),
                std::exchange(gap_, LogChunk::Gap::kNone)});
  sent_ += size;
  credit_ -= size;
  return size;
}

LogStream::Next LogStream::Pump(bool final, const Sink& sink) {
  std::size_t total = 0;
  while (total < kPumpBytesMax) {
    if (sent_ == pending_.size() && !Fill()) {
      return final || !options_.follow ? Next::kEnd : Next::kWait;
    }
    if (sent_ == pending_.size()) continue;
    if (credit_ == 0) return Next::kWait;
    total += Send(sink, credit_);
  }
  return Next::kAgain;
}

}  // namespace cube::engine::process
