// SimServer: a NATS server with JetStream, in memory, in one thread. It has no clock and no random
// source of its own: same seed and same calls give the same order of events.
//
// Everything a client (SimBus) starts travels as an event: to the server, and back. Nothing happens
// inside the client's call; a driver advances the clock to NextEventAt() and calls Step(). The
// links of one client keep their order, as TCP does; a lost connection drops what is on its way.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/random.h"
#include "shared/base/time.h"
#include "shared/bus/bus.h"
#include "shared/runtime/clock.h"
#include "test/support/bus/sim_stream.h"

namespace cube::bus {

// Rates are per million of what they concern; 0 = never.
struct SimFaults {
  std::uint32_t message_lost = 0;     // core deliveries
  std::uint32_t message_doubled = 0;  // core deliveries
  std::uint32_t ack_lost = 0;         // appends that are stored, but whose sender hears nothing
  std::uint32_t connection_lost = 0;  // arrivals at the server (before or after they take effect)
  std::uint32_t delayed = 0;          // hops, by up to delay_max
  Duration delay_max = std::chrono::seconds(2);
};

// How often each of them has struck.
struct SimFaultsDone {
  std::uint64_t messages_lost = 0;
  std::uint64_t messages_doubled = 0;
  std::uint64_t acks_lost = 0;
  std::uint64_t connections_lost = 0;
  std::uint64_t hops_delayed = 0;
};

struct SimServerOptions {
  std::string version = "2.9.10";
  std::int64_t max_payload = 1 << 20;                          // bytes, the server's default
  Duration latency = std::chrono::microseconds(100);           // of one hop
  Duration reconnect_after = std::chrono::milliseconds(100);   // then the client is back
  Duration reconnect_spread = std::chrono::milliseconds(400);  // drawn and added to it
  Duration request_timeout = std::chrono::seconds(5);          // of what Ask carries
};

using SimClientId = std::uint64_t;

class SimServer {
 public:
  // The clock must outlive the server. The server must outlive its clients (SimBus).
  SimServer(const Clock& clock, Random random, SimServerOptions options = {});
  ~SimServer();
  SimServer(const SimServer&) = delete;
  SimServer& operator=(const SimServer&) = delete;

  // ---- driving ----
  // When the next event is due (perhaps in the past); nullopt if nothing is on its way.
  [[nodiscard]] std::optional<MonoTime> NextEventAt() const;
  // Carries out the earliest event that is due. False if none is.
  bool Step();
  // Step until nothing is due. -> how many.
  std::size_t StepDue();

  // ---- faults ----
  void set_faults(const SimFaults& faults) { faults_ = faults; }
  [[nodiscard]] const SimFaultsDone& faults_done() const { return faults_done_; }
  // The client's connection breaks: of what it has on the way to the server a prefix (drawn) still
  // takes effect, all on the way to it is lost. It comes back by itself.
  void Disconnect(SimClientId id);
  // The server dies (kill -9): all connections break; streams stay. Start brings it back.
  void Stop();
  void Start();
  [[nodiscard]] bool running() const { return running_; }
  // A power cut: the stream loses all after last_seq, and its sequences come back. Only while
  // stopped.
  void LoseTail(const std::string& stream, std::uint64_t last_seq);

  // Of streams with several replicas those who ask where they end hear, for that long, of the
  // messages that are there now, less up to `most` (drawn): a new leader that has not applied all.
  // kAll: single messages and readers too, as where a replica that lags answers.
  enum class Shows : std::uint8_t { kEnds, kAll };
  void ShowLess(Duration time, std::uint64_t most, Shows what);

  // ---- an operator's hands; at once ----
  // Removes the messages below `before_seq`.
  void Purge(const std::string& stream, std::uint64_t before_seq);
  void DeleteStream(const std::string& stream);
  // As a person with the nats tool: stored if a stream takes the subject, and routed.
  void PublishAs(const std::string& subject, const Headers& headers, const std::string& payload);

  // ---- looking; nullptr if there is none ----
  [[nodiscard]] const SimStream* FindStream(const std::string& name);
  [[nodiscard]] std::vector<std::string> StreamNames() const;

  // How many events Step has carried out.
  [[nodiscard]] std::uint64_t events_run() const { return events_run_; }

 private:
  friend class SimBus;
  friend struct SimPendingOp;
  struct Client;
  struct Reader;
  struct Event {
    SimClientId client = 0;   // 0 = none
    std::uint64_t epoch = 0;  // connection that it travels on
    enum class Way : std::uint8_t { kUp, kDown, kLocal } way = Way::kLocal;
    bool orphan = false;  // kUp of a broken connection that still arrives
    std::function<void()> run;
  };
  using EventKey = std::pair<MonoTime, std::uint64_t>;
  enum class OpKind : std::uint8_t { kAppend, kRequest, kOther };

  // For SimBus.
  SimClientId Join(std::string name, Sink sink);
  void Leave(SimClientId id);
  void Append(SimClientId id, AppendRequest request);
  void Publish(SimClientId id, std::string subject, Headers headers, std::string payload);
  void Request(SimClientId id, OpId op, std::string subject, Headers headers, std::string payload,
               Duration timeout);
  void Subscribe(SimClientId id, SubId sub, std::string subject, std::string queue_group);
  void Unsubscribe(SimClientId id, SubId sub);
  void OpenReader(SimClientId id, SubId reader, std::string stream, std::uint64_t from_seq);
  void Pull(SimClientId id, SubId reader, std::uint32_t messages);
  void CloseReader(SimClientId id, SubId reader);
  // Get, EnsureStreams, Purge...: `answer` runs at the server. kRequest: what became of it is
  // unknown if the connection breaks.
  void Ask(SimClientId id, OpId op, std::function<Result<bus::Event>()> answer,
           OpKind kind = OpKind::kOther);
  [[nodiscard]] bool connected(SimClientId id) const;

  Client* Find(SimClientId id);
  [[nodiscard]] const Client* Find(SimClientId id) const;
  Duration Hop();
  void Schedule(MonoTime due, Event event);
  void SendUp(Client& client, std::function<void()> run);
  void SendDown(Client& client, std::function<void()> run);
  void Later(Client& client, Duration wait, std::function<void()> run);
  void Emit(Client& client, bus::Event event);  // as a local event, now
  bool Begin(Client& client, OpId op, OpKind kind, Duration timeout);
  void Finish(SimClientId id, OpId op, bus::Event event);
  void Answer(SimClientId id, OpId op, bus::Event event);
  void Break(Client& client, bool by_server);
  void Establish(Client& client);
  void DropEvents(SimClientId id, std::uint64_t epoch);

  void ArriveAppend(SimClientId id, const AppendRequest& request);
  void ArriveRequest(SimClientId id, OpId op, const std::string& subject, const Headers& headers,
                     const std::string& payload);
  // Stores (if a stream takes it) and routes. -> number of receivers, the stream's ack included.
  std::size_t Ingest(const std::string& subject, const std::string& reply, const Headers& headers,
                     const std::string& payload);
  std::size_t Route(const std::string& subject, const std::string& reply, const Headers& headers,
                    const std::string& payload);
  void Deliver(Client& client, SubId sub, const std::string& subject, const std::string& reply,
               const Headers& headers, const std::string& payload);
  bool RouteReply(const std::string& subject, const Headers& headers, const std::string& payload);

  Result<bus::Event> Ensure(OpId op, const std::vector<StreamConfig>& configs);
  Result<void> EnsureOne(const StreamConfig& config);
  // kPrecondition: a stream of another name takes one of the subjects.
  [[nodiscard]] Result<void> CheckFree(const std::string& stream,
                                       const std::vector<std::string>& subjects) const;
  SimStream* StreamOf(const std::string& subject);
  SimStream* StreamNamed(const std::string& name);
  [[nodiscard]] StreamState Shown(const SimStream& stream) const;
  // The last message that is to be had; its sequence is at most this.
  [[nodiscard]] std::uint64_t EndFor(const SimStream& stream, Shows what) const;
  void PumpReaders(const std::string& stream);
  void PumpReader(Client& client, SubId sub);
  void FailReader(Client& client, SubId sub, Error error);

  const Clock& clock_;
  Random random_;
  const SimServerOptions options_;
  SimFaults faults_;
  SimFaultsDone faults_done_;
  bool running_ = true;
  std::uint64_t orders_ = 0;
  std::uint64_t events_run_ = 0;
  std::map<EventKey, Event> events_;
  SimClientId client_last_ = 0;
  std::map<SimClientId, std::unique_ptr<Client>> clients_;
  std::map<std::string, SimStream> streams_;
  std::map<std::string, std::uint64_t> shown_ends_;  // by stream, until then
  MonoTime shown_until_{};
  Shows shown_less_of_ = Shows::kEnds;
};

}  // namespace cube::bus
