// What a worker reads on its machine: saved output, records of launches, probes' answers, the
// kernel's files.
#include <algorithm>

#include "services/worker/engine/docker/oom_log.h"
#include "services/worker/engine/output_log.h"
#include "services/worker/engine/probe/http_answer.h"
#include "services/worker/engine/process/launch_plan.h"
#include "services/worker/engine/process/launch_record.h"
#include "services/worker/engine/usage_files.h"
#include "services/worker/saved_output.h"
#include "shared/base/check.h"
#include "test/fuzz/target.h"
#include "test/support/wire/values.h"

namespace cube::fuzz {
namespace {

// ---- frames of output: "<lines><bytes at a time><frames>"
// -----------------------------------------

std::string OutputSeed(Random& random) {
  std::string bytes;
  bytes += static_cast<char>(random.Below(5));
  bytes += static_cast<char>(1 + random.Below(30));
  if (random.Below(4) == 0) bytes += engine::kCutMark;
  for (std::uint64_t i = random.Below(5); i > 0; --i) {
    std::string payload = testing::RandomText(random);
    std::erase(payload, '\n');
    engine::AppendFrame(WallFromNanos(static_cast<std::int64_t>(random.Next() >> 2)),
                        random.Below(2) == 0, random.Below(3) != 0, payload, &bytes);
  }
  return bytes;
}

std::size_t GivenBytes(worker::SavedOutput output, std::int64_t lines, std::size_t step) {
  output.SkipToTail(lines);
  std::size_t given = 0;
  while (const auto piece = output.Next(step)) {
    CUBE_CHECK(piece->bytes.size() <= step);
    given += piece->bytes.size();
  }
  return given;
}

void RunOutput(std::string_view bytes) {
  if (bytes.size() < 2) return;
  const auto lines = static_cast<std::int64_t>(static_cast<signed char>(bytes[0]));
  const auto step = std::max<std::size_t>(static_cast<unsigned char>(bytes[1]), 1);
  bytes.remove_prefix(2);
  // A line that is a frame is written as the same.
  const std::string_view line = bytes.substr(0, bytes.find('\n'));
  if (const auto frame = engine::ParseFrame(line);  // none is from before 1970
      frame && frame->time >= WallTime{} && frame->payload.size() <= engine::kFrameBytesMax) {
    std::string written;
    engine::AppendFrame(frame->time, frame->is_stderr, frame->full, frame->payload, &written);
    const auto again = engine::ParseFrame(std::string_view(written).substr(0, written.size() - 1));
    CUBE_CHECK(again && again->time == frame->time && again->is_stderr == frame->is_stderr &&
               again->full == frame->full && again->payload == frame->payload);
  }
  std::int64_t missing = 0;
  const std::size_t tail = engine::TailOffset(bytes, std::max<std::int64_t>(lines, 0), &missing);
  CUBE_CHECK(tail <= bytes.size() && missing >= 0 && missing <= std::max<std::int64_t>(lines, 0));
  CUBE_CHECK(bytes.ends_with(engine::TailFrames(bytes, step)) ||
             bytes.find(engine::TailFrames(bytes, step)) != std::string_view::npos);
  using Form = worker::SavedOutput::Form;
  for (const Form form : {Form::kFrames, Form::kPlain}) {
    const worker::SavedOutput output(std::string(bytes), form);
    // However it is cut, the same text comes.
    const std::size_t whole = GivenBytes(output, lines, bytes.size() + 64);
    CUBE_CHECK(GivenBytes(output, lines, step) == whole);
    CUBE_CHECK(whole <= bytes.size());
  }
}

CUBE_FUZZ_TARGET(saved_output, &OutputSeed, &RunOutput);

// ---- launch.json --------------------------------------------------------------------------------

std::string RecordSeed(Random& random) {
  engine::process::LaunchRecord record;
  record.owner = {testing::RandomToken(random), NodeName::Trusted(testing::RandomToken(random))};
  record.key = {TaskId::Trusted(testing::RandomToken(random)), 3, 2};
  record.placement = {random.Next(), random.Below(100)};
  record.boot_id = "b";
  record.arguments = {"sh", "-c", testing::RandomText(random)};
  record.ports = {{80, 32768, Protocol::kTcp}, {53, 32769, Protocol::kUdp}};
  record.control_groups = {"/sys/fs/cgroup/cube"};
  return engine::process::EncodeRecord(record);
}

CUBE_FUZZ_TARGET(launch_record, &RecordSeed, [](std::string_view bytes) {
  CheckRoundTrip(bytes, &engine::process::DecodeRecord, &engine::process::EncodeRecord);
});

// ---- small texts of the machine -----------------------------------------------------------------

void RunMachine(std::string_view text) {
  const auto answer = engine::probe::ReadStatusLine(text);
  if (answer.status) CUBE_CHECK(answer.complete && *answer.status >= 0 && *answer.status <= 999);
  CUBE_CHECK(answer.complete || text.size() <= engine::probe::kStatusLineMax);
  (void)engine::ParseGroups(text);
  (void)engine::ParseCounter(text);
  (void)engine::ParseNamed(text, "usage_usec");
  (void)engine::ParseNetDev(text);
  (void)engine::ParseProcessTimes(text);
  (void)engine::docker::IsOomKillOf(text, "b0bbdfac");
  if (const auto number = engine::process::SignalNumber(text); !number) {
    CheckError(number.error());
  } else {
    CUBE_CHECK(*number >= 1 && *number <= 64);
  }
  if (const auto user = engine::process::SplitUser(text); !user) {
    CheckError(user.error());
  } else {
    CUBE_CHECK(!user->user.empty());
  }
}

CUBE_FUZZ_TARGET(
    machine_texts,
    [](Random& random) -> std::string {
      constexpr const char* kTexts[] = {
          "HTTP/1.1 200 OK\r\n",
          "HTTP/1.0 503\r\n",
          "12:cpu,cpuacct:/docker/b0bb\n1:name=systemd:/x\n0::/y\n",
          "123456\n",
          "usage_usec 77\nuser_usec 7\n",
          "Inter-|   Receive\n face |bytes\n    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
          "  eth0: 100 2 3 4 5 6 7 8 200 10 11 12 13 14 15 16\n",
          "77 (a (b) c) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9 1000 25 18446744073709\n",
          "6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/docker/b0bbdfac,task=sh\n",
          "SIGTERM",
          "15",
          "www-data:www-data",
          "1000:1000"};
      return kTexts[random.Below(std::size(kTexts))];
    },
    &RunMachine);

}  // namespace
}  // namespace cube::fuzz
