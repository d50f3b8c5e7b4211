// Output of one container: a stream that somebody follows with credit, or the end of it into a
// file. Both run on the loop's thread.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "services/worker/engine/docker/log_frames.h"
#include "services/worker/engine/docker/session.h"

namespace cube::engine::docker {

class LogStream {
 public:
  struct Handlers {
    std::function<void(LogChunk)> on_chunk;
    std::function<void(std::optional<Error>)> on_end;  // once; the stream may be destroyed in it
  };

  LogStream(HttpLoop& loop, Session& session, std::uint64_t stream, Handlers handlers)
      : loop_(loop), session_(session), stream_(stream), handlers_(std::move(handlers)) {}
  ~LogStream() { session_.Cancel(exchange_); }
  LogStream(const LogStream&) = delete;
  LogStream& operator=(const LogStream&) = delete;

  void Open(const std::string& container_id, bool tty, const LogOptions& options);
  void Credit(std::size_t bytes);

 private:
  bool Take(std::string_view bytes);
  void Drain();
  void End(std::optional<Error> error);

  HttpLoop& loop_;
  Session& session_;
  const std::uint64_t stream_;
  const Handlers handlers_;
  HttpLoop::Id exchange_ = 0;
  std::optional<LogFrames> frames_;
  std::deque<LogPiece> pieces_;  // decoded, waiting for credit: those of one delivery
  std::size_t credit_ = 0;
  bool finished_ = false;
  std::optional<Error> error_;
};

// Reads what a container has printed and gives its end in the frames of output_log.h, `bytes_max`
// bytes of them at most; or, where the engine cannot read it back (its answer is an error),
// nothing. An error where the answer is lost.
void FetchOutputTail(Session& session, const std::string& container_id, bool tty,
                     std::size_t bytes_max,
                     std::function<void(Result<std::optional<std::string>>)> done);

// Writes a file that is there whole or not at all.
[[nodiscard]] Result<void> WriteWhole(const std::string& path, const std::string& bytes);

}  // namespace cube::engine::docker
