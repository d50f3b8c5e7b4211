// Output of launches: following, rotation, since, and what a limit of memory does.
#include "services/worker/engine/output_log.h"
#include "test/integration/engine/process_test_base.h"

namespace cube::engine {
namespace {

TEST_F(ProcessEngineTest, FollowsLinesAsTheyCome) {
  StartEngine();
  const std::string gate = (fixture_.LaunchesFolder().parent_path() / "gate").string();
  const auto key = Key("slow");
  engine_->Launch(
      Request(key, ProcessFixture::Shell("echo one; until test -e " + gate +
                                         "; do sleep 0.01; done; "
                                         "printf three; echo two >&2; exec sleep 1000")));
  ASSERT_TRUE(recorder_.WaitForState(key, LaunchState::kRunning));
  Follow(1, key);
  ASSERT_TRUE(WaitOutput(1, "one\n"));
  std::ofstream(gate) << "open";
  ASSERT_TRUE(recorder_.WaitUntil([&](const std::vector<Event>& events) {
    return Recorder::OutputOf(events, 1).err == "two\n";
  }));
  engine_->Stop(key, "", std::chrono::seconds(60));
  ASSERT_TRUE(recorder_.WaitFor<LogEnd>());
  // The line that was never ended is not lost.
  EXPECT_EQ(recorder_.OutputOf(1).out, "one\nthree");
  // Every chunk has the time of its lines.
  WallTime last;
  for (const Event& event : recorder_.All()) {
    const auto* chunk = std::get_if<LogChunk>(&event);
    if (chunk == nullptr) continue;
    EXPECT_GT(chunk->time, last);
    last = chunk->time;
  }
}

TEST_F(ProcessEngineTest, SinceAndTail) {
  StartEngine();
  const auto key = Key("since");
  const std::string gate = (fixture_.LaunchesFolder().parent_path() / "gate-").string();
  const std::string wait = "; do sleep 0.01; done; ";
  engine_->Launch(Request(key, ProcessFixture::Shell("for line in a b c d; do until test -e " +
                                                     gate + "$line" + wait + "echo $line; done")));
  ASSERT_TRUE(recorder_.WaitForState(key, LaunchState::kRunning));
  Follow(99, key);
  // One after the other, so that each is read, and gets its time, alone.
  for (const std::string line : {"a", "b", "c", "d"}) {
    std::ofstream(gate + line) << "open";
    ASSERT_TRUE(WaitOutput(99, line + "\n"));
  }
  WaitExit(key);
  std::vector<WallTime> times;
  for (const Event& event : recorder_.All()) {
    if (const auto* chunk = std::get_if<LogChunk>(&event)) times.push_back(chunk->time);
  }
  ASSERT_EQ(times.size(), 4u);
  const auto read = [&](std::uint64_t stream, LogOptions options) {
    engine_->OpenLogs(stream, key, options);
    engine_->LogCredit(stream, 1000);
    EXPECT_TRUE(recorder_.WaitFor<LogEnd>([&](const LogEnd& e) { return e.stream == stream; }));
    return recorder_.OutputOf(stream).out;
  };
  EXPECT_EQ(read(1, {.follow = false, .tail_lines = -1, .since = times[2]}), "c\nd\n");
  EXPECT_EQ(read(2, {.follow = false, .tail_lines = 3, .since = {}}), "b\nc\nd\n");
  EXPECT_EQ(read(3, {.follow = false, .tail_lines = 3, .since = times[3]}), "d\n");
  EXPECT_EQ(read(4, {.follow = false, .tail_lines = 0, .since = {}}), "");
  EXPECT_EQ(read(5, {.follow = true, .tail_lines = 100, .since = {}}), "a\nb\nc\nd\n");
}

// More than two files' worth: bounded on disk, and a reader that keeps up misses nothing.
TEST_F(ProcessEngineTest, OutputIsRotatedUnderAFollower) {
  StartEngine();
  const auto key = Key("talker");
  const std::string gate = (fixture_.LaunchesFolder().parent_path() / "gate").string();
  constexpr int kLines = 200'000;
  engine_->Launch(Request(
      key, ProcessFixture::Shell("until test -e " + gate + "; do sleep 0.01; done; seq -f " +
                                 "'line %07.0f and some more text to make it longer still' 1 " +
                                 std::to_string(kLines))));
  ASSERT_TRUE(recorder_.WaitForState(key, LaunchState::kRunning));
  Follow(1, key);
  std::ofstream(gate) << "open";
  const auto end = recorder_.WaitFor<LogEnd>();
  ASSERT_TRUE(end);
  EXPECT_FALSE(end->error);
  const std::string out = recorder_.OutputOf(1).out;
  const std::size_t line_size = out.find('\n') + 1;
  const auto last = out.rfind("line ");
  EXPECT_EQ(out.substr(last, 12), "line 0200000");
  // In order without repetition; a reader that is overtaken by two rotations may miss a file.
  int before = 0;
  int seen = 0;
  for (std::size_t at = 0; at + line_size <= out.size(); at += line_size, ++seen) {
    const int number = std::stoi(out.substr(at + 5, 7));
    ASSERT_GT(number, before);
    before = number;
  }
  EXPECT_GT(seen, kLines / 3);
  const auto size = [&](const char* file) {
    return std::filesystem::file_size(FolderOf(key) / file);
  };
  EXPECT_GE(size(process::kOldOutputFile), process::kOutputBytesMax);
  EXPECT_LE(size(process::kOldOutputFile), process::kOutputBytesMax + (1u << 20));
  EXPECT_LE(size(process::kOutputFile), process::kOutputBytesMax + (1u << 20));
  // The end of it can be read and saved, over the border of the two files.
  engine_->OpenLogs(2, key, {.follow = false, .tail_lines = 150'000, .since = {}});
  engine_->LogCredit(2, std::size_t{1} << 30);
  ASSERT_TRUE(recorder_.WaitFor<LogEnd>([&](const LogEnd& e) { return e.stream == 2; }));
  EXPECT_EQ(recorder_.OutputOf(2).out, out.substr(out.size() - 150'000 * line_size));
  const std::string saved = (fixture_.LaunchesFolder().parent_path() / "saved").string();
  engine_->Remove(key, saved, 1u << 20);
  ASSERT_TRUE(recorder_.WaitFor<Removed>());
  auto bytes = process::ReadFile(saved, 4u << 20);
  ASSERT_TRUE(bytes);
  ASSERT_TRUE(bytes->starts_with(kCutMark));
  bytes->erase(0, kCutMark.size());
  std::string text;
  for (std::size_t at = 0, next = 0; at < bytes->size(); at = next + 1) {
    next = bytes->find('\n', at);
    ASSERT_NE(next, std::string::npos);
    const auto frame = ParseFrame(std::string_view(*bytes).substr(at, next - at));
    ASSERT_TRUE(frame);
    text.append(frame->payload).push_back('\n');
  }
  EXPECT_TRUE(text == out.substr(out.size() - text.size()));
  EXPECT_LE(text.size(), 1u << 20);
  EXPECT_GT(text.size(), (1u << 20) - line_size);
}

// Two files' worth is there, and that there was more is told, to a reader as in what is saved.
TEST_F(ProcessEngineTest, OutputWhoseBeginningIsGoneSaysSo) {
  StartEngine();
  const auto gaps = [&](const std::string& name, int lines) {
    const auto key = Key(name);
    engine_->Launch(
        Request(key, ProcessFixture::Shell("seq -f '%0999.0f' 1 " + std::to_string(lines))));
    EXPECT_TRUE(recorder_.WaitForState(key, LaunchState::kExited));
    const auto stream = static_cast<std::uint64_t>(lines);
    engine_->OpenLogs(stream, key, {});
    engine_->LogCredit(stream, std::size_t{1} << 30);
    EXPECT_TRUE(recorder_.WaitFor<LogEnd>([&](const LogEnd& e) { return e.stream == stream; }));
    std::vector<LogChunk::Gap> found;
    for (const Event& event : recorder_.All()) {
      const auto* chunk = std::get_if<LogChunk>(&event);
      if (chunk == nullptr || chunk->stream != stream) continue;
      if (chunk->gap != LogChunk::Gap::kNone) found.push_back(chunk->gap);
    }
    return found;
  };
  EXPECT_EQ(gaps("two-files", 15'000), std::vector<LogChunk::Gap>{});
  EXPECT_EQ(gaps("three-files", 25'000), std::vector{LogChunk::Gap::kBeginning});
}

// Only where control groups can be written. Where they cannot, the engine has to say so.
TEST_F(ProcessEngineTest, MemoryLimitEndsALaunchAsOutOfMemory) {
  StartEngine();
  const auto up = recorder_.WaitFor<Up>();
  ASSERT_TRUE(up);
  if (!up->limits) {
    EXPECT_NE(up->version.find("limits: none"), std::string::npos);
    return;
  }
  // tail keeps a "line" in memory until it ends.
  TaskSpec spec = ProcessFixture::Shell("exec tail /dev/zero");
  spec.resources.memory_bytes = 32 << 20;
  spec.resources.cpu_millis = 500;
  engine_->Launch(Request(Key("hungry"), spec));
  const auto exited = WaitExit(Key("hungry"));
  EXPECT_EQ(exited.cause, ExitCause::kOutOfMemory);
  EXPECT_EQ(exited.exit_code, 137);
  engine_->Remove(Key("hungry"), "", 0);
  ASSERT_TRUE(recorder_.WaitFor<Removed>());
  EXPECT_TRUE(GroupsLeft().empty());
}

TEST_F(ProcessEngineTest, WithoutControlGroupsThereAreNoLimits) {
  auto options = fixture_.Options();
  options.cgroup_root = "/nowhere";
  StartEngine(options);
  const auto up = recorder_.WaitFor<Up>();
  ASSERT_TRUE(up);
  EXPECT_FALSE(up->limits);
  EXPECT_EQ(up->version, "process (limits: none)");
  TaskSpec spec = ProcessFixture::Shell("exit 3");
  spec.resources.memory_bytes = 32 << 20;
  engine_->Launch(Request(Key("free"), spec));
  EXPECT_EQ(WaitExit(Key("free")).exit_code, 3);
}

}  // namespace
}  // namespace cube::engine
