// One reader of a stream: a state machine that does no I/O. It is told what arrives and what time
// it is, and answers with actions. NatsCore carries them out.
//
// Each life of a consumer begins at the next wanted sequence, so whatever is lost, doubled or dies
// on the way (reconnect, restart of the server, consumer gone, a hole in the delivery) is repaired
// by the same step: forget the consumer, look at the stream, make another one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "shared/base/random.h"
#include "shared/base/time.h"
#include "shared/bus/bus.h"
#include "shared/bus/nats_json.h"

namespace cube::bus {

// Messages in one pull request, at most: bounds what the server sends in one go.
inline constexpr std::uint64_t kPullBatchMax = 1000;
// The server ends a pull after this time; then it is repeated.
inline constexpr Duration kPullExpires = std::chrono::seconds(30);
// The server says at this interval that a pull is alive.
inline constexpr Duration kPullHeartbeat = std::chrono::seconds(5);
// Two missed and a half: the pull is dead.
inline constexpr Duration kPullSilenceMax = std::chrono::milliseconds(12'500);
static_assert(kPullSilenceMax > 2 * kPullHeartbeat && kPullExpires >= 2 * kPullHeartbeat);

struct ReaderActions {
  struct AskStream {};
  struct MakeConsumer {
    ConsumerSpec spec;
  };
  struct DropConsumer {
    std::string name;
  };
  struct SendPull {
    std::string consumer;
    std::uint64_t token = 0;
    std::uint64_t batch = 0;
  };
  using Action = std::variant<AskStream, MakeConsumer, DropConsumer, SendPull, Event>;
  std::vector<Action> list;
  bool closed = false;  // ReadFailed is in the list; the reader is to be forgotten
};

class NatsReader {
 public:
  // `consumer_prefix` makes the names of its consumers; unique among all readers everywhere.
  NatsReader(SubId id, std::string stream, std::uint64_t from_seq, std::string consumer_prefix,
             std::uint64_t seed);

  void Up(MonoTime now, ReaderActions& out);  // both connections stand
  void Down();                                // one does not
  void Credit(std::uint32_t messages, MonoTime now, ReaderActions& out);
  void Close(ReaderActions& out);
  // Answers to AskStream and MakeConsumer; `generation` as it was when they were asked.
  void StreamKnown(std::uint64_t generation, const Result<StreamAnswer>& answer, MonoTime now,
                   ReaderActions& out);
  void ConsumerMade(std::uint64_t generation, const Result<void>& made, MonoTime now,
                    ReaderActions& out);
  // A message of our consumer; `take` builds it, called only if it is the next one.
  template <class Take>
  void Delivered(const Delivery& delivery, MonoTime now, ReaderActions& out, Take take) {
    if (Accept(delivery, now, out)) {
      out.list.emplace_back(Event(Read{id_, take(), delivery.pending}));
      Refill(out);
    }
  }
  // What the server says of the pull `token`. pending: header Nats-Pending-Messages, -1 = none.
  void PullStatus(std::uint64_t token, int status, std::int64_t pending, MonoTime now,
                  ReaderActions& out);
  void Tick(MonoTime now, ReaderActions& out);

  [[nodiscard]] MonoTime deadline() const { return deadline_; }  // of Tick; max() = none
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  [[nodiscard]] const std::string& stream() const { return stream_; }
  [[nodiscard]] const std::string& consumer() const { return consumer_; }
  [[nodiscard]] const std::string& tag() const { return consumer_prefix_; }
  [[nodiscard]] std::uint64_t next_seq() const { return next_; }

 private:
  enum class State : std::uint8_t { kDown, kAsking, kMaking, kReading, kWaiting };

  void Begin(ReaderActions& out);                // ask for the stream, then make a consumer
  void Retry(MonoTime now, ReaderActions& out);  // the same, after a growing pause
  void Abandon(ReaderActions& out);              // forget the consumer
  void Fail(Error error, ReaderActions& out);
  bool Accept(const Delivery& delivery, MonoTime now, ReaderActions& out);
  void Refill(ReaderActions& out);
  void Heard(MonoTime now);

  const SubId id_;
  const std::string stream_;
  const std::string consumer_prefix_;
  Random random_;
  State state_ = State::kDown;
  std::uint64_t generation_ = 0;  // of the consumer; answers to older ones are void
  std::string consumer_;
  std::uint64_t next_;              // first sequence the caller has not been given
  std::uint64_t hole_checked_ = 0;  // up to here missing sequences are known to be deleted ones
  bool rolling_ = false;
  std::uint64_t consumer_seq_ = 0;  // of the last delivery
  std::uint64_t credit_ = 0;        // messages the caller may still be given
  std::uint64_t outstanding_ = 0;   // of these, asked for
  std::uint64_t token_last_ = 0;
  std::map<std::uint64_t, std::uint64_t> pulls_;  // token -> batch, those that may still be alive
  Duration pause_{0};
  MonoTime deadline_ = MonoTime::max();
};

}  // namespace cube::bus
