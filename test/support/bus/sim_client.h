// What a SimServer knows of one client. Only for sim_server*.cc.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "test/support/bus/sim_server.h"

namespace cube::bus {

struct SimSubscription {
  std::string subject;
  std::string queue_group;
};

struct SimServer::Reader {
  std::string stream;
  std::uint64_t generation = 0;  // opening again under the same id makes what is on its way stale
  std::uint64_t next = 1;        // first sequence that the client has not been given
  std::uint64_t next_sent = 1;   // first sequence that is not on its way
  std::uint64_t credit = 0;      // messages the client may still be given
  std::uint64_t sent = 0;        // of these, on their way
  bool checked = false;          // the stream was there, and the start not purged

  // The connection broke: what was on its way never comes.
  void BackTo(std::uint64_t seq) {
    next_sent = seq;
    sent = 0;
    checked = false;
  }
};

struct SimPendingOp {
  SimServer::OpKind kind{};
  std::uint64_t order = 0;
};

struct SimServer::Client {
  SimClientId id = 0;
  std::string name;
  Sink sink;
  bool connected = false;
  bool was_connected = false;
  std::uint64_t epoch = 1;
  MonoTime up_due;
  MonoTime down_due;
  std::map<SubId, SimSubscription> subscriptions;  // what the client wants
  std::map<SubId, SimSubscription> active;         // what the server knows of
  std::map<SubId, Reader> readers;
  std::uint64_t generation_last = 0;
  std::map<OpId, SimPendingOp> pending;
  std::map<std::uint64_t, OpId> pending_order;
};

}  // namespace cube::bus
