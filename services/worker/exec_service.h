// cube.exec.<node>: runs commands inside launches for whoever asks (messages/cube/v1/exec.proto):
// output as much as the caller has given credit for, input as much as the command takes. A caller
// that falls silent ends its command. Step functions like the loop's, of which it is a part.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "services/worker/core/worker_core.h"
#include "services/worker/operation.h"

namespace cube::v1 {
class ExecInput;
class ExecOpen;
class ExecReply;
}  // namespace cube::v1

namespace cube::worker {

// Commands of callers at one time; one more is refused. Each costs a few processes.
inline constexpr std::size_t kExecSessionsMax = 64;
// A caller that says nothing for so long is taken to be gone; callers speak every 5 s.
inline constexpr Duration kExecIdleMax = std::chrono::seconds(30);
// Output that may be under way to one caller.
inline constexpr std::uint64_t kExecCreditMax = 4u << 20;
// Input that may be under way to one command.
inline constexpr std::uint64_t kExecInputWindow = 256u << 10;
// Bytes of a command with its variables: what a spec may have.
inline constexpr std::size_t kExecCommandBytesMax = 64u << 10;
static_assert(kExecSessionsMax < engine::kExecsMax, "health checks need room, too");

class ExecService {
 public:
  explicit ExecService(bool allowed) : allowed_(allowed) {}

  // A message to cube.exec.<node>. What cannot be read, and replies to anything but an inbox, are
  // dropped.
  void OnRequest(const bus::Message& message, const WorkerCore& core, Now now, Operations& out);
  void OnOutput(engine::ExecOutput& output, Operations& out);
  void OnTook(const engine::ExecTook& took, Operations& out);
  void OnEnded(const engine::ExecEnded& ended, Operations& out);
  // Callers that are gone are dropped, and their commands ended.
  void Advance(Now now, Operations& out);
  // The worker ends: its commands do, too.
  void EndAll(Operations& out);

  [[nodiscard]] MonoTime NextDeadline() const;
  [[nodiscard]] std::size_t sessions() const { return sessions_.size(); }

 private:
  struct Session {
    std::uint64_t id = 0;  // the caller's
    std::string reply_to;
    std::string engine;
    std::uint64_t exec = 0;  // the engine's number
    std::uint64_t number = 0;
    std::uint64_t credit = 0;        // output that may still be sent
    std::uint64_t input_credit = 0;  // input that may still come
    std::uint64_t input_number = 0;  // of the next piece
    bool input = false;
    MonoTime heard_at;
  };

  void Open(const bus::Message& message, std::uint64_t id, const v1::ExecOpen& open,
            const WorkerCore& core, Now now, Operations& out);
  void Input(Session& s, const v1::ExecInput& input, Operations& out);
  void Reply(Session& s, v1::ExecReply& reply, Operations& out);
  // Tells the caller and forgets the session; the command may still be ending.
  void End(std::uint64_t id, const Error& failure, Operations& out);
  [[nodiscard]] Session* ByExec(std::uint64_t exec);

  const bool allowed_;
  std::map<std::uint64_t, Session> sessions_;       // by the caller's id
  std::map<std::uint64_t, std::uint64_t> by_exec_;  // engine's number -> caller's id
  std::uint64_t next_exec_ = 1;  // never with the bit of probes (engine/probe/exec_prober.h)
};

}  // namespace cube::worker
