// What the server does with what arrives: streams, routing, readers.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "shared/base/check.h"
#include "shared/bus/reply.h"
#include "test/support/bus/sim_client.h"
#include "test/support/bus/sim_server.h"

namespace cube::bus {
namespace {

// Replies to requests of a client: "_INBOX.<client>.<operation>.<order>".
constexpr std::string_view kInboxPrefix = "_INBOX.";

std::size_t ContentBytes(const Headers& headers, const std::string& payload) {
  std::size_t size = payload.size();
  if (!headers.empty()) size += std::string_view("NATS/1.0\r\n\r\n").size();
  for (const auto& [key, value] : headers) size += key.size() + value.size() + 4;
  return size;
}

Error TooLarge(std::string_view what, std::size_t bytes, std::int64_t max) {
  return Error{Code::kResource,
               fmt::format("{}: {} bytes, the server takes at most {}", what, bytes, max),
               {}};
}

Error Incompatible(const std::string& stream, std::string_view setting, const std::string& have,
                   const std::string& want) {
  return Error{Code::kPrecondition,
               fmt::format("stream {} has {} {}, but {} is needed; change it with `nats stream "
                           "edit`, or use another root name",
                           stream, setting, have, want),
               {}};
}

std::vector<std::string> Sorted(std::vector<std::string> subjects) {
  std::sort(subjects.begin(), subjects.end());
  return subjects;
}

bool Overlap(const std::string& a, const std::string& b) {
  return SubjectMatches(a, b) || SubjectMatches(b, a);
}

}  // namespace

SimStream* SimServer::StreamOf(const std::string& subject) {
  for (auto& [name, stream] : streams_) {
    if (stream.Takes(subject)) return &stream;
  }
  return nullptr;
}

SimStream* SimServer::StreamNamed(const std::string& name) {
  const auto it = streams_.find(name);
  if (it == streams_.end()) return nullptr;
  it->second.Expire(clock_.now().mono);
  return &it->second;
}

const SimStream* SimServer::FindStream(const std::string& name) { return StreamNamed(name); }

std::vector<std::string> SimServer::StreamNames() const {
  std::vector<std::string> names;
  for (const auto& [name, stream] : streams_) names.push_back(name);
  return names;
}

// ---- appending and publishing ----------------------------------------------------------------

void SimServer::Append(SimClientId id, AppendRequest request) {
  Client* client = Find(id);
  const std::size_t bytes = ContentBytes(request.headers, request.payload);
  if (!AppendableSubject(request.subject)) {
    Emit(*client, AppendFailed{request.op, Error{Code::kInvalid,
                                                 fmt::format("append: '{}' is not a subject to "
                                                             "publish to",
                                                             request.subject),
                                                 {}}});
    return;
  }
  if (bytes > static_cast<std::size_t>(options_.max_payload)) {
    Emit(*client, AppendFailed{request.op, TooLarge("append", bytes, options_.max_payload)});
    return;
  }
  if (!client->connected) {
    Emit(*client, AppendFailed{request.op, Error{Code::kUnavailable, "append: not connected", {}}});
    return;
  }
  Begin(*client, request.op, OpKind::kAppend, request.timeout);
  SendUp(*client, [this, id, request = std::move(request)] { ArriveAppend(id, request); });
}

void SimServer::ArriveAppend(SimClientId id, const AppendRequest& request) {
  SimStream* stream = StreamOf(request.subject);
  Route(request.subject, "", request.headers, request.payload);
  if (stream == nullptr) {
    Answer(id, request.op,
           AppendFailed{request.op,
                        Error{Code::kNotFound,
                              fmt::format("append: no stream takes subject {}", request.subject),
                              {}}});
    return;
  }
  AppendRequest stored = request;
  if (request.expected_last_seq) {
    stored.headers["Nats-Expected-Last-Sequence"] = std::to_string(*request.expected_last_seq);
  }
  if (request.expected_last_subject_seq) {
    stored.headers["Nats-Expected-Last-Subject-Sequence"] =
        std::to_string(*request.expected_last_subject_seq);
  }
  const Result<std::uint64_t> seq = stream->Store(stored, clock_.now());
  if (!seq) {
    Answer(id, request.op, AppendFailed{request.op, seq.error()});
    return;
  }
  const std::string name = stream->config().name;
  if (random_.Chance(faults_.ack_lost)) {
    ++faults_done_.acks_lost;
  } else {
    Answer(id, request.op, Appended{request.op, name, *seq});
  }
  PumpReaders(name);
}

void SimServer::Publish(SimClientId id, std::string subject, Headers headers, std::string payload) {
  Client* client = Find(id);
  if (!client->connected) return;
  if (ContentBytes(headers, payload) > static_cast<std::size_t>(options_.max_payload)) return;
  SendUp(*client, [this, subject = std::move(subject), headers = std::move(headers),
                   payload = std::move(payload)] { Ingest(subject, "", headers, payload); });
}

void SimServer::PublishAs(const std::string& subject, const Headers& headers,
                          const std::string& payload) {
  Ingest(subject, "", headers, payload);
}

std::size_t SimServer::Ingest(const std::string& subject, const std::string& reply,
                              const Headers& headers, const std::string& payload) {
  if (RouteReply(subject, headers, payload)) return 1;
  std::size_t receivers = Route(subject, reply, headers, payload);
  if (SimStream* stream = StreamOf(subject); stream != nullptr) {
    ++receivers;
    AppendRequest request;
    request.subject = subject;
    request.headers = headers;
    request.payload = payload;
    const Result<std::uint64_t> seq = stream->Store(request, clock_.now());
    const std::string name = stream->config().name;
    if (!reply.empty()) {
      RouteReply(reply, {},
                 seq ? fmt::format(R"({{"stream":"{}","seq":{}}})", name, *seq)
                     : fmt::format(R"({{"error":{{"code":400,"description":"{}"}}}})",
                                   seq.error().message));
    }
    if (seq) PumpReaders(name);
  }
  return receivers;
}

// To plain subscriptions all, and to one member of each queue group.
std::size_t SimServer::Route(const std::string& subject, const std::string& reply,
                             const Headers& headers, const std::string& payload) {
  struct Receiver {
    SimClientId client;
    SubId sub;
  };
  std::vector<Receiver> plain;
  std::map<std::string, std::vector<Receiver>> groups;
  for (const auto& [id, client] : clients_) {
    if (!client->connected) continue;
    for (const auto& [sub, subscription] : client->active) {
      if (!SubjectMatches(subscription.subject, subject)) continue;
      if (subscription.queue_group.empty()) {
        plain.push_back({id, sub});
      } else {
        groups[subscription.queue_group].push_back({id, sub});
      }
    }
  }
  for (const auto& [group, members] : groups)
    plain.push_back(members[random_.Below(members.size())]);
  for (const Receiver& r : plain) Deliver(*Find(r.client), r.sub, subject, reply, headers, payload);
  return plain.size();
}

void SimServer::Deliver(Client& client, SubId sub, const std::string& subject,
                        const std::string& reply, const Headers& headers,
                        const std::string& payload) {
  if (random_.Chance(faults_.message_lost)) {
    ++faults_done_.messages_lost;
    return;
  }
  const int copies = random_.Chance(faults_.message_doubled) ? 2 : 1;
  if (copies == 2) ++faults_done_.messages_doubled;
  for (int i = 0; i < copies; ++i) {
    SendDown(client, [this, id = client.id,
                      message = Message{sub, subject, reply, headers, payload}]() mutable {
      Client* c = Find(id);
      if (c != nullptr && c->subscriptions.contains(message.subscription)) {
        c->sink(std::move(message));
      }
    });
  }
}

// ---- requests -----------------------------------------------------------------------------------

void SimServer::Request(SimClientId id, OpId op, std::string subject, Headers headers,
                        std::string payload, Duration timeout) {
  Client* client = Find(id);
  const std::size_t bytes = ContentBytes(headers, payload);
  if (!PublishableSubject(subject)) {
    Emit(*client,
         OpFailed{op, Error{Code::kInvalid,
                            fmt::format("request: '{}' is not a subject to publish to", subject),
                            {}}});
    return;
  }
  if (bytes > static_cast<std::size_t>(options_.max_payload)) {
    Emit(*client, OpFailed{op, TooLarge("request", bytes, options_.max_payload)});
    return;
  }
  if (!client->connected) {
    Emit(*client, OpFailed{op, Error{Code::kUnavailable, "request: not connected", {}}});
    return;
  }
  Begin(*client, op, OpKind::kRequest, timeout);
  SendUp(*client,
         [this, id, op, subject = std::move(subject), headers = std::move(headers),
          payload = std::move(payload)] { ArriveRequest(id, op, subject, headers, payload); });
}

void SimServer::ArriveRequest(SimClientId id, OpId op, const std::string& subject,
                              const Headers& headers, const std::string& payload) {
  const Client* client = Find(id);
  std::uint64_t order = 0;
  if (client != nullptr) {
    const auto it = client->pending.find(op);
    if (it != client->pending.end()) order = it->second.order;
  }
  const std::string reply = fmt::format("{}{}.{}.{}", kInboxPrefix, id, op, order);
  if (Ingest(subject, reply, headers, payload) == 0) {
    Answer(id, op,
           OpFailed{op, Error{Code::kUnavailable,
                              fmt::format("request: nobody listens on {}", subject),
                              {}}});
  }
}

bool SimServer::RouteReply(const std::string& subject, const Headers& headers,
                           const std::string& payload) {
  if (!subject.starts_with(kInboxPrefix)) return false;
  std::array<std::uint64_t, 3> parts{};
  const char* at = subject.data() + kInboxPrefix.size();
  const char* const end = subject.data() + subject.size();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto [rest, error] = std::from_chars(at, end, parts[i]);
    if (error != std::errc{}) return false;  // an inbox that somebody subscribed to by himself
    if (i + 1 < parts.size() ? (rest == end || *rest != '.') : rest != end) return false;
    at = rest + 1;
  }
  const Client* client = Find(parts[0]);
  if (client == nullptr) return true;
  const auto it = client->pending.find(parts[1]);
  if (it == client->pending.end() || it->second.order != parts[2]) return true;
  if (random_.Chance(faults_.message_lost)) {
    ++faults_done_.messages_lost;
    return true;
  }
  Answer(parts[0], parts[1], Replied{parts[1], headers, payload});
  return true;
}

// ---- streams ------------------------------------------------------------------------------------

Result<bus::Event> SimServer::Ensure(OpId op, const std::vector<StreamConfig>& configs) {
  for (const StreamConfig& config : configs) CUBE_TRY_VOID(EnsureOne(config));
  return StreamsReady{op};
}

Result<void> SimServer::EnsureOne(const StreamConfig& config) {
  const auto it = streams_.find(config.name);
  if (it == streams_.end()) {
    CUBE_TRY_VOID(CheckFree(config.name, config.subjects));
    streams_.emplace(config.name, SimStream(config, clock_.now()));
    return {};
  }
  StreamConfig merged = it->second.config();
  if (Sorted(merged.subjects) != Sorted(config.subjects)) {
    return std::unexpected(Incompatible(config.name, "subjects",
                                        fmt::format("[{}]", fmt::join(merged.subjects, ", ")),
                                        fmt::format("[{}]", fmt::join(config.subjects, ", "))));
  }
  if (merged.messages_per_subject_max != config.messages_per_subject_max) {
    return std::unexpected(Incompatible(config.name, "max_msgs_per_subject",
                                        std::to_string(merged.messages_per_subject_max),
                                        std::to_string(config.messages_per_subject_max)));
  }
  if (merged.deny_delete != config.deny_delete) {
    return std::unexpected(Incompatible(config.name, "deny_delete",
                                        merged.deny_delete ? "true" : "false",
                                        config.deny_delete ? "true" : "false"));
  }
  const auto raise = [](auto have, auto want) {
    return have < 0 || want < 0 ? decltype(have){-1} : std::max(have, want);
  };
  merged.bytes_max = raise(merged.bytes_max, config.bytes_max);
  merged.message_bytes_max = raise(merged.message_bytes_max, config.message_bytes_max);
  merged.replicas = std::max(merged.replicas, config.replicas);
  merged.age_max = config.age_max;
  if (merged.description.empty()) merged.description = config.description;
  it->second.set_config(std::move(merged));
  return {};
}

Result<void> SimServer::CheckFree(const std::string& stream,
                                  const std::vector<std::string>& subjects) const {
  for (const auto& [name, other] : streams_) {
    if (name == stream) continue;
    for (const auto& a : other.config().subjects) {
      for (const auto& b : subjects) {
        if (!Overlap(a, b)) continue;
        return Fail(Code::kPrecondition,
                    fmt::format("stream {} cannot take {}: stream {} has {}; use another root "
                                "name, or remove that stream",
                                stream, b, name, a));
      }
    }
  }
  return {};
}

void SimServer::Purge(const std::string& stream, std::uint64_t before_seq) {
  if (SimStream* s = StreamNamed(stream)) s->Purge(before_seq);
}

void SimServer::DeleteStream(const std::string& stream) {
  streams_.erase(stream);
  PumpReaders(stream);
}

void SimServer::LoseTail(const std::string& stream, std::uint64_t last_seq) {
  CUBE_CHECK(!running_);
  if (SimStream* s = StreamNamed(stream)) s->LoseTail(last_seq);
}

// ---- readers ------------------------------------------------------------------------------------

void SimServer::OpenReader(SimClientId id, SubId reader, std::string stream,
                           std::uint64_t from_seq) {
  Client* client = Find(id);
  Reader fresh;
  fresh.stream = std::move(stream);
  fresh.generation = ++client->generation_last;
  fresh.next = fresh.next_sent = std::max<std::uint64_t>(from_seq, 1);
  client->readers[reader] = std::move(fresh);
  if (!client->connected) return;
  SendUp(*client, [this, id, reader] {
    if (Client* c = Find(id)) PumpReader(*c, reader);
  });
}

void SimServer::Pull(SimClientId id, SubId reader, std::uint32_t messages) {
  Client* client = Find(id);
  const auto it = client->readers.find(reader);
  if (it == client->readers.end()) return;
  it->second.credit += messages;
  if (!client->connected) return;
  SendUp(*client, [this, id, reader] {
    if (Client* c = Find(id)) PumpReader(*c, reader);
  });
}

void SimServer::CloseReader(SimClientId id, SubId reader) { Find(id)->readers.erase(reader); }

void SimServer::PumpReaders(const std::string& stream) {
  for (auto& [id, client] : clients_) {
    if (!client->connected) continue;
    std::vector<SubId> concerned;
    for (const auto& [sub, reader] : client->readers) {
      if (reader.stream == stream) concerned.push_back(sub);
    }
    for (const SubId sub : concerned) PumpReader(*client, sub);
  }
}

void SimServer::PumpReader(Client& client, SubId sub) {
  const auto it = client.readers.find(sub);
  if (it == client.readers.end() || !client.connected) return;
  Reader& reader = it->second;
  // A look at the stream when the reader begins; after that only what is delivered tells.
  if (reader.checked && reader.sent >= reader.credit) return;
  const SimStream* stream = StreamNamed(reader.stream);
  if (stream == nullptr) {
    FailReader(client, sub,
               Error{Code::kNotFound, fmt::format("stream {} does not exist", reader.stream), {}});
    return;
  }
  const std::uint64_t first = stream->State().first_seq;
  const bool nothing_comes = stream->FindFrom(reader.next_sent) == nullptr;
  if (first > reader.next_sent && !stream->rolling() && !(reader.checked && nothing_comes)) {
    FailReader(client, sub,
               Error{Code::kDataLoss,
                     fmt::format("stream {} begins at {}, but {} was to be read", reader.stream,
                                 first, reader.next_sent),
                     {}});
    return;
  }
  reader.checked = true;
  const std::uint64_t end = EndFor(*stream, Shows::kAll);
  const std::uint64_t last = std::min(end, stream->State().last_seq);
  while (reader.sent < reader.credit) {
    const StreamMessage* message = stream->FindFrom(reader.next_sent);
    if (message == nullptr || message->seq > end) return;
    reader.next_sent = message->seq + 1;
    ++reader.sent;
    SendDown(client, [this, id = client.id, sub, generation = reader.generation,
                      read = Read{sub, *message, last - message->seq}]() mutable {
      Client* c = Find(id);
      if (c == nullptr) return;
      const auto r = c->readers.find(sub);
      if (r == c->readers.end() || r->second.generation != generation) return;
      r->second.next = read.message.seq + 1;
      --r->second.sent;
      --r->second.credit;
      c->sink(std::move(read));
    });
  }
}

void SimServer::FailReader(Client& client, SubId sub, Error error) {
  SendDown(client, [this, id = client.id, sub, generation = client.readers.at(sub).generation,
                    error = std::move(error)] {
    Client* c = Find(id);
    if (c == nullptr) return;
    const auto r = c->readers.find(sub);
    if (r == c->readers.end() || r->second.generation != generation) return;
    c->readers.erase(r);
    c->sink(ReadFailed{sub, error});
  });
}

}  // namespace cube::bus
