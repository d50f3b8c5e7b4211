// NatsBus: the Bus over NATS, with the C client (3.4.1 or newer). Connects for ever, with a growing
// pause; Closed only if the server refuses our credentials or the options cannot work.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shared/bus/bus.h"
#include "shared/bus/nats_options.h"

namespace cube::bus {

class NatsCore;

// What somebody who uses the options should know, as a sentence; empty = nothing.
[[nodiscard]] std::string WarningOf(const NatsBusOptions& options);

class NatsBus final : public Bus {
 public:
  // Starts connecting at once; the server need not be there yet. Calls may come from several
  // threads, other than a Bus's. The sink is called from several threads, one at a time, until the
  // destructor has returned.
  NatsBus(NatsBusOptions options, Sink sink);
  // What was published has been sent. Takes 2 s at most.
  ~NatsBus() override;
  NatsBus(const NatsBus&) = delete;
  NatsBus& operator=(const NatsBus&) = delete;

  // As Publish, with a subject of our own at which answers are awaited: for streams of answers,
  // where Request takes the first one only.
  void PublishWithReply(std::string subject, std::string reply_to, std::string payload);

  // Publishes dropped since they were too large or their subject not ours to publish to (reply.h).
  [[nodiscard]] std::uint64_t publishes_refused() const;

  void EnsureStreams(OpId op, std::vector<StreamConfig> configs) override;
  void Append(AppendRequest request) override;
  void Publish(std::string subject, Headers headers, std::string payload) override;
  void Request(OpId op, std::string subject, Headers headers, std::string payload,
               Duration timeout) override;
  void Subscribe(SubId id, std::string subject, std::string queue_group) override;
  void Unsubscribe(SubId id) override;
  void OpenReader(SubId id, std::string stream, std::uint64_t from_seq) override;
  void Pull(SubId id, std::uint32_t messages) override;
  void CloseReader(SubId id) override;
  void Get(OpId op, std::string stream, std::uint64_t seq) override;
  void GetLast(OpId op, std::string stream, std::string subject) override;
  void GetState(OpId op, std::string stream) override;
  void Purge(OpId op, std::string stream, std::uint64_t up_to_seq) override;

 private:
  const std::shared_ptr<NatsCore> core_;
};

}  // namespace cube::bus
