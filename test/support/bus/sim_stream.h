// One JetStream stream in memory, with the semantics measured on nats-server: sequences never
// repeat, expectations are judged on the state at arrival, a full stream refuses (discard new).
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>

#include "shared/base/error.h"
#include "shared/base/time.h"
#include "shared/bus/bus.h"

namespace cube::bus {

class SimStream {
 public:
  SimStream(StreamConfig config, Now created);

  // -> the new message's sequence. kAborted: an expectation failed; kResource: full or too large.
  [[nodiscard]] Result<std::uint64_t> Store(const AppendRequest& request, Now now);
  // Drops what is older than age_max. Every look at the stream begins with it.
  void Expire(MonoTime now);
  void Purge(std::uint64_t before_seq);
  void LoseTail(std::uint64_t last_seq);
  void set_config(StreamConfig config) { config_ = std::move(config); }

  [[nodiscard]] const StreamConfig& config() const { return config_; }
  [[nodiscard]] bool Takes(const std::string& subject) const;
  // Sequences fall out by design: only the newest of each subject is kept, or by age.
  [[nodiscard]] bool rolling() const;
  [[nodiscard]] StreamState State() const;
  [[nodiscard]] const std::map<std::uint64_t, StreamMessage>& messages() const { return messages_; }
  [[nodiscard]] const StreamMessage* Find(std::uint64_t seq) const;
  // Of those up to `last_seq`.
  [[nodiscard]] const StreamMessage* FindLast(
      const std::string& subject,
      std::uint64_t last_seq = std::numeric_limits<std::uint64_t>::max()) const;
  // The first message at or after seq.
  [[nodiscard]] const StreamMessage* FindFrom(std::uint64_t seq) const;

 private:
  void Remove(std::uint64_t seq);

  StreamConfig config_;
  WallTime created_;
  std::uint64_t last_seq_ = 0;
  std::uint64_t first_seq_ = 1;  // of an empty stream: last_seq_ + 1
  std::uint64_t bytes_ = 0;
  std::map<std::uint64_t, StreamMessage> messages_;
  std::map<std::uint64_t, MonoTime> stored_at_;
  std::map<std::string, std::map<std::uint64_t, bool>> by_subject_;
};

// NATS subject matching: '*' stands for one token, '>' for one or more at the end.
[[nodiscard]] bool SubjectMatches(const std::string& pattern, const std::string& subject);

}  // namespace cube::bus
