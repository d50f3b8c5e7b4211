#include "services/worker/engine/docker/log_stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "services/worker/engine/output_log.h"

namespace cube::engine::docker {
namespace {

constexpr int kStatusOk = 200;
constexpr int kStatusNotFound = 404;
constexpr int kStatusConflict = 409;
constexpr std::chrono::seconds kSilenceMax{30};
constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

LogFrames::Format FormatOf(bool tty) {
  return tty ? LogFrames::Format::kRaw : LogFrames::Format::kFrames;
}

// Less than this in the engine's files is all that there was; with a little room for how it writes
// what is not plain text.
constexpr std::int64_t kKeptBytesSure = kLogKeptBytes / 100 * 98;
// {"log":"...\n","stream":"stdout","time":"2026-01-31T12:00:00.123456789Z"}
constexpr std::size_t kBytesBesideText = 70;
constexpr std::size_t kBytesOfEscape = 6;  // \u003c

// What an entry takes in the engine's files. (moby, daemon/logger/jsonfilelog/jsonlog)
std::int64_t BytesInFile(std::string_view text) {
  std::size_t bytes = kBytesBesideText + text.size();
  for (const char c : text) {
    const bool coded =
        (static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t' && c != '\r') || c == '<' ||
        c == '>' || c == '&';
    if (coded) bytes += kBytesOfEscape - 1;
    if (c == '"' || c == '\\' || c == '\n' || c == '\t' || c == '\r') ++bytes;
  }
  return static_cast<std::int64_t>(bytes);
}

Error ErrorOf(const HttpResponse& response) {
  // 409: it is being removed, after its output was saved.
  const bool gone = response.status == kStatusNotFound || response.status == kStatusConflict;
  const Code code = gone ? Code::kNotFound : Code::kUnsupported;
  return {code, fmt::format("reading the output: {}", DecodeErrorText(response.body)), {}};
}

}  // namespace

void LogStream::Open(std::string container_id, bool tty, const LogOptions& options) {
  container_id_ = std::move(container_id);
  tty_ = tty;
  options_ = options;
  Read();
}

std::string LogStream::Target(std::int64_t entries) const {
  std::string target = fmt::format(
      "/containers/{}/logs?stdout=1&stderr=1&timestamps=1&follow=0&tail={}", container_id_,
      entries == LogCursor::kAll ? std::string("all") : std::to_string(entries));
  if (reading_ == Reading::kFirst && IsSet(options_.since))
    target += fmt::format("&since={}.{:09}", ToNanos(options_.since) / kNanosPerSecond,
                          ToNanos(options_.since) % kNanosPerSecond);
  return target;
}

void LogStream::Read() {
  frames_.emplace(FormatOf(tty_), /*timestamps=*/true);
  again_ = false;
  read_ = false;
  last_ = handlers_.has_ended();
  std::int64_t entries = 1;
  if (reading_ == Reading::kNext) {
    entries = cursor_.Begin();
  } else if (reading_ == Reading::kFirst) {
    entries = options_.tail_lines < 0 ? LogCursor::kAll : options_.tail_lines;
  }
  // "tail=0" is all to some engines. One entry tells where the log ends.
  entries = entries == 0 ? 1 : entries;
  if (reading_ != Reading::kNext) entries = cursor_.BeginFirst(entries);
  HttpStream stream;
  stream.on_bytes = [this](std::string_view bytes) { return Take(bytes); };
  stream.done = [this](Result<HttpResponse> answer) { OnAnswer(std::move(answer)); };
  exchange_ = session_.Stream({.method = "GET", .target = Target(entries)}, std::move(stream));
}

void LogStream::Look(LogPiece piece) {
  if (again_) return;
  if (reading_ == Reading::kPlace && piece.time >= options_.since) {
    // It came since the first reading, which found nothing: that is made again.
    reading_ = Reading::kFirst;
    again_ = true;
    return;
  }
  if (reading_ == Reading::kFirst) kept_bytes_ += BytesInFile(piece.bytes);
  Waiting waiting{.piece = std::move(piece)};
  switch (cursor_.Look(waiting.piece)) {
    case LogCursor::Verdict::kOld:
      return;
    case LogCursor::Verdict::kTooFew:
      again_ = true;
      return;
    case LogCursor::Verdict::kLost:
      waiting.gap = LogChunk::Gap::kBetween;
      break;
    case LogCursor::Verdict::kNew:
      break;
  }
  const bool only_a_place =
      reading_ == Reading::kPlace || (reading_ == Reading::kFirst && options_.tail_lines == 0);
  if (only_a_place || (IsSet(options_.since) && waiting.piece.time < options_.since)) return;
  waiting_.push_back(std::move(waiting));
}

// One delivery at a time is decoded; the next waits in the loop, then in the engine.
bool LogStream::Take(std::string_view bytes) {
  if (!waiting_.empty()) return false;
  const auto taken = frames_->Add(bytes, [this](LogPiece piece) { Look(std::move(piece)); });
  if (!taken) {
    session_.Cancel(exchange_);
    End(taken.error());
    return true;
  }
  if (again_) {
    session_.Cancel(exchange_);
    Read();
    return true;
  }
  Drain();
  return true;
}

void LogStream::OnAnswer(Result<HttpResponse> answer) {
  if (!answer) return End(Error{Code::kUnavailable, answer.error().message, {}});
  if (answer->status != kStatusOk) {
    Error error = ErrorOf(*answer);
    if (reading_ != Reading::kNext || error.code != Code::kNotFound) return End(std::move(error));
    // Somebody has removed it while it was followed, with what it printed last.
    Tell(LogChunk::Gap::kBetween);
    return End(std::nullopt);
  }
  frames_->Finish([this](LogPiece piece) { Look(std::move(piece)); });
  read_ = true;
  Drain();
}

void LogStream::Credit(std::size_t bytes) {
  constexpr std::size_t kCreditMax = std::size_t{1} << 40;
  credit_ = std::min(credit_ + std::min(bytes, kCreditMax), kCreditMax);
  if (!waiting_.empty()) Drain();
}

void LogStream::Tell(LogChunk::Gap gap) {
  handlers_.on_chunk({.stream = stream_, .is_stderr = false, .time = {}, .bytes = {}, .gap = gap});
}

void LogStream::Drain() {
  const bool was_waiting = !waiting_.empty();
  while (!waiting_.empty() && credit_ > 0) {
    Waiting& next = waiting_.front();
    LogPiece& piece = next.piece;
    const std::size_t count = std::min({piece.bytes.size(), credit_, kLogChunkBytesMax});
    credit_ -= count;
    LogChunk chunk{.stream = stream_,
                   .is_stderr = piece.is_stderr,
                   .time = piece.time,
                   .bytes = piece.bytes.substr(0, count),
                   .gap = std::exchange(next.gap, LogChunk::Gap::kNone)};
    piece.bytes.erase(0, count);
    if (piece.bytes.empty()) waiting_.pop_front();
    handlers_.on_chunk(std::move(chunk));
  }
  if (!waiting_.empty()) return;
  if (finished_) return handlers_.on_end(error_);
  if (read_) return OnDrained();
  if (was_waiting) loop_.Resume(exchange_);
}

// A reading is over, and all of it was given.
void LogStream::OnDrained() {
  if (again_ || !cursor_.Finish()) return Read();
  if (reading_ == Reading::kFirst && options_.tail_lines < 0 && !IsSet(options_.since) &&
      kept_bytes_ >= kKeptBytesSure)
    Tell(LogChunk::Gap::kMaybeBeginning);
  if (!options_.follow || last_) return End(std::nullopt);
  const bool fresh = cursor_.fresh() > 0 && reading_ != Reading::kPlace;
  const bool nothing_since =
      reading_ == Reading::kFirst && IsSet(options_.since) && cursor_.empty();
  reading_ = nothing_since ? Reading::kPlace : Reading::kNext;
  if (nothing_since || handlers_.has_ended()) return Read();
  pause_length_ = fresh ? Duration(kPauseMin) : std::min<Duration>(2 * pause_length_, kPauseMax);
  pause_ = loop_.After(pause_length_, [this] {
    pause_.reset();
    Read();
  });
}

void LogStream::Wake() {
  if (!pause_) return;  // a reading is under way: its end looks by itself
  loop_.CancelTimer(*std::exchange(pause_, std::nullopt));
  Read();
}

void LogStream::Halt() {
  session_.Cancel(exchange_);
  if (pause_) loop_.CancelTimer(*std::exchange(pause_, std::nullopt));
}

void LogStream::End(std::optional<Error> error) {
  finished_ = true;
  error_ = std::move(error);
  if (waiting_.empty()) handlers_.on_end(error_);
}

void FetchOutputTail(Session& session, const std::string& container_id, bool tty,
                     std::size_t bytes_max,
                     std::function<void(Result<std::optional<std::string>>)> done) {
  struct Reading {
    explicit Reading(bool tty) : pieces(FormatOf(tty), /*timestamps=*/true) {}
    LogFrames pieces;
    LineFramer framers[2] = {LineFramer(/*is_stderr=*/false), LineFramer(/*is_stderr=*/true)};
    WallTime time;
    std::string frames;
    bool cut = false;
    bool broken = false;
    void DropBefore(std::size_t text_max) {
      const std::string_view tail = TailFrames(frames, text_max);
      if (tail.size() == frames.size()) return;
      cut = true;
      frames = std::string(tail);
    }
  };
  auto reading = std::make_shared<Reading>(tty);
  HttpStream stream;
  const auto add = [reading, bytes_max](const LogPiece& piece) {
    Reading& r = *reading;
    r.time = piece.time;
    r.framers[piece.is_stderr ? 1 : 0].Add(piece.time, piece.bytes, &r.frames);
    // At most twice as many, so that dropping is cheap.
    if (r.frames.size() > 2 * kFramesPerText * bytes_max) r.DropBefore(bytes_max);
  };
  stream.on_bytes = [reading, add](std::string_view bytes) {
    // What cannot be decoded ends the output there; what came before is kept.
    if (!reading->broken) reading->broken = !reading->pieces.Add(bytes, add);
    return true;
  };
  stream.done = [reading, add, bytes_max, done = std::move(done)](Result<HttpResponse> answer) {
    if (!answer) return done(Fail(Code::kUnavailable, answer.error().message));
    if (answer->status != kStatusOk) return done(std::optional<std::string>());
    reading->pieces.Finish(add);
    for (LineFramer& framer : reading->framers) framer.Finish(reading->time, &reading->frames);
    reading->DropBefore(bytes_max);
    done((reading->cut ? std::string(kCutMark) : std::string()) + reading->frames);
  };
  session.Stream({.method = "GET",
                  .target = fmt::format(
                      "/containers/{}/logs?stdout=1&stderr=1&timestamps=1&tail=all", container_id),
                  .body = {},
                  .headers = {},
                  .timeout = Duration{0},
                  .silence_max = kSilenceMax},
                 std::move(stream));
}

Result<void> WriteWhole(const std::string& path, const std::string& bytes) {
  const std::string temporary = path + ".new";
  const auto fail = [&](const char* what) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return Fail(error == ENOSPC || error == EDQUOT ? Code::kResource : Code::kPrecondition,
                fmt::format("{} {}: {}", what, temporary, std::strerror(error)));
  };
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return fail("creating");
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t count = ::write(fd, bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int error = errno;
      ::close(fd);
      errno = error;
      return fail("writing");
    }
    written += static_cast<std::size_t>(count);
  }
  if (::close(fd) != 0) return fail("closing");
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail("renaming");
  return {};
}

}  // namespace cube::engine::docker
