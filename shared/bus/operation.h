// Calls of the Bus port as values: what a loop's step gives back for its shell to do, in order.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "shared/bus/bus.h"

namespace cube::bus {

struct EnsureStreams {
  OpId op = 0;
  std::vector<StreamConfig> configs;
};
struct Append {
  AppendRequest request;
};
struct Publish {
  std::string subject;
  Headers headers;
  std::string payload;
};
struct Subscribe {
  SubId id = 0;
  std::string subject;
  std::string queue_group;
};
struct OpenReader {
  SubId id = 0;
  std::string stream;
  std::uint64_t from_seq = 1;
};
struct Pull {
  SubId id = 0;
  std::uint32_t messages = 0;
};
struct CloseReader {
  SubId id = 0;
};
struct Get {
  OpId op = 0;
  std::string stream;
  std::uint64_t seq = 0;
};
struct GetLast {
  OpId op = 0;
  std::string stream;
  std::string subject;
};
struct GetState {
  OpId op = 0;
  std::string stream;
};
struct Purge {
  OpId op = 0;
  std::string stream;
  std::uint64_t up_to_seq = 0;
};
using Operation = std::variant<EnsureStreams, Append, Publish, Subscribe, OpenReader, Pull,
                               CloseReader, Get, GetLast, GetState, Purge>;

inline void Execute(Bus& bus, Operation operation) {
  struct Visitor {
    Bus& bus;
    void operator()(EnsureStreams& o) const { bus.EnsureStreams(o.op, std::move(o.configs)); }
    void operator()(Append& o) const { bus.Append(std::move(o.request)); }
    void operator()(Publish& o) const {
      bus.Publish(std::move(o.subject), std::move(o.headers), std::move(o.payload));
    }
    void operator()(Subscribe& o) const {
      bus.Subscribe(o.id, std::move(o.subject), std::move(o.queue_group));
    }
    void operator()(OpenReader& o) const { bus.OpenReader(o.id, std::move(o.stream), o.from_seq); }
    void operator()(Pull& o) const { bus.Pull(o.id, o.messages); }
    void operator()(CloseReader& o) const { bus.CloseReader(o.id); }
    void operator()(Get& o) const { bus.Get(o.op, std::move(o.stream), o.seq); }
    void operator()(GetLast& o) const {
      bus.GetLast(o.op, std::move(o.stream), std::move(o.subject));
    }
    void operator()(GetState& o) const { bus.GetState(o.op, std::move(o.stream)); }
    void operator()(Purge& o) const { bus.Purge(o.op, std::move(o.stream), o.up_to_seq); }
  };
  std::visit(Visitor{bus}, operation);
}

}  // namespace cube::bus
