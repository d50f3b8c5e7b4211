// The links: clients come and go, events travel, connections break. What the server does with
// what arrives is in sim_server_streams.cc.
#include "test/support/bus/sim_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "shared/base/check.h"
#include "shared/bus/reply.h"
#include "test/support/bus/sim_client.h"

namespace cube::bus {

SimServer::SimServer(const Clock& clock, Random random, SimServerOptions options)
    : clock_(clock), random_(random), options_(std::move(options)) {}
SimServer::~SimServer() { CUBE_CHECK(clients_.empty()); }

std::optional<MonoTime> SimServer::NextEventAt() const {
  if (events_.empty()) return std::nullopt;
  return events_.begin()->first.first;
}

bool SimServer::Step() {
  const auto it = events_.begin();
  if (it == events_.end() || it->first.first > clock_.now().mono) return false;
  const Event event = std::move(it->second);
  events_.erase(it);
  ++events_run_;
  if (event.client == 0 || event.orphan) {
    event.run();
    return true;
  }
  Client* client = Find(event.client);
  if (client == nullptr) return true;
  if (event.way != Event::Way::kUp) {
    event.run();
    return true;
  }
  const bool lost = random_.Chance(faults_.connection_lost);
  const bool takes_effect = !lost || random_.Chance(500'000);
  if (takes_effect) event.run();
  client = Find(event.client);
  if (lost && client != nullptr && client->connected) {
    ++faults_done_.connections_lost;
    Break(*client, false);
  }
  return true;
}

std::size_t SimServer::StepDue() {
  std::size_t count = 0;
  while (Step()) ++count;
  return count;
}

SimServer::Client* SimServer::Find(SimClientId id) {
  const auto it = clients_.find(id);
  return it == clients_.end() ? nullptr : it->second.get();
}
const SimServer::Client* SimServer::Find(SimClientId id) const {
  const auto it = clients_.find(id);
  return it == clients_.end() ? nullptr : it->second.get();
}

bool SimServer::connected(SimClientId id) const {
  const Client* client = Find(id);
  return client != nullptr && client->connected;
}

Duration SimServer::Hop() {
  Duration wait = options_.latency;
  if (random_.Chance(faults_.delayed) && faults_.delay_max > Duration{0}) {
    ++faults_done_.hops_delayed;
    wait += Duration(random_.Below(static_cast<std::uint64_t>(faults_.delay_max.count())));
  }
  return wait;
}

void SimServer::Schedule(MonoTime due, Event event) {
  events_.emplace(EventKey{due, ++orders_}, std::move(event));
}

void SimServer::SendUp(Client& client, std::function<void()> run) {
  client.up_due = std::max(client.up_due, clock_.now().mono + Hop());
  Schedule(client.up_due, {client.id, client.epoch, Event::Way::kUp, false, std::move(run)});
}

void SimServer::SendDown(Client& client, std::function<void()> run) {
  if (!client.connected) return;
  client.down_due = std::max(client.down_due, clock_.now().mono + Hop());
  Schedule(client.down_due, {client.id, client.epoch, Event::Way::kDown, false, std::move(run)});
}

void SimServer::Later(Client& client, Duration wait, std::function<void()> run) {
  Schedule(clock_.now().mono + wait,
           {client.id, client.epoch, Event::Way::kLocal, false, std::move(run)});
}

void SimServer::Emit(Client& client, bus::Event event) {
  Later(client, Duration{0}, [this, id = client.id, event = std::move(event)]() mutable {
    if (Client* c = Find(id)) c->sink(std::move(event));
  });
}

SimClientId SimServer::Join(std::string name, Sink sink) {
  const SimClientId id = ++client_last_;
  auto client = std::make_unique<Client>();
  client->id = id;
  client->name = std::move(name);
  client->sink = std::move(sink);
  clients_[id] = std::move(client);
  if (running_) {
    Later(*clients_[id], Hop(), [this, id] {
      if (Client* c = Find(id)) Establish(*c);
    });
  } else {
    Emit(*clients_[id], Disconnected{"the server is not there"});
  }
  return id;
}

void SimServer::Leave(SimClientId id) {
  if (Client* client = Find(id)) {
    DropEvents(id, client->epoch);
    clients_.erase(id);
  }
}

// Of what is on its way to the server a prefix still arrives; all else of the connection is gone.
// Local events (deadlines, refusals) stay with the client.
void SimServer::DropEvents(SimClientId id, std::uint64_t epoch) {
  std::vector<EventKey> up;
  std::vector<EventKey> down;
  for (const auto& [key, event] : events_) {
    if (event.client != id || event.epoch != epoch || event.orphan) continue;
    if (event.way == Event::Way::kUp) up.push_back(key);
    if (event.way == Event::Way::kDown) down.push_back(key);
  }
  for (const EventKey& key : down) events_.erase(key);
  const std::size_t arrive = running_ ? random_.Below(up.size() + 1) : 0;
  for (std::size_t i = 0; i < up.size(); ++i) {
    if (i < arrive) {
      events_[up[i]].orphan = true;
    } else {
      events_.erase(up[i]);
    }
  }
}

void SimServer::Break(Client& client, bool by_server) {
  if (!client.connected) return;
  client.connected = false;
  DropEvents(client.id, client.epoch);
  ++client.epoch;
  for (auto& [id, reader] : client.readers) reader.BackTo(reader.next);
  Emit(client, Disconnected{by_server ? "the server went away" : "the connection was lost"});
  // In the order of the calls, as the acknowledgements would have been.
  for (const auto& [order, op] : client.pending_order) {
    const SimPendingOp& pending = client.pending.at(op);
    switch (pending.kind) {
      case OpKind::kAppend:
        Emit(client, AppendFailed{op, Error{Code::kTimedOut,
                                            "append: the connection was lost before the "
                                            "acknowledgement; read the stream to see",
                                            {}}});
        break;
      case OpKind::kRequest:
        Emit(client, OpFailed{op, Error{Code::kTimedOut,
                                        "request: the connection was lost before the answer",
                                        {}}});
        break;
      case OpKind::kOther:
        Emit(client,
             OpFailed{op,
                      Error{Code::kUnavailable, "the connection was lost before the answer", {}}});
        break;
    }
  }
  client.pending.clear();
  client.pending_order.clear();
  if (!running_) return;
  const auto spread = static_cast<std::uint64_t>(options_.reconnect_spread.count());
  const Duration wait =
      options_.reconnect_after + (spread == 0 ? Duration{0} : Duration(random_.Below(spread)));
  Later(client, wait, [this, id = client.id] {
    if (Client* c = Find(id)) Establish(*c);
  });
}

// The connection stands again (or for the first time), unless the server went away meanwhile.
void SimServer::Establish(Client& client) {
  if (!running_ || client.connected) return;
  client.connected = true;
  ++client.epoch;
  client.up_due = client.down_due = clock_.now().mono;
  const bool first = !client.was_connected;
  client.was_connected = true;
  for (const auto& [id, sub] : client.subscriptions) client.active[id] = sub;
  client.sink(Connected{options_.version, options_.max_payload, first});
  std::vector<SubId> readers;
  for (const auto& [id, reader] : client.readers) readers.push_back(id);
  for (const SubId reader : readers) {
    SendUp(client, [this, id = client.id, reader] {
      if (Client* c = Find(id)) PumpReader(*c, reader);
    });
  }
}

void SimServer::Disconnect(SimClientId id) {
  if (Client* client = Find(id)) Break(*client, false);
}

void SimServer::Stop() {
  if (!running_) return;
  running_ = false;
  for (auto& [id, client] : clients_) Break(*client, true);
  // What was on its way dies with the server.
  std::erase_if(events_, [](const auto& e) { return e.second.orphan; });
}

void SimServer::Start() {
  if (running_) return;
  running_ = true;
  for (auto& [id, client] : clients_) {
    const auto spread = static_cast<std::uint64_t>(options_.reconnect_spread.count());
    const Duration wait =
        options_.reconnect_after + (spread == 0 ? Duration{0} : Duration(random_.Below(spread)));
    Later(*client, wait, [this, cid = id] {
      if (Client* c = Find(cid)) Establish(*c);
    });
  }
}

void SimServer::ShowLess(Duration time, std::uint64_t most, Shows what) {
  shown_until_ = clock_.now().mono + time;
  shown_less_of_ = what;
  for (const auto& [name, stream] : streams_) {
    const StreamState state = stream.State();
    const std::uint64_t less = std::min(random_.Below(most + 1), state.messages);
    if (state.replicas > 1) shown_ends_[name] = state.last_seq - less;
  }
  Schedule(shown_until_, {0, 0, Event::Way::kLocal, false, [this] {
                            for (const std::string& name : StreamNames()) PumpReaders(name);
                          }});
}

std::uint64_t SimServer::EndFor(const SimStream& stream, Shows what) const {
  const auto end = shown_ends_.find(stream.config().name);
  const bool less = clock_.now().mono < shown_until_ && end != shown_ends_.end() &&
                    (what == Shows::kEnds || shown_less_of_ == Shows::kAll);
  return less ? end->second : std::numeric_limits<std::uint64_t>::max();
}

StreamState SimServer::Shown(const SimStream& stream) const {
  StreamState state = stream.State();
  state.last_seq = std::min(state.last_seq, EndFor(stream, Shows::kEnds));
  return state;
}

bool SimServer::Begin(Client& client, OpId op, OpKind kind, Duration timeout) {
  CUBE_CHECK(!client.pending.contains(op));
  const std::uint64_t order = ++orders_;
  client.pending[op] = SimPendingOp{kind, order};
  client.pending_order[order] = op;
  Later(client, timeout, [this, id = client.id, op, order] {
    Client* c = Find(id);
    if (c == nullptr) return;
    const auto it = c->pending.find(op);
    if (it == c->pending.end() || it->second.order != order) return;
    const Error error{Code::kTimedOut, "no answer in time", {}};
    if (it->second.kind == OpKind::kAppend) {
      Finish(id, op, AppendFailed{op, error});
    } else {
      Finish(id, op, OpFailed{op, error});
    }
  });
  return true;
}

void SimServer::Finish(SimClientId id, OpId op, bus::Event event) {
  Client* client = Find(id);
  if (client == nullptr) return;
  const auto it = client->pending.find(op);
  if (it == client->pending.end()) return;
  client->pending_order.erase(it->second.order);
  client->pending.erase(it);
  client->sink(std::move(event));
}

void SimServer::Answer(SimClientId id, OpId op, bus::Event event) {
  Client* client = Find(id);
  if (client == nullptr) return;
  const auto it = client->pending.find(op);
  if (it == client->pending.end()) return;  // an orphan's: nobody waits
  SendDown(*client, [this, id, op, order = it->second.order, event = std::move(event)]() mutable {
    const Client* c = Find(id);
    if (c == nullptr) return;
    const auto pending = c->pending.find(op);
    if (pending == c->pending.end() || pending->second.order != order) return;
    Finish(id, op, std::move(event));
  });
}

void SimServer::Ask(SimClientId id, OpId op, std::function<Result<bus::Event>()> answer,
                    OpKind kind) {
  Client* client = Find(id);
  if (!client->connected) {
    Emit(*client, OpFailed{op, Error{Code::kUnavailable, "not connected", {}}});
    return;
  }
  Begin(*client, op, kind, options_.request_timeout);
  SendUp(*client, [this, id, op, answer = std::move(answer)] {
    for (auto& [name, stream] : streams_) stream.Expire(clock_.now().mono);
    Result<bus::Event> result = answer();
    Answer(id, op, result ? std::move(*result) : bus::Event(OpFailed{op, result.error()}));
  });
}

void SimServer::Subscribe(SimClientId id, SubId sub, std::string subject, std::string queue_group) {
  Client* client = Find(id);
  const SimSubscription subscription{std::move(subject), std::move(queue_group)};
  client->subscriptions[sub] = subscription;
  if (!client->connected) return;
  SendUp(*client, [this, id, sub, subscription] {
    Client* c = Find(id);
    if (c != nullptr && c->subscriptions.contains(sub)) c->active[sub] = subscription;
  });
}

void SimServer::Unsubscribe(SimClientId id, SubId sub) {
  Client* client = Find(id);
  client->subscriptions.erase(sub);
  client->active.erase(sub);
}

}  // namespace cube::bus
