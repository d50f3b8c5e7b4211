// Output of tasks, streamed from the workers on which they run (messages/cube/v1/logs.proto): with
// credit, so that neither side has to buffer more than a window.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/cli/client.h"

namespace cube::cli {

struct LogOptions {
  bool follow = false;
  std::optional<std::uint32_t> tail;  // lines from the end
  std::int64_t since_ns = 0;          // 0 = from the beginning
};

class LogStreams {
 public:
  using OnChunk = std::function<void(const std::string& task, const v1::LogsChunk& chunk)>;
  // One sentence about output that does not come. `failed`: it should have; else it is not kept any
  // more, or not there yet.
  using OnNotice = std::function<void(const std::string& text, bool failed)>;

  LogStreams(Client& client, LogOptions options, OnChunk on_chunk, OnNotice on_notice)
      : client_(client),
        options_(options),
        on_chunk_(std::move(on_chunk)),
        on_notice_(std::move(on_notice)) {}
  ~LogStreams();
  LogStreams(const LogStreams&) = delete;
  LogStreams& operator=(const LogStreams&) = delete;

  void Add(const v1::TaskView& task);
  // Until all output has been shown; when following, until all tasks have ended. kUnavailable: a
  // worker does not answer. kAborted: Ctrl-C.
  [[nodiscard]] Result<void> Run(const std::function<bool()>& go_on);

  // Some task has been placed on a node.
  [[nodiscard]] bool placed() const;

 private:
  struct Stream {
    std::string task;
    std::string node;
    std::uint32_t attempt = 0;  // 0 = not placed yet
    std::uint64_t id = 0;       // 0 = none is open
    bus::SubId inbox = 0;
    std::uint64_t number = 0;  // of the next message
    std::uint64_t unpaid = 0;  // bytes received since credit was last sent
    bool heard = false;
    bool done = false;
    MonoTime opened_at;
    MonoTime looked_at;          // when the task's state was last asked for
    std::set<int> notices_said;  // v1::LogsNotice: each once for a task
  };

  void Open(Stream& stream, const v1::TaskView& task, bool first);
  void Close(Stream& stream);
  void Pay(Stream& stream);
  void Say(Stream& stream, v1::LogsNotice notice);
  [[nodiscard]] Result<void> OnMessage(Stream& stream, const bus::Message& message);
  // Nothing has come for a while: is there another attempt, or has the task ended?
  [[nodiscard]] Result<void> Look(Stream& stream);
  [[nodiscard]] Result<void> CheckIdle(Stream& stream);

  Client& client_;
  const LogOptions options_;
  OnChunk on_chunk_;
  OnNotice on_notice_;
  std::vector<Stream> streams_;
};

}  // namespace cube::cli
