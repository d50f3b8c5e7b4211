// SimBus: one client of a SimServer, the twin of NatsBus. Events reach the sink from within
// SimServer::Step(), never from within a call of the Bus.
#pragma once

#include <string>
#include <vector>

#include "test/support/bus/sim_server.h"

namespace cube::bus {

class SimBus final : public Bus {
 public:
  // Connects; the server must outlive it. `name` is for reading traces. Destroying it is what a
  // killed process does: what is on its way to the server may still arrive.
  SimBus(SimServer& server, std::string name, Sink sink);
  ~SimBus() override;
  SimBus(const SimBus&) = delete;
  SimBus& operator=(const SimBus&) = delete;

  // For SimServer::Disconnect.
  [[nodiscard]] SimClientId client() const { return id_; }
  [[nodiscard]] bool connected() const;
  // Publishes refused because their subject is somebody's API (see shared/bus/reply.h).
  [[nodiscard]] std::uint64_t publishes_refused() const { return publishes_refused_; }

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
  SimServer& server_;
  SimClientId id_;
  std::uint64_t publishes_refused_ = 0;
};

}  // namespace cube::bus
