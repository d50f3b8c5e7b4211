#include "shared/bus/nats_bus.h"

#include <utility>

#include "shared/bus/nats_core.h"

namespace cube::bus {

NatsBus::NatsBus(NatsBusOptions options, Sink sink)
    : core_(std::make_shared<NatsCore>(std::move(options), std::move(sink))) {
  core_->Start();
}
NatsBus::~NatsBus() { core_->Stop(); }

std::uint64_t NatsBus::publishes_refused() const { return core_->publishes_refused(); }

void NatsBus::EnsureStreams(OpId op, std::vector<StreamConfig> configs) {
  core_->EnsureStreams(op, std::move(configs));
}
void NatsBus::Append(AppendRequest request) { core_->Append(std::move(request)); }
void NatsBus::Publish(std::string subject, Headers headers, std::string payload) {
  core_->Publish(std::move(subject), std::move(headers), std::move(payload));
}

void NatsBus::PublishWithReply(std::string subject, std::string reply_to, std::string payload) {
  core_->PublishWithReply(std::move(subject), std::move(reply_to), std::move(payload));
}
void NatsBus::Request(OpId op, std::string subject, Headers headers, std::string payload,
                      Duration timeout) {
  core_->Request(op, std::move(subject), std::move(headers), std::move(payload), timeout);
}
void NatsBus::Subscribe(SubId id, std::string subject, std::string queue_group) {
  core_->Subscribe(id, std::move(subject), std::move(queue_group));
}
void NatsBus::Unsubscribe(SubId id) { core_->Unsubscribe(id); }
void NatsBus::OpenReader(SubId id, std::string stream, std::uint64_t from_seq) {
  core_->OpenReader(id, std::move(stream), from_seq);
}
void NatsBus::Pull(SubId id, std::uint32_t messages) { core_->Pull(id, messages); }
void NatsBus::CloseReader(SubId id) { core_->CloseReader(id); }
void NatsBus::Get(OpId op, std::string stream, std::uint64_t seq) {
  core_->Get(op, std::move(stream), seq);
}
void NatsBus::GetLast(OpId op, std::string stream, std::string subject) {
  core_->GetLast(op, std::move(stream), std::move(subject));
}
void NatsBus::GetState(OpId op, std::string stream) { core_->GetState(op, std::move(stream)); }
void NatsBus::Purge(OpId op, std::string stream, std::uint64_t up_to_seq) {
  core_->Purge(op, std::move(stream), up_to_seq);
}
}  // namespace cube::bus
