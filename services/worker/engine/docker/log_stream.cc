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
constexpr std::chrono::seconds kSilenceMax{30};
constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

LogFrames::Format FormatOf(bool tty) {
  return tty ? LogFrames::Format::kRaw : LogFrames::Format::kFrames;
}

Error ErrorOf(const HttpResponse& response) {
  const Code code = response.status == kStatusNotFound ? Code::kNotFound : Code::kUnsupported;
  return {code, fmt::format("reading the output: {}", DecodeErrorText(response.body)), {}};
}

}  // namespace

void LogStream::Open(const std::string& container_id, bool tty, const LogOptions& options) {
  frames_.emplace(FormatOf(tty), /*timestamps=*/true);
  std::string target =
      fmt::format("/containers/{}/logs?stdout=1&stderr=1&timestamps=1&follow={}&tail={}",
                  container_id, options.follow ? 1 : 0,
                  options.tail_lines < 0 ? std::string("all") : std::to_string(options.tail_lines));
  if (IsSet(options.since))
    target += fmt::format("&since={}.{:09}", ToNanos(options.since) / kNanosPerSecond,
                          ToNanos(options.since) % kNanosPerSecond);
  HttpStream stream;
  stream.on_bytes = [this](std::string_view bytes) { return Take(bytes); };
  stream.done = [this](Result<HttpResponse> answer) {
    if (!answer) return End(Error{Code::kUnavailable, answer.error().message, {}});
    if (answer->status != kStatusOk) return End(ErrorOf(*answer));
    frames_->Finish([this](LogPiece piece) { pieces_.push_back(std::move(piece)); });
    End(std::nullopt);
  };
  exchange_ = session_.Stream({.method = "GET", .target = std::move(target)}, std::move(stream));
}

// One delivery at a time is decoded; the next waits in the loop, then in the engine.
bool LogStream::Take(std::string_view bytes) {
  if (!pieces_.empty()) return false;
  const auto taken =
      frames_->Add(bytes, [this](LogPiece piece) { pieces_.push_back(std::move(piece)); });
  if (!taken) {
    session_.Cancel(exchange_);
    End(taken.error());
    return true;
  }
  Drain();
  return true;
}

void LogStream::Credit(std::size_t bytes) {
  constexpr std::size_t kCreditMax = std::size_t{1} << 40;
  credit_ = std::min(credit_ + std::min(bytes, kCreditMax), kCreditMax);
  Drain();
}

void LogStream::Drain() {
  const bool was_waiting = !pieces_.empty();
  while (!pieces_.empty() && credit_ > 0) {
    LogPiece& piece = pieces_.front();
    const std::size_t count = std::min({piece.bytes.size(), credit_, kLogChunkBytesMax});
    credit_ -= count;
    LogChunk chunk{
        .stream = stream_, .is_stderr = piece.is_stderr, .time = piece.time, .bytes = {}};
    chunk.bytes = piece.bytes.substr(0, count);
    piece.bytes.erase(0, count);
    if (piece.bytes.empty()) pieces_.pop_front();
    handlers_.on_chunk(std::move(chunk));
  }
  if (!pieces_.empty()) return;
  if (finished_) {
    handlers_.on_end(error_);
    return;
  }
  if (was_waiting) loop_.Resume(exchange_);
}

void LogStream::End(std::optional<Error> error) {
  finished_ = true;
  error_ = std::move(error);
  Drain();
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
    bool broken = false;
  };
  auto reading = std::make_shared<Reading>(tty);
  HttpStream stream;
  const auto add = [reading, bytes_max](const LogPiece& piece) {
    Reading& r = *reading;
    r.time = piece.time;
    r.framers[piece.is_stderr ? 1 : 0].Add(piece.time, piece.bytes, &r.frames);
    // At most twice as many, so that dropping is cheap.
    if (r.frames.size() > 2 * bytes_max) {
      r.frames = std::string(TailFrames(r.frames, bytes_max));
    }
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
    done(std::string(TailFrames(reading->frames, bytes_max)));
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
