// JetStream's JSON, both ways. Configurations are changed on the server's own JSON, so that fields
// this program does not know survive an update. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/bus/bus.h"
#include "shared/bus/nats_handles.h"

namespace cube::bus {

// Numbers of JetStream's errors (server/errors.json of nats-server).
inline constexpr int kJsNoMessageFound = 10037;
inline constexpr int kJsNotForAccount = 10039;
inline constexpr int kJsStreamNameInUse = 10058;
inline constexpr int kJsStreamNotFound = 10059;
inline constexpr int kJsSubjectsOverlap = 10065;

struct PubAck {
  std::string stream;
  std::uint64_t seq = 0;
  bool duplicate = false;
};
// The answer to an append.
[[nodiscard]] Result<PubAck> ParsePubAck(std::string_view json, std::string_view subject);

// The error of an API answer, if it has one. `number` gets JetStream's err_code, if asked for.
[[nodiscard]] std::optional<Error> ApiError(std::string_view json, std::string_view what,
                                            int* number = nullptr);

struct StreamAnswer {
  StreamState state;
  bool rolling = false;  // sequences fall out by design: newest of each subject, or by age
  std::string config;    // the server's JSON
};
[[nodiscard]] Result<StreamAnswer> ParseStreamInfo(std::string_view json);
// Whether the answer is of a stream that has no creation time yet.
[[nodiscard]] bool IsBeingMade(std::string_view json);

[[nodiscard]] std::string CreateStreamJson(const StreamConfig& config);
// Compares what is there with what is wanted. -> the JSON to update with, nullopt if nothing has to
// be done, or kPrecondition naming stream, setting, both values and the remedy.
[[nodiscard]] Result<std::optional<std::string>> UpdateStreamJson(const StreamConfig& want,
                                                                  std::string_view have);

// Purges up to a sequence, that one included. It must be in the stream, see NatsCore::Purge.
[[nodiscard]] std::string PurgeJson(std::uint64_t up_to_seq);

struct ConsumerSpec {
  std::string stream;
  std::string name;
  std::uint64_t from_seq = 1;
};
[[nodiscard]] std::string CreateConsumerJson(const ConsumerSpec& spec);
[[nodiscard]] std::string PullJson(std::uint64_t batch, Duration expires, Duration idle_heartbeat);

[[nodiscard]] std::string GetBySeqJson(std::uint64_t seq);
[[nodiscard]] std::string GetLastJson(std::string_view subject);
// The answer to $JS.API.DIRECT.GET (a message with headers) and to $JS.API.STREAM.MSG.GET (JSON).
// nullopt = no such message.
[[nodiscard]] Result<std::optional<StreamMessage>> ParseDirectGet(Incoming in);
[[nodiscard]] Result<std::optional<StreamMessage>> ParseMsgGet(std::string_view json,
                                                               const std::string& stream);

// What "$JS.ACK..." on a message of a consumer says; both known forms. nullopt if it is neither.
struct Delivery {
  std::string_view stream;
  std::string_view consumer;
  std::uint64_t stream_seq = 0;
  std::uint64_t consumer_seq = 0;
  std::int64_t time_ns = 0;
  std::uint64_t pending = 0;  // messages behind it that the consumer has not been sent
};
[[nodiscard]] std::optional<Delivery> ParseDelivery(std::string_view reply);

}  // namespace cube::bus
