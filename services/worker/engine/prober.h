// The Prober port: asks whether a running launch serves. A check is started and returns at once;
// what came of it arrives at the sink that the prober was made with. SocketProber is real,
// SimProber the twin; both pass the contract test in test/support/engine/prober_contract.h.
//
// Threads: calls come from one thread; the sink may be called from the prober's own threads, so it
// only puts the result into an inbox.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "shared/base/time.h"
#include "shared/domain/ids.h"
#include "shared/domain/task_spec.h"

namespace cube::engine {

// Checks under way at one time; more wait for their turn, and their time begins with it. More than
// tasks that a node has by default, so that checks without an answer keep no others waiting.
inline constexpr std::size_t kProbesMax = 1024;
// What a check that failed has to say is one sentence, at most this long.
inline constexpr std::size_t kProbeDetailMax = 256;

struct ProbeRequest {
  std::uint64_t id = 0;
  LaunchKey key;
  HealthCheck::Kind kind = HealthCheck::Kind::kTcp;
  std::string host;                  // kHttp, kTcp: an IP address; empty = it has none, unknown
  std::uint16_t port = 0;            // kHttp, kTcp
  std::string path;                  // kHttp
  std::vector<std::string> command;  // kCommand: runs inside the launch
  Duration timeout{0};
  friend bool operator==(const ProbeRequest&, const ProbeRequest&) = default;
};

struct ProbeResult {
  enum class Outcome : std::uint8_t {
    kPassed,
    kFailed,   // the launch's own doing: refused, too late, another status, exit code
    kUnknown,  // the check could not be made at all: says nothing about the launch
  };
  std::uint64_t id = 0;
  LaunchKey key;
  Outcome outcome = Outcome::kUnknown;
  std::string detail;  // not passed: one sentence, "GET /health: status 500"
  friend bool operator==(const ProbeResult&, const ProbeResult&) = default;
};
using ProbeSink = std::function<void(ProbeResult)>;

class Prober {
 public:
  virtual ~Prober() = default;
  // -> exactly one result, at most `timeout` after the check began; none after the prober's end.
  // One that still waits for its turn is answered as unknown when its launch is asked about again.
  // http: GET over HTTP/1.1; status 200 to 399 passes, redirections are not followed.
  // tcp: a connection that opens passes. command: exit code 0 passes.
  virtual void Start(ProbeRequest request) = 0;
};

}  // namespace cube::engine
