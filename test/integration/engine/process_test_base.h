// What the tests of the process engine share: one engine, its events, and looks at its folders.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "test/integration/engine/process_fixture.h"

namespace cube::engine {

class ProcessEngineTest : public ::testing::Test {
 protected:
  static Owner TheOwner() {
    return {"test" + std::to_string(getpid()), NodeName::Trusted("node-1")};
  }
  static LaunchKey Key(const std::string& task, std::uint32_t launch = 0) {
    return {TaskId::Trusted(task), 1, launch};
  }
  static LaunchRequest Request(const LaunchKey& key, TaskSpec spec) {
    return {key, Stamp{7, 8}, std::make_shared<const TaskSpec>(std::move(spec))};
  }
  void StartEngine() { StartEngine(fixture_.Options()); }
  void StartEngine(ProcessEngineOptions options) {
    engine_.reset();
    mark_ = recorder_.Count();
    engine_ = std::make_unique<ProcessEngine>(std::move(options), recorder_.MakeSink());
    engine_->Start(TheOwner());
  }
  Listed WaitListed(std::size_t from) {
    auto listed = recorder_.WaitFor<Listed>(from);
    EXPECT_TRUE(listed);
    return listed.value_or(Listed{});
  }
  // Launches, and waits until the output holds `text`.
  LaunchStatus RunUntil(const LaunchKey& key, TaskSpec spec, const std::string& text) {
    engine_->Launch(Request(key, std::move(spec)));
    // The first news after "starting": it runs, or it says why not.
    const auto news = recorder_.WaitFor<Changed>([&](const Changed& c) {
      return c.status.key == key && c.status.state > LaunchState::kStarting;
    });
    EXPECT_TRUE(news);
    if (!news || news->status.state != LaunchState::kRunning) {
      ADD_FAILURE() << key.task.str() << " does not run: " << (news ? news->status.detail : "");
      return {};
    }
    Follow(next_stream_, key);
    EXPECT_TRUE(WaitOutput(next_stream_, text));
    engine_->CloseLogs(next_stream_++);
    return news->status;
  }
  void Follow(std::uint64_t stream, const LaunchKey& key) {
    engine_->OpenLogs(stream, key, {.follow = true, .tail_lines = -1, .since = {}});
    engine_->LogCredit(stream, std::size_t{1} << 30);
  }
  bool WaitOutput(std::uint64_t stream, const std::string& text) {
    return recorder_.WaitUntil([&](const std::vector<Event>& events) {
      return Recorder::OutputOf(events, stream).out.find(text) != std::string::npos;
    });
  }
  std::string AllOutput(const LaunchKey& key) {
    const auto stream = next_stream_++;
    engine_->OpenLogs(stream, key, {});
    engine_->LogCredit(stream, std::size_t{1} << 30);
    EXPECT_TRUE(recorder_.WaitFor<LogEnd>([&](const LogEnd& e) { return e.stream == stream; }));
    return recorder_.OutputOf(stream).out;
  }
  LaunchStatus WaitExit(const LaunchKey& key, std::size_t from = 0) {
    auto exited = recorder_.WaitForState(key, LaunchState::kExited, from);
    EXPECT_TRUE(exited) << key.task.str() << " does not end";
    return exited.value_or(LaunchStatus{});
  }
  LaunchStatus ExpectStartFails(const std::string& name, TaskSpec spec, Code code) {
    engine_->Launch(Request(Key(name), std::move(spec)));
    const auto status = WaitExit(Key(name));
    EXPECT_EQ(status.cause, ExitCause::kStartFailed);
    EXPECT_EQ(status.failure, code) << status.detail;
    EXPECT_FALSE(std::filesystem::exists(FolderOf(Key(name))));
    return status;
  }
  std::filesystem::path FolderOf(const LaunchKey& key) {
    return fixture_.LaunchesFolder() / process::FolderName(key);
  }
  process::PidRecord PidsOf(const LaunchKey& key) {
    auto bytes = process::ReadFile((FolderOf(key) / process::kPidFile).string(), 1u << 20);
    auto pids = process::DecodePid(bytes.value_or(""));
    EXPECT_TRUE(pids);
    return pids.value_or(process::PidRecord{});
  }
  // For what no event tells: looks every millisecond, up to a deadline.
  template <class Condition>
  static bool WaitFor(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      usleep(1000);
    }
    return true;
  }
  // Until no process has this number any more (zombies of others do not count).
  static bool WaitGone(pid_t pid) {
    return WaitFor([&] { return !process::StartTicks(pid); });
  }
  // Control groups of this test's launches, of whatever version.
  static std::vector<std::string> GroupsLeft() {
    std::vector<std::string> left;
    const auto options = std::filesystem::directory_options::skip_permission_denied;
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator at("/sys/fs/cgroup", options, error), end;
         at != end; at.increment(error)) {
      const std::string name = at->path().filename().string();
      if (name.starts_with(TheOwner().cluster + '.')) left.push_back(at->path().string());
    }
    return left;
  }
  // The numbers that a script has printed, one a line.
  std::vector<pid_t> PrintedPids(const LaunchKey& key) {
    std::stringstream lines(AllOutput(key));
    std::vector<pid_t> pids;
    for (pid_t pid = 0; lines >> pid;) pids.push_back(pid);
    return pids;
  }

  ProcessFixture fixture_;
  Recorder recorder_;
  std::unique_ptr<ProcessEngine> engine_;
  std::size_t mark_ = 0;
  std::uint64_t next_stream_ = 100;
};

}  // namespace cube::engine
