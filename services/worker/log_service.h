// cube.logs.<node>: streams the output of launches to whoever asks, as much as the caller has given
// credit for (messages/cube/v1/logs.proto). Launches of one attempt come in order; removed ones
// from the end of their output that was saved. Step functions like the loop's, of which it is a
// part.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/worker/core/worker_core.h"
#include "services/worker/operation.h"

namespace cube::v1 {
class LogsReply;
}

namespace cube::worker {

// Streams at one time; one more ends the one whose caller has been silent longest.
inline constexpr std::size_t kLogStreamsMax = 256;
// A caller that says nothing for so long is taken to be gone.
inline constexpr Duration kLogStreamIdleMax = std::chrono::hours(1);
// Credit that a caller can have open: bounds what an engine may have to buffer.
inline constexpr std::uint64_t kLogCreditMax = 64u << 20;
class LogService {
 public:
  // A message to cube.logs.<node>. What cannot be read, and replies to anything but an inbox, are
  // dropped.
  void OnRequest(const bus::Message& message, const WorkerCore& core, Now now, Operations& out);
  void OnChunk(engine::LogChunk& chunk, Operations& out);
  void OnEnd(const engine::LogEnd& end, const WorkerCore& core, Operations& out);
  void OnListed(const OutputListed& listed, const WorkerCore& core, Operations& out);
  void OnRead(OutputRead& read, const WorkerCore& core, Operations& out);
  // Followers go on with launches that have begun; callers that are gone are dropped.
  void Advance(const WorkerCore& core, Now now, Operations& out);

  // Launches that are being read from an engine.
  [[nodiscard]] std::set<LaunchKey> Pins() const;
  [[nodiscard]] std::size_t streams() const { return streams_.size(); }

 private:
  struct Stream {
    std::uint64_t id = 0;  // the caller's
    std::string reply_to;
    AttemptKey attempt;
    bool follow = false;
    std::int64_t tail_lines = -1;
    WallTime since;
    std::uint64_t credit = 0;  // bytes that may still be sent
    std::uint64_t number = 0;
    MonoTime heard_at;
    bool listed = false;               // what is saved is known
    std::set<LaunchKey> saved;         // launches with saved output
    std::int64_t last_launch = -1;     // newest that was opened
    std::optional<LaunchKey> current;  // being read
    std::uint64_t engine_stream = 0;   // 0 = from what was saved
    std::string engine;
    bool got_bytes = false;                   // of the current launch
    std::optional<SavedOutput> saved_output;  // being sent
  };

  void Open(Stream& s, const WorkerCore& core, Operations& out);
  // Opens the next launch, waits for one, or ends the stream. -> false: it has ended.
  [[nodiscard]] bool Next(Stream& s, const WorkerCore& core, Operations& out);
  [[nodiscard]] std::optional<LaunchKey> NextLaunch(const Stream& s, const WorkerCore& core) const;
  void SendSaved(Stream& s, Operations& out);
  void Notice(Stream& s, engine::LogChunk::Gap gap, Operations& out);
  void NotStarted(Stream& s, Operations& out);
  void Send(Stream& s, v1::LogsReply& reply, Operations& out);
  void End(std::uint64_t id, std::optional<Error> failure, Operations& out);
  void MakeRoom(Operations& out);
  [[nodiscard]] Stream* ByEngineStream(std::uint64_t engine_stream);

  std::map<std::uint64_t, Stream> streams_;           // by the caller's id
  std::map<std::uint64_t, std::uint64_t> by_engine_;  // engine's stream -> caller's id
  std::uint64_t next_engine_stream_ = 1;
};

}  // namespace cube::worker
