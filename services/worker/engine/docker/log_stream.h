// Output of one container: a stream that somebody reads with credit, or the end of it into a file.
// Both run on the loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "services/worker/engine/docker/log_cursor.h"
#include "services/worker/engine/docker/log_frames.h"
#include "services/worker/engine/docker/session.h"

namespace cube::engine::docker {

class LogStream {
 public:
  struct Handlers {
    std::function<void(LogChunk)> on_chunk;
    std::function<void(std::optional<Error>)> on_end;  // once; the stream may be destroyed in it
    std::function<bool()> has_ended;  // the container: nothing is added to its output any more
  };

  LogStream(HttpLoop& loop, Session& session, std::uint64_t stream, Handlers handlers)
      : loop_(loop), session_(session), stream_(stream), handlers_(std::move(handlers)) {}
  ~LogStream() { Halt(); }
  LogStream(const LogStream&) = delete;
  LogStream& operator=(const LogStream&) = delete;

  void Open(std::string container_id, bool tty, const LogOptions& options);
  void Credit(std::size_t bytes);
  // The container has ended, so that a follower looks once more, and now.
  void Wake();
  // Gives nothing any more.
  void Halt();

  // Who follows looks again so long after output came; twice as long, and so on, after none.
  static constexpr std::chrono::milliseconds kPauseMin{50};
  static constexpr std::chrono::milliseconds kPauseMax{400};

 private:
  // The log is read as a whole, or from where LogCursor knows; following is doing so again and
  // again (log_cursor.h says why).
  enum class Reading : std::uint8_t {
    kFirst,  // what the options ask for
    kPlace,  // one entry, only to know where the log ends
    kNext,
  };
  struct Waiting {
    LogPiece piece;
    LogChunk::Gap gap = LogChunk::Gap::kNone;
  };

  void Read();
  [[nodiscard]] std::string Target(std::int64_t entries) const;
  bool Take(std::string_view bytes);
  void Look(LogPiece piece);
  void OnAnswer(Result<HttpResponse> answer);
  void Drain();
  void OnDrained();
  void Tell(LogChunk::Gap gap);
  void End(std::optional<Error> error);

  HttpLoop& loop_;
  Session& session_;
  const std::uint64_t stream_;
  const Handlers handlers_;
  std::string container_id_;
  bool tty_ = false;
  LogOptions options_;

  LogCursor cursor_;
  Reading reading_ = Reading::kFirst;
  std::int64_t kept_bytes_ = 0;  // seen in a first reading of all, as the engine's files have them
  bool again_ = false;           // the reading is of no use: another one
  bool last_ = false;            // the container had ended before the reading began
  bool read_ = false;            // all of it has come
  HttpLoop::Id exchange_ = 0;
  std::optional<HttpLoop::Id> pause_;
  Duration pause_length_ = kPauseMin;
  std::optional<LogFrames> frames_;
  std::deque<Waiting> waiting_;  // decoded, without credit: of one delivery
  std::size_t credit_ = 0;
  bool finished_ = false;
  std::optional<Error> error_;
};

// Reads what a container has printed and gives its end as Engine::Remove says it, `bytes_max` bytes
// of text at most; or, where the engine cannot read it back (its answer is an error),
// nothing. An error where the answer is lost.
void FetchOutputTail(Session& session, const std::string& container_id, bool tty,
                     std::size_t bytes_max,
                     std::function<void(Result<std::optional<std::string>>)> done);

// Writes a file that is there whole or not at all.
[[nodiscard]] Result<void> WriteWhole(const std::string& path, const std::string& bytes);

}  // namespace cube::engine::docker
