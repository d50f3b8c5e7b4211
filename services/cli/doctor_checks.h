// What `cube doctor` concludes from what it has seen. Pure.
#pragma once

#include <cube/v1/queries.pb.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/time.h"
#include "shared/bus/bus.h"

namespace cube::cli {

// A clock that differs more from the server's is worth a line: times that people read are wrong by
// as much. Nothing else depends on it.
inline constexpr Duration kClockSkewNotice = std::chrono::seconds(2);
// From these shares of its size on a stream is a concern, and a danger.
inline constexpr double kStreamFullNotice = 0.80;
inline constexpr double kStreamFullDanger = 0.90;
static_assert(kStreamFullNotice < kStreamFullDanger);
// A manager that is so many decisions behind the stream's end is not just a round trip late.
inline constexpr std::uint64_t kDecisionsBehindNotice = 1'000;

enum class Level : std::uint8_t { kOk, kWarning, kFailed };
[[nodiscard]] std::string_view LevelName(Level level);  // "ok", "warning", "failed"

struct Finding {
  Level level = Level::kOk;
  std::string check;   // "server", "streams", "leader", ...
  std::string text;    // one sentence
  std::string remedy;  // what to do; empty if nothing
};

// What was seen.
struct DoctorSight {
  std::string server;   // URL without secrets
  std::string version;  // of the server; empty = it did not say
  Duration round_trip{0};

  struct Stream {
    std::string name;
    Result<bus::StreamState> state;
  };
  std::vector<Stream> streams;     // all that Cube needs
  std::string decisions_stream;    // which of them holds the decisions
  std::vector<std::string> sized;  // those whose being full stops something

  Result<v1::QueryReply> cluster = std::unexpected(Error{Code::kUnavailable, "not asked", {}});
  std::vector<v1::NodeView> nodes;

  // Newest heartbeat of a node: when its worker sent it and when the server stored it.
  struct Beat {
    std::string node;
    WallTime sent;
    WallTime stored;
  };
  std::vector<Beat> beats;
};

// In the order in which they are to be read. Never empty.
[[nodiscard]] std::vector<Finding> Diagnose(const DoctorSight& sight);

// True: nothing failed.
[[nodiscard]] bool AllWell(const std::vector<Finding>& findings);

[[nodiscard]] nlohmann::ordered_json ToJson(const std::vector<Finding>& findings);

// "2.9.10" is at least `major`.`minor`; false for what cannot be read.
[[nodiscard]] bool AtLeast(std::string_view version, int major, int minor);

}  // namespace cube::cli
