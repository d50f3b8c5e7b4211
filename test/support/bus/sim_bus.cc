#include "test/support/bus/sim_bus.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "shared/bus/reply.h"

namespace cube::bus {
namespace {

Error NoStream(const std::string& stream) {
  return Error{Code::kNotFound, fmt::format("stream {} does not exist", stream), {}};
}

}  // namespace

SimBus::SimBus(SimServer& server, std::string name, Sink sink)
    : server_(server), id_(server.Join(std::move(name), std::move(sink))) {}
SimBus::~SimBus() { server_.Leave(id_); }

bool SimBus::connected() const { return server_.connected(id_); }

void SimBus::EnsureStreams(OpId op, std::vector<StreamConfig> configs) {
  server_.Ask(id_, op, [server = &server_, op, configs = std::move(configs)] {
    return server->Ensure(op, configs);
  });
}

void SimBus::Append(AppendRequest request) { server_.Append(id_, std::move(request)); }

void SimBus::Publish(std::string subject, Headers headers, std::string payload) {
  if (!PublishableSubject(subject)) {
    ++publishes_refused_;
    return;
  }
  server_.Publish(id_, std::move(subject), std::move(headers), std::move(payload));
}

void SimBus::Request(OpId op, std::string subject, Headers headers, std::string payload,
                     Duration timeout) {
  server_.Request(id_, op, std::move(subject), std::move(headers), std::move(payload), timeout);
}

void SimBus::Subscribe(SubId id, std::string subject, std::string queue_group) {
  server_.Subscribe(id_, id, std::move(subject), std::move(queue_group));
}
void SimBus::Unsubscribe(SubId id) { server_.Unsubscribe(id_, id); }

void SimBus::OpenReader(SubId id, std::string stream, std::uint64_t from_seq) {
  server_.OpenReader(id_, id, std::move(stream), from_seq);
}
void SimBus::Pull(SubId id, std::uint32_t messages) { server_.Pull(id_, id, messages); }
void SimBus::CloseReader(SubId id) { server_.CloseReader(id_, id); }

void SimBus::Get(OpId op, std::string stream, std::uint64_t seq) {
  server_.Ask(id_, op, [server = &server_, op, stream = std::move(stream), seq]() -> Result<Event> {
    const SimStream* s = server->StreamNamed(stream);
    if (s == nullptr) return std::unexpected(NoStream(stream));
    const bool shown = seq <= server->EndFor(*s, SimServer::Shows::kAll);
    const StreamMessage* m = shown ? s->Find(seq) : nullptr;
    return Got{op, m == nullptr ? std::nullopt : std::optional(*m)};
  });
}

void SimBus::GetLast(OpId op, std::string stream, std::string subject) {
  server_.Ask(id_, op,
              [server = &server_, op, stream = std::move(stream),
               subject = std::move(subject)]() -> Result<Event> {
                const SimStream* s = server->StreamNamed(stream);
                if (s == nullptr) return std::unexpected(NoStream(stream));
                const StreamMessage* m =
                    s->FindLast(subject, server->EndFor(*s, SimServer::Shows::kAll));
                return Got{op, m == nullptr ? std::nullopt : std::optional(*m)};
              });
}

void SimBus::GetState(OpId op, std::string stream) {
  server_.Ask(id_, op, [server = &server_, op, stream = std::move(stream)]() -> Result<Event> {
    const SimStream* s = server->StreamNamed(stream);
    if (s == nullptr) return std::unexpected(NoStream(stream));
    return GotState{op, server->Shown(*s)};
  });
}

void SimBus::Purge(OpId op, std::string stream, std::uint64_t up_to_seq) {
  server_.Ask(
      id_, op,
      [server = &server_, op, stream = std::move(stream), up_to_seq]() -> Result<Event> {
        const SimStream* s = server->StreamNamed(stream);
        if (s == nullptr) return std::unexpected(NoStream(stream));
        server->Purge(stream, std::min(up_to_seq, s->State().last_seq) + 1);
        return Done{op};
      },
      SimServer::OpKind::kRequest);
}

}  // namespace cube::bus
