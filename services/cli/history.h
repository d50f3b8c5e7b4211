// Reading the log itself: the three streams by pipelined direct gets, merged into the one order in
// which every reader folds them. Needs no manager.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "services/cli/client.h"
#include "services/cli/event_merge.h"
#include "services/cli/log_items.h"

namespace cube::cli {

class History {
 public:
  using Visit = std::function<void(const LogItem&)>;

  // From the first message that is still there.
  [[nodiscard]] static Result<History> FromBeginning(Client& client);
  // From the first decision stored at that time or later.
  [[nodiscard]] static Result<History> Since(Client& client, WallTime time);
  // The newest so many decisions, with the intents and facts between them.
  [[nodiscard]] static Result<History> Tail(Client& client, std::uint64_t decisions);

  // What is in the streams now and was not visited before, in order. last: nothing will be read
  // after this, so what no decision covers yet comes too, by the server's time.
  [[nodiscard]] Result<void> ReadOn(bool last, const Visit& visit);
  // Something has been read that waits for its place.
  [[nodiscard]] bool waiting() const { return !merger_.empty(); }
  // Gives up waiting for the place: what is left comes by the server's time.
  void Flush(const Visit& visit) { Emit(merger_.TakeAll(), visit); }

 private:
  struct Ends {
    bus::StreamState intents;
    bus::StreamState facts;
    bus::StreamState decisions;
  };
  History(Client& client, std::uint64_t intents, std::uint64_t facts, std::uint64_t decisions)
      : client_(&client),
        merger_(intents, facts),
        intents_next_(intents),
        facts_next_(facts),
        decisions_next_(decisions) {}
  [[nodiscard]] static Result<Ends> ReadEnds(Client& client);
  // Begins before decision `first`, with what the one before it had not covered.
  [[nodiscard]] static Result<History> From(Client& client, const Ends& ends, std::uint64_t first);
  [[nodiscard]] Result<void> ReadStream(Source source, std::uint64_t& next, std::uint64_t last,
                                        DecisionOrder* highest);
  void Emit(const std::vector<LogEntry>& entries, const Visit& visit);

  Client* client_;
  EventMerger merger_;
  std::uint64_t intents_next_;
  std::uint64_t facts_next_;
  std::uint64_t decisions_next_;
  std::uint64_t payload_last_ = 0;
  std::map<std::uint64_t, std::vector<LogItem>> items_;  // by LogEntry::payload
};

// The items of the newest decisions and what belongs to them.
[[nodiscard]] Result<std::vector<LogItem>> ReadTail(Client& client, std::uint64_t decisions);

}  // namespace cube::cli
