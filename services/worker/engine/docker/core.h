// The Docker engine driver itself, on the loop's thread: the table of launches, kept true by the
// engine's events and by lists after each reconnect. See engine.h for what each verb promises.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/worker/engine/docker/exec_stream.h"
#include "services/worker/engine/docker/image_pulls.h"
#include "services/worker/engine/docker/launching.h"
#include "services/worker/engine/docker/log_stream.h"
#include "services/worker/engine/docker/session.h"
#include "services/worker/engine/docker/usage_reader.h"

namespace cube::engine::docker {

// A stop under way.
struct Stopping {
  std::string signal;
  std::chrono::steady_clock::time_point kill_at;
  bool killed = false;
  std::optional<HttpLoop::Id> timer{};
};

// A list being made: rows first, then a look at each container that is not known well.
struct Listing {
  std::map<LaunchKey, std::string> before;  // container ids known when it began
  std::set<LaunchKey> seen;
  std::deque<std::pair<LaunchKey, std::string>> to_inspect;
  std::size_t inspecting = 0;
  bool again = false;  // asked for while it was being made
};

class Core {
 public:
  Core(HttpLoop& loop, Endpoint endpoint, Allowances allowances, Owner owner, Sink sink);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  void Connect() { session_.Connect(); }
  void Launch(LaunchRequest request);
  void Stop(const LaunchKey& key, const std::string& signal, Duration grace);
  void Remove(const LaunchKey& key, const std::string& save_output_to, std::size_t save_bytes);
  void List();
  void OpenLogs(std::uint64_t stream, const LaunchKey& key, const LogOptions& options);
  void LogCredit(std::uint64_t stream, std::size_t bytes);
  void CloseLogs(std::uint64_t stream);
  void Exec(std::uint64_t exec, const LaunchKey& key, ExecRequest request);
  void ExecCredit(std::uint64_t exec, std::size_t bytes);
  void ExecInput(std::uint64_t exec, std::string_view bytes, bool last);
  void CancelExec(std::uint64_t exec);
  void Usage();

  // Streams that follow output hold a connection each.
  static constexpr std::size_t kLogStreamsMax = 256;

 private:
  // What is known of one launch.
  struct Entry {
    LaunchStatus status;
    std::int32_t pid = 0;
    bool tty = false;
    std::string stop_signal;
    std::int64_t memory_bytes = 0;
    std::unique_ptr<Launching> launching;
    std::optional<Stopping> stopping;
    bool removing = false;
    bool dropping = false;    // it never ran and is being removed by us
    bool refreshing = false;  // an inspect is under way
    bool stale = false;       // something happened since it was sent
    bool oom_seen = false;
    enum class OomWait : std::uint8_t { kNone, kWaiting, kDone } oom_wait = OomWait::kNone;
    bool destroyed = false;
  };
  using Entries = std::map<LaunchKey, Entry>;

  void OnUp(const Up& up);
  void OnDown(const std::string& reason);
  void OnEvent(const ContainerEvent& event);

  // listing
  void BeginListing();
  void OnRows(Result<HttpResponse> answer);
  void InspectNext();
  void OnInspected(const LaunchKey& key, Result<HttpResponse> answer);
  void FinishListing();

  // the table
  void Emit(Event event) { sink_(std::move(event)); }
  void EmitChanged(const Entry& entry) { Emit(Changed{entry.status}); }
  [[nodiscard]] Entry* Find(const LaunchKey& key);
  void Adopt(Entry& entry, const Container& container);
  void Apply(Entry& entry, const Container& container);
  void ApplyExit(Entry& entry, LaunchStatus status);
  void Refresh(const LaunchKey& key);
  void OnRefreshed(const LaunchKey& key, Result<HttpResponse> answer);
  void Vanish(const LaunchKey& key, WallTime when);
  void Erase(const LaunchKey& key);

  // launching
  void StartLaunching(Entry& entry, LaunchRequest request, bool look_first);
  void OnStarted(const LaunchKey& key, std::optional<Container> container, const std::string& id);
  void OnStartFailed(const LaunchKey& key, const Error& error, std::int32_t exit_code);

  // stopping (core_stop.cc)
  void BeginStop(Entry& entry);
  void Kill(const LaunchKey& key, const std::string& signal);
  void OnKillAnswer(const LaunchKey& key, const Result<HttpResponse>& answer);
  void ArmKill(Entry& entry);
  void OnKillTime(const LaunchKey& key);
  void EndStop(Entry& entry);
  void DropCreated(const LaunchKey& key);
  void FailOp(const LaunchKey& key, Error error);

  // removing (core_stop.cc)
  void Delete(const LaunchKey& key);

  HttpLoop& loop_;
  const Allowances allowances_;
  const Sink sink_;
  Session session_;
  ImagePulls pulls_;
  StartSlots slots_;
  UsageReader usage_;
  Entries entries_;
  std::optional<Listing> listing_;
  bool listed_ = false;  // since the last Up
  struct Reader {
    LaunchKey key;
    LogOptions options;
    bool opened = false;  // false: waits for what becomes of the launch's removal
    std::unique_ptr<LogStream> stream;
  };
  std::map<std::uint64_t, Reader> streams_;
  // Objects whose own callback has ended them: destroyed when the stack is clear of them.
  std::vector<std::unique_ptr<Launching>> retired_launchings_;
  std::vector<std::unique_ptr<LogStream>> retired_streams_;
  void Retire(std::unique_ptr<Launching> launching);
  void EndStream(std::uint64_t stream, std::optional<Error> error);
  void OpenWaiting(const Entry& entry);
  [[nodiscard]] std::vector<std::uint64_t> ReadersOf(const LaunchKey& key, bool opened) const;
  void WakeReaders(const LaunchKey& key);

  // core_exec.cc
  void EndExec(std::uint64_t exec, std::int32_t exit_code, std::optional<Error> error);
  void EndExecs(const Error& error);
  [[nodiscard]] ExecStream* FindExec(std::uint64_t exec) const;
  std::map<std::uint64_t, std::unique_ptr<ExecStream>> execs_;
  std::vector<std::unique_ptr<ExecStream>> retired_execs_;
};

}  // namespace cube::engine::docker
