// The files of a launch: what is written is read back, and no bytes are too odd to be read.
#include <gtest/gtest.h>

#include "services/worker/engine/output_log.h"
#include "services/worker/engine/process/launch_dir.h"
#include "services/worker/engine/process/launch_record.h"
#include "shared/base/random.h"

namespace cube::engine::process {
namespace {

Command ACommand() {
  Command command;
  command.arguments = {"sh", "-c", "echo \"a\nb\\n\"", "", "\xff\xfe"};
  command.environment = {"A=1", "B=x=y", "C=", "D=line\nline"};
  command.workdir = "/var/tmp/with space";
  command.identity = Command::Identity{1000, 100, {100, 27}};
  command.join = {"/sys/fs/cgroup/a/cgroup.procs", "/sys/fs/cgroup/b/cgroup.procs"};
  command.kill_file = "/sys/fs/cgroup/a/cgroup.kill";
  command.oom_file = "/sys/fs/cgroup/a/memory.events";
  return command;
}

TEST(LaunchDirTest, CommandIsReadBack) {
  const auto decoded = DecodeCommand(EncodeCommand(ACommand()));
  ASSERT_TRUE(decoded) << decoded.error().Text();
  EXPECT_EQ(*decoded, ACommand());
  Command small;
  small.arguments = {"true"};
  EXPECT_EQ(DecodeCommand(EncodeCommand(small)), small);
}

TEST(LaunchDirTest, CommandThatIsNotUnderstoodIsNotRun) {
  EXPECT_FALSE(DecodeCommand(""));
  EXPECT_FALSE(DecodeCommand("cube-launch 1\n"));  // no argument
  EXPECT_FALSE(DecodeCommand("cube-launch 2\nargument sh\n"));
  EXPECT_FALSE(DecodeCommand("cube-launch 1\nargument sh\njail yes\n"));
  EXPECT_FALSE(DecodeCommand("cube-launch 1\nargument sh\nuid 5\n"));  // no gid
  EXPECT_FALSE(DecodeCommand("cube-launch 1\nargument sh\nuid -1\ngid 0\n"));
  EXPECT_FALSE(DecodeCommand("cube-launch 1\nargument sh\nuid 4294967296\ngid 0\n"));
  EXPECT_FALSE(DecodeCommand("cube-launch 1\nargument sh"));  // cut off
  EXPECT_FALSE(DecodeCommand("cube-launch 1\nargument a\\qb\n"));
}

TEST(LaunchDirTest, PidIsReadBackAndNeverSomebodyElse) {
  const PidRecord record{"boot-1", {123, 456}, {124, 457}};
  EXPECT_EQ(DecodePid(EncodePid(record)), record);
  for (const int pid : {0, 1, -1}) {
    EXPECT_FALSE(DecodePid(EncodePid({"boot-1", {pid, 1}, {124, 1}})));
    EXPECT_FALSE(DecodePid(EncodePid({"boot-1", {124, 1}, {pid, 1}})));
  }
  EXPECT_FALSE(DecodePid(EncodePid({"", {123, 1}, {124, 1}})));
}

TEST(LaunchDirTest, StatusIsReadBack) {
  for (const auto phase : {Phase::kRunning, Phase::kExited, Phase::kSignaled, Phase::kOutOfMemory,
                           Phase::kStartFailed, Phase::kVanished}) {
    StatusRecord record;
    record.phase = phase;
    record.value = -1;
    record.failure = phase == Phase::kStartFailed ? Code::kNotFound : Code::kInternal;
    record.started_at = WallFromNanos(1'700'000'000'123'456'789);
    record.finished_at = WallFromNanos(1'700'000'001'000'000'000);
    record.detail = "two\nlines and a \\";
    EXPECT_EQ(DecodeStatus(EncodeStatus(record)), record);
  }
  EXPECT_FALSE(DecodeStatus("cube-launch 1\nphase dancing\n"));
  EXPECT_FALSE(DecodeStatus("cube-launch 1\nvalue 1\n"));
  EXPECT_FALSE(DecodeStatus("cube-launch 1\nphase exited\nvalue 99999999999\n"));
}

TEST(LaunchDirTest, StopIsReadBack) {
  for (const StopRequest request :
       {StopRequest{15, 10'000}, StopRequest{64, 0}, StopRequest{1, kGraceMsMax - 1}}) {
    EXPECT_EQ(DecodeStop(EncodeStop(request)), request);
  }
  EXPECT_EQ(DecodeStop(EncodeStop({9, ~0ull}))->grace_ms, kGraceMsMax - 1);
  EXPECT_FALSE(DecodeStop(0));
  EXPECT_FALSE(DecodeStop(65));
  EXPECT_FALSE(DecodeStop(~0ull));
}

TEST(LaunchDirTest, ProcStatWithAnyName) {
  const std::string tail = " S 7 100 99 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 159568 1 2";
  for (const std::string name : {"sh", "a b", "x) S 1 (y", ")", ""}) {
    const auto stat = ParseProcStat("4711 (" + name + ")" + tail);
    ASSERT_TRUE(stat) << name;
    EXPECT_EQ(stat->pid, 4711);
    EXPECT_EQ(stat->state, 'S');
    EXPECT_EQ(stat->parent, 7);
    EXPECT_EQ(stat->session, 99);
    EXPECT_EQ(stat->start_ticks, 159568u);
  }
  for (const char* bad : {"", "4711", "4711 (sh)", "4711 (sh) S 7 100", "x (sh) S 7 1 1", ") ("}) {
    EXPECT_FALSE(ParseProcStat(bad)) << bad;
  }
}

TEST(LaunchDirTest, OomKillsOfBothVersions) {
  EXPECT_EQ(ParseOomKills("low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n"), 1u);
  EXPECT_EQ(ParseOomKills("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"), 2u);
  EXPECT_EQ(ParseOomKills("oom_kill_disable 1\n"), 0u);
  EXPECT_EQ(ParseOomKills(""), 0u);
  EXPECT_EQ(ParseOomKills("oom_kill x"), 0u);
}

LaunchRecord ARecord() {
  LaunchRecord record;
  record.owner = {"cluster1", NodeName::Trusted("node-1")};
  record.key = {TaskId::Trusted("web-1-2"), 3, 4};
  record.placement = {0xfedcba9876543210ULL, 42};
  record.boot_id = "boot";
  record.arguments = {"sh", "\xff"};
  record.ports = {{53, 40000, Protocol::kUdp}, {80, 40001, Protocol::kTcp}};
  record.control_groups = {"/sys/fs/cgroup/cube/node-1/x"};
  return record;
}

TEST(LaunchRecordTest, IsReadBack) {
  const auto record = DecodeRecord(EncodeRecord(ARecord()));
  ASSERT_TRUE(record) << record.error().Text();
  EXPECT_EQ(record->owner.cluster, "cluster1");
  EXPECT_EQ(record->owner.node, ARecord().owner.node);
  EXPECT_EQ(record->key, ARecord().key);
  EXPECT_EQ(record->placement, ARecord().placement);
  EXPECT_EQ(record->ports, ARecord().ports);
  EXPECT_EQ(record->control_groups, ARecord().control_groups);
  EXPECT_EQ(FolderName(record->key), "web-1-2-3-4");
}

TEST(LaunchRecordTest, RefusesWhatIsNotARecord) {
  for (const char* bad : {"", "[]", "null", "{}", "{\"version\":1}", "{\"version\":\"1\"}", "{"}) {
    EXPECT_FALSE(DecodeRecord(bad)) << bad;
  }
  std::string text = EncodeRecord(ARecord());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return DecodeRecord(changed);
  };
  EXPECT_TRUE(with("node-1", "node-2"));
  EXPECT_FALSE(with("web-1-2", "../etc"));
  EXPECT_FALSE(with("40000", "70000"));
  EXPECT_FALSE(with("\"attempt\": 3", "\"attempt\": -3"));
  EXPECT_FALSE(with("\"attempt\": 3", "\"attempt\": 3.5"));
  EXPECT_FALSE(with("\"udp\"", "\"sctp\""));
  EXPECT_FALSE(with("\"version\": 1", "\"version\": 2"));
}

// Random bytes, and right files with a few bytes changed or cut: an answer or an error, never a
// crash.
TEST(LaunchDirTest, AnyBytesMayBeDecoded) {
  const std::string output =
      "2026-01-31T12:00:00.123456789Z stdout F hello\n"
      "2026-01-31T12:00:00.123456789Z stderr P part\n";
  const std::vector<std::string> seeds{EncodeCommand(ACommand()), EncodePid({"b", {2, 3}, {4, 5}}),
                                       EncodeStatus({}), EncodeRecord(ARecord()), output};
  Random random(20260131);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = seeds[random.Below(seeds.size())];
    if (random.Chance(100'000)) bytes.assign(random.Below(200), '\0');
    for (std::uint64_t n = 1 + random.Below(8); n > 0 && !bytes.empty(); --n) {
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
    }
    if (random.Chance(300'000)) bytes.resize(random.Below(bytes.size() + 1));
    (void)DecodeCommand(bytes);
    (void)DecodePid(bytes);
    (void)DecodeStatus(bytes);
    (void)DecodeRecord(bytes);
    (void)ParseProcStat(bytes);
    (void)ParseOomKills(bytes);
    (void)ParseFrame(bytes);
    std::int64_t missing = 0;
    EXPECT_LE(TailOffset(bytes, 1, &missing), bytes.size());
    EXPECT_LE(TailFrames(bytes, 10).size(), 10 * kFramesPerText);
  }
}

}  // namespace
}  // namespace cube::engine::process
