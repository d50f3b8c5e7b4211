// The Bus port: everything a service may ask of NATS and JetStream. Calls start an operation and
// return at once; what comes of it arrives later as a bus::Event at the sink that the bus was made
// with. NatsBus is the real one, SimBus (test/support) the twin; both pass the contract test in
// test/support/bus/contract.h.
//
// Threads: calls may come from one thread; the sink is called from the bus's own threads or from
// within a call (NatsBus), or from within SimServer::Step (SimBus), one call at a time. So it only
// puts the event into an inbox.
//
// Loss: core messages (Publish, Send/Reply, subscriptions) may be lost or doubled. An append is
// acknowledged, refused, or its outcome is unknown (kTimedOut): then the caller must read the log.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/time.h"

namespace cube::bus {

using Headers = std::map<std::string, std::string>;

// Chosen by the caller, unique among its operations in flight; comes back in the completion.
using OpId = std::uint64_t;
// Chosen by the caller; names a subscription or a reader in later events.
using SubId = std::uint64_t;

// How a stream must be. Everything else is the server's default.
struct StreamConfig {
  std::string name;
  std::vector<std::string> subjects;
  std::int64_t bytes_max = -1;                 // -1 = no limit; full: appends are refused
  std::int64_t messages_per_subject_max = -1;  // 1 = keep only the newest of each subject
  Duration age_max{0};                         // 0 = kept for ever
  std::int32_t message_bytes_max = -1;         // -1 = the server's max_payload
  bool deny_delete = false;
  std::int32_t replicas = 1;
  // One line for people (`nats stream ls`), at most 4 KiB. Set where there is none; words that are
  // there already stay, whoever wrote them.
  std::string description = {};
};

struct StreamState {
  std::string name;
  WallTime created;  // changes when a stream is deleted and made again
  std::uint64_t first_seq = 0;
  std::uint64_t last_seq = 0;
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::int64_t bytes_max = -1;  // -1 = no limit
  std::int32_t replicas = 1;
};

// A message of a stream. Sequences start at 1 and have gaps only where something was purged.
struct StreamMessage {
  std::string stream;
  std::uint64_t seq = 0;
  WallTime time;  // the server's stamp
  std::string subject;
  Headers headers;
  std::string payload;
};

struct AppendRequest {
  OpId op = 0;
  std::string subject;  // decides the stream
  Headers headers;
  std::string payload;
  std::optional<std::uint64_t> expected_last_seq;          // fence: the stream's last sequence
  std::optional<std::uint64_t> expected_last_subject_seq;  // 0 = the subject has no message
  Duration timeout = std::chrono::seconds(5);
};

// ---- events -------------------------------------------------------------------------------

struct Connected {
  std::string server_version;    // "2.9.10"
  std::int64_t max_payload = 0;  // bytes
  bool first = false;            // false: a reconnect; subscriptions are in place again
};
// Also told once if the very first attempt fails. Ends what is in flight: AppendFailed with
// kTimedOut, OpFailed.
struct Disconnected {
  std::string reason;
};
// The connection is gone for good (authorization, closed by us); the bus must be made anew.
struct Closed {
  Error error;
};
struct Appended {
  OpId op = 0;
  std::string stream;
  std::uint64_t seq = 0;
  bool duplicate = false;
};
// kAborted: an expected sequence did not match; kResource: stream full or message too large;
// kNotFound: no stream takes the subject; kTimedOut: outcome unknown; kUnavailable: not sent.
struct AppendFailed {
  OpId op = 0;
  Error error;
};
// A core message on one of our subscriptions, or a request (reply_to not empty).
struct Message {
  SubId subscription = 0;
  std::string subject;
  std::string reply_to;
  Headers headers;
  std::string payload;
};
// The next message of a reader, in stream order without gaps or repeats.
struct Read {
  SubId reader = 0;
  StreamMessage message;
  std::uint64_t behind = 0;  // messages that the stream had behind it when the server sent it
};
// A reader cannot go on (stream missing or deleted, next sequence purged = kDataLoss). It is
// closed. Told when it begins (also anew, after a reconnect), else with the next message that it
// could have been given. Streams that lose sequences by design (newest of each subject, age) have
// no kDataLoss: they are read from the first that is there.
struct ReadFailed {
  SubId reader = 0;
  Error error;
};
// The answer to Get*, nullopt = no such message.
struct Got {
  OpId op = 0;
  std::optional<StreamMessage> message;
};
struct GotState {
  OpId op = 0;
  StreamState state;
};
struct StreamsReady {
  OpId op = 0;
};
// Purge has taken effect.
struct Done {
  OpId op = 0;
};
// The answer to a request of ours.
struct Replied {
  OpId op = 0;
  Headers headers;
  std::string payload;
};
// Any of the operations that end in the events above failed.
struct OpFailed {
  OpId op = 0;
  Error error;
};

using Event = std::variant<Connected, Disconnected, Closed, Appended, AppendFailed, Message, Read,
                           ReadFailed, Got, GotState, StreamsReady, Done, Replied, OpFailed>;
// noexcept in spirit: must not throw, must not call the bus, must not block for long.
using Sink = std::function<void(Event)>;

class Bus {
 public:
  virtual ~Bus() = default;

  // Creates the streams, or checks that the existing ones have the same shape and raises their
  // limits where they differ only there (never lowers one; age_max is set as given). ->
  // StreamsReady, or OpFailed: kPrecondition names the stream, the setting and the remedy.
  virtual void EnsureStreams(OpId op, std::vector<StreamConfig> configs) = 0;

  // Publishes durably. -> Appended | AppendFailed, in the order of the calls per stream; only what
  // is refused without being sent (not connected, too large, not a subject) is told at once.
  virtual void Append(AppendRequest request) = 0;

  // Publishes to whoever listens now. Dropped while not connected, if too large, and if the subject
  // is one of the server's own ("$...", see reply.h).
  virtual void Publish(std::string subject, Headers headers, std::string payload) = 0;

  // Core request. -> Replied | OpFailed (kUnavailable: nobody listens; kTimedOut).
  virtual void Request(OpId op, std::string subject, Headers headers, std::string payload,
                       Duration timeout) = 0;

  // Listens on a subject (wildcards allowed), in a queue group if not empty. -> Message...
  // Survives reconnects. Bounded: what does not fit the inbox is dropped, as core NATS does.
  virtual void Subscribe(SubId id, std::string subject, std::string queue_group) = 0;
  virtual void Unsubscribe(SubId id) = 0;

  // Reads a stream from a sequence (>= 1) on, and then what arrives. Nothing is sent before
  // Pull gives credit: one message each. -> Read... | ReadFailed. Survives reconnects and a
  // restart of the server. Opening an id that is open replaces it.
  virtual void OpenReader(SubId id, std::string stream, std::uint64_t from_seq) = 0;
  virtual void Pull(SubId id, std::uint32_t messages) = 0;
  virtual void CloseReader(SubId id) = 0;

  // One stored message by sequence, or the newest of a subject. -> Got | OpFailed.
  virtual void Get(OpId op, std::string stream, std::uint64_t seq) = 0;
  virtual void GetLast(OpId op, std::string stream, std::string subject) = 0;
  // -> GotState | OpFailed (kNotFound).
  virtual void GetState(OpId op, std::string stream) = 0;

  // Removes the messages up to a sequence, that one included; later ones keep their sequences, and
  // what is appended next gets the one after the last, even if nothing is left. Nothing to remove
  // is fine, and so is repeating it. -> Done | OpFailed (kNotFound: no such stream; kTimedOut: the
  // outcome is unknown).
  virtual void Purge(OpId op, std::string stream, std::uint64_t up_to_seq) = 0;
};

}  // namespace cube::bus
