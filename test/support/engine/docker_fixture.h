// A real Docker engine for tests: the one that DOCKER_HOST or the default socket names. The
// image of the tests is made from Debian's busybox-static, so that nothing is pulled.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "services/worker/engine/docker/docker_config.h"
#include "test/support/engine/fixture.h"
#include "test/support/engine/processes.h"

namespace cube::engine {

// The image that MakeTestImage makes: busybox with /bin/sh and every applet.
inline constexpr const char* kTestImage = "cube-test:latest";

// Runs a program (found in PATH) to its end; its exit code (-1: could not be run) and output,
// standard error included.
struct ToolResult {
  int exit_code = -1;
  std::string output;
};
ToolResult RunTool(const std::vector<std::string>& arguments);

// The endpoint of the environment.
docker::Endpoint TestEndpoint();
// "docker -H <endpoint> ..."
ToolResult Docker(const docker::Endpoint& endpoint, std::vector<std::string> arguments);
// True if the engine answers.
bool EngineAnswers(const docker::Endpoint& endpoint);
// Imports kTestImage if the engine lacks it. A text on failure.
std::string MakeTestImage(const docker::Endpoint& endpoint);
// Removes all containers with this cluster label.
void RemoveContainersOf(const docker::Endpoint& endpoint, const std::string& cluster);

// A spec that runs a shell script in the test image.
TaskSpec Script(const std::string& script);

class DockerFixture final : public EngineFixture {
 public:
  DockerFixture();
  ~DockerFixture() override;

  std::unique_ptr<Engine> MakeEngine(Sink sink) override;
  TaskSpec LongRunning() override;
  TaskSpec Stubborn() override;
  std::string StubbornPrints() override { return "ready\n"; }
  TaskSpec ExitsWith(int code, std::string out, std::string err) override;
  TaskSpec ExitsAfter(Duration run_time, int code) override;
  TaskSpec PrintsEnv(const std::string& variable) override;
  TaskSpec PrintsAndRuns(std::string out) override;
  TaskSpec Busy() override;
  TaskSpec FailsToStart() override;
  Words ExecSays(const std::string& out, const std::string& err, int code) override;
  Words ExecCopies() override { return {"cat"}; }
  Words ExecRuns(const std::string& mark) override;
  Words ExecPrintsEnv(const std::string& variable) override;
  bool ExecIsRunning(const std::string& mark) override { return SomeCommandHas(mark); }

 private:
  docker::Endpoint endpoint_;
};

}  // namespace cube::engine
