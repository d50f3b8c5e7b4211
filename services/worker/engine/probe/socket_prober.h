// Checks over the network, many at one time on one thread that waits in epoll.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "services/worker/engine/prober.h"
#include "shared/base/error.h"
#include "shared/runtime/fd.h"

namespace cube::engine {

class SocketProber final : public Prober {
 public:
  // The sink is called from the prober's thread. kResource: no descriptors left.
  [[nodiscard]] static Result<std::unique_ptr<SocketProber>> Make(
      ProbeSink sink, std::size_t probes_max = kProbesMax);
  ~SocketProber() override;  // no result comes afterwards
  SocketProber(const SocketProber&) = delete;
  SocketProber& operator=(const SocketProber&) = delete;

  // Kinds http and tcp; a command is answered as unknown.
  void Start(ProbeRequest request) override;

 private:
  using Outcome = ProbeResult::Outcome;
  // A check under way, or one that was answered and whose server is still speaking: a connection
  // that is cut off in the middle of an answer fills servers' logs with errors.
  struct Active {
    ProbeRequest request;
    runtime::Fd socket;
    MonoTime deadline;
    bool connected = false;
    bool answered = false;
    std::string to_send;
    std::string received;
    std::size_t drained = 0;  // bytes behind the answer
  };
  using ActiveMap = std::map<std::uint64_t, Active>;

  SocketProber(ProbeSink sink, std::size_t probes_max, runtime::Fd epoll, runtime::Fd wake);

  void Run();
  [[nodiscard]] bool TakePosted();
  void Enqueue(ProbeRequest request);
  void BeginWaiting();
  void Begin(ProbeRequest request);
  void OnReady(std::uint64_t id);
  void OnConnected(ActiveMap::iterator it);
  [[nodiscard]] bool Send(ActiveMap::iterator it);
  void Receive(ActiveMap::iterator it);
  void Watch(ActiveMap::iterator it, std::uint32_t events, bool first);
  void EndLate(MonoTime now);
  void Answer(Active& active, Outcome outcome, std::string what);
  void Forget(ActiveMap::iterator it);
  [[nodiscard]] int WaitMillis() const;

  const ProbeSink sink_;
  const std::size_t probes_max_;
  const runtime::Fd epoll_;
  const runtime::Fd wake_;

  // Of the thread alone.
  std::deque<ProbeRequest> waiting_;
  ActiveMap active_;
  std::set<std::pair<MonoTime, std::uint64_t>> deadlines_;
  std::uint64_t next_id_ = 1;

  std::mutex mutex_;
  std::vector<ProbeRequest> posted_;  // guarded by mutex_
  bool ending_ = false;               // guarded by mutex_
  std::thread thread_;
};

}  // namespace cube::engine
