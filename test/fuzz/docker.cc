// What a container engine answers: the Engine API's JSON, and its streams.
#include <algorithm>

#include "services/worker/engine/docker/docker_json.h"
#include "services/worker/engine/docker/log_cursor.h"
#include "services/worker/engine/docker/log_frames.h"
#include "services/worker/engine/docker/usage_reader.h"
#include "shared/base/check.h"
#include "test/fuzz/target.h"
#include "test/support/wire/values.h"

namespace cube::fuzz {
namespace {

namespace docker = engine::docker;

// ---- JSON -------------------------------------------------------------------------------------

constexpr const char* kAnswers[] = {
    R"({"Version":"20.10.24+dfsg1","ApiVersion":"1.41","MinAPIVersion":"1.12","Os":"linux"})",
    R"({"MemoryLimit":true,"CpuCfsQuota":true,"SystemTime":"2026-11-22T19:20:43.601618742Z"})",
    R"({"Id":"b0bb","State":{"Status":"running","Running":true,"OOMKilled":false,"Pid":16553,)"
    R"("ExitCode":0,"Error":"","StartedAt":"2026-11-22T19:21:28.467336665Z","FinishedAt":)"
    R"("0001-01-01T00:00:00Z"},"HostConfig":{"Memory":16777216},"Config":{"Tty":false,)"
    R"("StopSignal":"SIGQUIT","Labels":{"cube.cluster":"c","cube.node":"n","cube.task":"web",)"
    R"("cube.attempt":"3","cube.launch":"2","cube.placement":"77:5"}},"NetworkSettings":{"Ports":)"
    R"({"80/tcp":[{"HostIp":"::","HostPort":"32770"}],"9/tcp":null},"Networks":{"bridge":)"
    R"({"IPAddress":"172.17.0.2"}}}})",
    R"([{"Id":"66f7","Ports":[{"PrivatePort":53,"PublicPort":32768,"Type":"udp"}],"Labels":)"
    R"({"a":"b"},"State":"running"}])",
    R"({"id":"b0bb","Type":"container","Action":"die","Actor":{"ID":"b0bb","Attributes":)"
    R"({"cube.task":"web","exitCode":"137"}},"time":1795375289,"timeNano":1795375289565129578})",
    R"({"status":"Downloading","progressDetail":{"current":540,"total":1200},"id":"5c0e"})",
    R"({"errorDetail":{"code":401,"message":"authentication required"},"error":"no"})",
    R"({"Running":false,"ExitCode":126,"Pid":77})",
    R"({"Name":"bridge","Driver":"bridge","Labels":{"cube.cluster":"c"}})",
    R"({"cpu_stats":{"cpu_usage":{"total_usage":100}},"memory_stats":{"usage":4096,"stats":)"
    R"({"inactive_file":96}},"networks":{"eth0":{"rx_bytes":1,"tx_bytes":2}}})",
    R"({"message":"no such container"})"};

template <class T>
void CheckAnswer(const Result<T>& answer) {
  if (!answer) CheckError(answer.error());
}

void CheckContainer(std::string_view body) {
  const auto container = docker::DecodeContainer(body);
  if (!container) return CheckError(container.error());
  const engine::Owner owner{"c", NodeName::Trusted("n")};
  if (const auto identity = docker::IdentityOf(container->labels, owner)) {
    // Only what is wholly ours is touched.
    CUBE_CHECK(container->labels.at(std::string(docker::kLabelCluster)) == "c");
    CUBE_CHECK(identity->key.attempt > 0);
    const engine::LaunchStatus status = docker::StatusOf(*container, *identity);
    CUBE_CHECK(std::ranges::is_sorted(status.ports));
  }
}

void RunJson(std::string_view body) {
  if (const auto version = docker::DecodeVersion(body); version) {
    CheckAnswer(docker::NegotiateVersion(*version, ""));
  } else {
    CheckError(version.error());
  }
  CheckAnswer(docker::ParseApiVersion(body));
  CheckAnswer(docker::DecodeInfo(body));
  CheckContainer(body);
  CheckAnswer(docker::DecodeContainerList(body));
  CheckAnswer(docker::DecodeCreated(body));
  CheckAnswer(docker::DecodeExec(body));
  CheckAnswer(docker::DecodeNetwork(body));
  CheckAnswer(docker::DecodeVolume(body));
  CheckAnswer(docker::DecodeEvent(body));
  if (const auto step = docker::DecodePullStep(body)) {
    docker::PullProgress progress;
    progress.Add(*step);
    progress.Add(*step);
    CUBE_CHECK(progress.Text().size() < 4096);
  } else {
    CheckError(step.error());
  }
  CUBE_CHECK(docker::DecodeErrorText(body).size() <= 1024);
  (void)docker::DecodeStats(body);
}

CUBE_FUZZ_TARGET(
    docker_json,
    [](Random& random) -> std::string { return kAnswers[random.Below(std::size(kAnswers))]; },
    &RunJson);

// ---- streams: "<size of a piece><how><bytes>"
// ----------------------------------------------------

std::string FramesSeed(Random& random) {
  std::string bytes;
  bytes += static_cast<char>(1 + random.Below(40));
  bytes += static_cast<char>(random.Below(4));
  for (std::uint64_t i = random.Below(5); i > 0; --i) {
    std::string payload = random.Below(2) == 0 ? "2026-01-31T12:00:00.123456789Z " : "";
    payload += testing::RandomText(random) + '\n';
    bytes += static_cast<char>(1 + random.Below(2));
    bytes.append(6, '\0');
    bytes += static_cast<char>(payload.size());
    bytes += payload;
  }
  return bytes;
}

struct Given {
  std::vector<docker::LogPiece> pieces;
  bool broken = false;
};

Given Feed(std::string_view bytes, std::size_t step, docker::LogFrames::Format format,
           bool timestamps) {
  docker::LogFrames frames(format, timestamps);
  Given given;
  const auto take = [&](docker::LogPiece piece) {
    CUBE_CHECK(!piece.bytes.empty() && piece.bytes.size() <= docker::LogFrames::kPieceBytesMax);
    given.pieces.push_back(std::move(piece));
  };
  for (; !bytes.empty() && !given.broken; bytes.remove_prefix(std::min(step, bytes.size()))) {
    given.broken = !frames.Add(bytes.substr(0, step), take).has_value();
  }
  if (!given.broken) frames.Finish(take);
  return given;
}

void RunFrames(std::string_view bytes) {
  if (bytes.size() < 2) return;
  const auto step = std::max<std::size_t>(static_cast<unsigned char>(bytes[0]), 1);
  const auto format =
      (bytes[1] & 1) == 0 ? docker::LogFrames::Format::kFrames : docker::LogFrames::Format::kRaw;
  const bool timestamps = (bytes[1] & 2) != 0;
  bytes.remove_prefix(2);
  // However the stream is cut, the same comes out.
  const Given whole = Feed(bytes, bytes.size() + 1, format, timestamps);
  const Given parts = Feed(bytes, step, format, timestamps);
  CUBE_CHECK(whole.broken == parts.broken && whole.pieces.size() == parts.pieces.size());
  docker::LogCursor cursor;
  (void)cursor.BeginFirst(docker::LogCursor::kAll);
  for (std::size_t i = 0; i < whole.pieces.size(); ++i) {
    const docker::LogPiece& piece = whole.pieces[i];
    CUBE_CHECK(piece.bytes == parts.pieces[i].bytes && piece.time == parts.pieces[i].time &&
               piece.is_stderr == parts.pieces[i].is_stderr);
    (void)cursor.Look(piece);
  }
  (void)cursor.Finish();
  docker::LineBuffer lines;
  (void)lines.Add(bytes, [](std::string_view line) {
    CUBE_CHECK(!line.empty() && line.find('\n') == std::string_view::npos);
  });
}

CUBE_FUZZ_TARGET(docker_frames, &FramesSeed, &RunFrames);

}  // namespace
}  // namespace cube::fuzz
