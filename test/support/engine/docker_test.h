// What the tests of the Docker driver alone (beyond the contract) share.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/worker/engine/docker/docker_engine.h"
#include "services/worker/engine/docker/docker_json.h"
#include "test/support/engine/docker_fixture.h"
#include "test/support/engine/recorder.h"

namespace cube::engine {

class DockerTest : public ::testing::Test {
 protected:
  DockerTest() {
    std::string folder = (std::filesystem::temp_directory_path() / "cube-docker-XXXXXX").string();
    EXPECT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  ~DockerTest() override {
    engine_.reset();
    if (needs_cleaning_) RemoveContainersOf(real_, owner_.cluster);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  // Every test here works on an engine that is there already.
  void SetUp() override {
    ASSERT_TRUE(EngineAnswers(real_)) << "no Docker engine at " << real_.name;
    ASSERT_EQ(MakeTestImage(real_), "");
    needs_cleaning_ = true;
  }

  void StartEngine(const docker::Endpoint& endpoint, bool wait = true) {
    engine_.reset();
    const std::size_t mark = recorder_.Count();
    engine_ = std::make_unique<DockerEngine>(endpoint, recorder_.MakeSink());
    engine_->Start(owner_);
    if (!wait) return;
    ASSERT_TRUE(recorder_.WaitFor<Listed>(mark)) << "the engine does not come up";
  }
  void StartEngine() { StartEngine(real_); }

  static LaunchKey Key(const std::string& task) { return {TaskId::Trusted(task), 1, 0}; }
  LaunchKey Launch(const std::string& task, TaskSpec spec) {
    engine_->Launch({Key(task), {1, 2}, std::make_shared<const TaskSpec>(std::move(spec))});
    return Key(task);
  }
  LaunchStatus WaitFor(const LaunchKey& key, LaunchState state, std::size_t from = 0) {
    const auto status = recorder_.WaitForState(key, state, from);
    EXPECT_TRUE(status) << key.task.str() << " does not come to state " << static_cast<int>(state);
    return status.value_or(LaunchStatus{});
  }
  LaunchStatus WaitRunning(const LaunchKey& key) { return WaitFor(key, LaunchState::kRunning); }
  LaunchStatus WaitExit(const LaunchKey& key) { return WaitFor(key, LaunchState::kExited); }
  std::vector<LaunchStatus> List() {
    const std::size_t mark = recorder_.Count();
    engine_->List();
    const auto listed = recorder_.WaitFor<Listed>(mark);
    EXPECT_TRUE(listed);
    return listed ? listed->launches : std::vector<LaunchStatus>{};
  }
  // The engine's own count of our containers, in any state.
  std::size_t Containers() {
    const ToolResult listed =
        Docker(real_, {"ps", "-aq", "--filter", "label=cube.cluster=" + owner_.cluster});
    return static_cast<std::size_t>(std::count(listed.output.begin(), listed.output.end(), '\n'));
  }
  [[nodiscard]] std::string Name(const LaunchKey& key) const {
    return ContainerName(owner_.cluster, key);
  }
  static TaskSpec LongRunning() {
    return Script("trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done");
  }

  const docker::Endpoint real_ = TestEndpoint();
  Owner owner_{"test" + std::to_string(::getpid()), NodeName::Trusted("node-1")};
  std::filesystem::path folder_;
  Recorder recorder_;
  std::unique_ptr<DockerEngine> engine_;
  bool needs_cleaning_ = false;
};

}  // namespace cube::engine
