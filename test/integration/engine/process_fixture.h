// The process engine for the engine contract and for tests of its own.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "services/worker/engine/process/control_groups.h"
#include "services/worker/engine/process/launch_dir.h"
#include "services/worker/engine/process/launch_record.h"
#include "services/worker/engine/process/posix_files.h"
#include "services/worker/engine/process/process_engine.h"
#include "services/worker/engine/process/supervisor_handle.h"
#include "test/support/engine/contract.h"
#include "test/support/engine/processes.h"

namespace cube::engine {

// A state folder in which launches live; its end is theirs.
class ProcessFixture : public EngineFixture {
 public:
  ProcessFixture() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cube-process-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      ADD_FAILURE() << "cannot make a temporary folder";
      return;
    }
    state_dir_ = pattern;
  }
  ~ProcessFixture() override {
    for (const auto& folder : LaunchFolders()) EndLaunch(folder.string());
    std::error_code ignored;
    std::filesystem::remove_all(state_dir_, ignored);
    auto groups = process::ControlGroups::Open(Options().cgroup_root, "node-1");
    if (groups) groups->RemoveParents();
  }

  [[nodiscard]] ProcessEngineOptions Options() const {
    ProcessEngineOptions options;
    options.state_dir = state_dir_.string();
    options.use_pidfd = use_pidfd;
    return options;
  }
  std::unique_ptr<Engine> MakeEngine(Sink sink) override {
    return std::make_unique<ProcessEngine>(Options(), std::move(sink));
  }

  static TaskSpec Shell(const std::string& script) {
    TaskSpec spec;
    spec.name = TaskName::Trusted("task");
    spec.command = {"/bin/sh", "-c", script};
    return spec;
  }
  TaskSpec LongRunning() override {
    TaskSpec spec;
    spec.command = {"sleep", "1000"};
    return spec;
  }
  TaskSpec Stubborn() override {
    return Shell("trap '' TERM; echo ready; while :; do sleep 1000; done");
  }
  std::string StubbornPrints() override { return "ready\n"; }
  TaskSpec ExitsWith(int code, std::string out, std::string err) override {
    return Shell("printf %s '" + out + "'; printf %s '" + err + "' >&2; exit " +
                 std::to_string(code));
  }
  TaskSpec ExitsAfter(Duration run_time, int code) override {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(run_time).count();
    return Shell("sleep " + std::to_string(ms / 1000) + "." + std::to_string(ms % 1000 / 100) +
                 "; exit " + std::to_string(code));
  }
  TaskSpec PrintsEnv(const std::string& variable) override {
    return Shell("printf '%s\\n' \"$" + variable + "\"");
  }
  TaskSpec PrintsAndRuns(std::string out) override {
    return Shell("printf %s '" + out + "'; exec sleep 1000");
  }
  TaskSpec Busy() override { return Shell("while :; do :; done"); }
  TaskSpec FailsToStart() override {
    TaskSpec spec;
    spec.command = {"/nowhere/no-such-program"};
    return spec;
  }

  Words ExecSays(const std::string& out, const std::string& err, int code) override {
    return ExitsWith(code, out, err).command;
  }
  Words ExecCopies() override { return {"cat"}; }
  // A shell that has started another process: both must end.
  Words ExecRuns(const std::string& mark) override {
    return Shell("sleep " + mark + "; true").command;
  }
  Words ExecPrintsEnv(const std::string& variable) override { return PrintsEnv(variable).command; }
  bool ExecIsRunning(const std::string& mark) override { return SomeCommandHas(mark); }

  [[nodiscard]] std::filesystem::path LaunchesFolder() const {
    return state_dir_ / process::kLaunchesFolder;
  }
  [[nodiscard]] std::vector<std::filesystem::path> LaunchFolders() const {
    std::vector<std::filesystem::path> folders;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(LaunchesFolder(), error)) {
      folders.push_back(entry.path());
    }
    return folders;
  }

  bool use_pidfd = true;

 private:
  // An immediate stop; the supervisor ends when all that it has started is gone.
  static void EndLaunch(const std::string& folder) {
    const auto pid_bytes = process::ReadFile(folder + '/' + process::kPidFile, 1u << 20);
    const auto pid = process::DecodePid(pid_bytes.value_or(""));
    if (pid && pid->boot_id == process::BootId()) {
      const auto supervisor =
          process::SupervisorHandle::Open(pid->supervisor.pid, pid->supervisor.start_ticks, true);
      if (supervisor) (void)supervisor->Stop({SIGKILL, 0});
      // Far beyond the deadline of any kill; then the test reports what is left.
      for (int i = 0; i < 10'000 && supervisor && !supervisor->Ended(); ++i) usleep(1000);
    }
    const auto bytes = process::ReadFile(folder + '/' + process::kLaunchFile, 1u << 20);
    const auto record = process::DecodeRecord(bytes.value_or(""));
    if (record) process::RemoveGroups(record->control_groups);
  }

  std::filesystem::path state_dir_;
};

}  // namespace cube::engine
