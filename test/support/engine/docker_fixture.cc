#include "test/support/engine/docker_fixture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "services/worker/engine/docker/docker_engine.h"

namespace cube::engine {
namespace {

std::string Clusters() { return "contract" + std::to_string(::getpid()); }

}  // namespace

ToolResult RunTool(const std::vector<std::string>& arguments) {
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0) return {};
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], 1);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], 2);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe_ends[1]);
  ToolResult result;
  char buffer[4096];
  for (;;) {
    const ssize_t count = ::read(pipe_ends[0], buffer, sizeof(buffer));
    if (count <= 0) break;
    result.output.append(buffer, static_cast<std::size_t>(count));
  }
  ::close(pipe_ends[0]);
  if (error != 0) return result;
  int status = 0;
  ::waitpid(pid, &status, 0);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

docker::Endpoint TestEndpoint() {
  auto endpoint = docker::EndpointFrom([](const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return std::string(value == nullptr ? "" : value);
  });
  EXPECT_TRUE(endpoint) << endpoint.error().Text();
  return endpoint.value_or(docker::Endpoint{});
}

ToolResult Docker(const docker::Endpoint& endpoint, std::vector<std::string> arguments) {
  std::vector<std::string> command{"docker", "-H", endpoint.name};
  for (std::string& a : arguments) command.push_back(std::move(a));
  return RunTool(command);
}

bool EngineAnswers(const docker::Endpoint& endpoint) {
  return Docker(endpoint, {"version", "--format", "{{.Server.Version}}"}).exit_code == 0;
}

std::string MakeTestImage(const docker::Endpoint& endpoint) {
  if (Docker(endpoint, {"image", "inspect", kTestImage}).exit_code == 0) return {};
  // Under a shell, since docker import reads an archive from a pipe. Renaming at the end of
  // import is atomic, so that two test processes may do this at once.
  const std::string script = fmt::format(
      "set -e; d=$(mktemp -d); trap 'rm -rf \"$d\"' EXIT; mkdir -p $d/bin $d/tmp $d/etc;"
      " b=$(command -v busybox); cp \"$b\" $d/bin/busybox;"
      " for c in $(\"$b\" --list); do test $c = busybox || ln -s busybox $d/bin/$c; done;"
      " tar -C $d -c . | docker -H '{}' import -c 'ENV PATH=/bin' -c 'CMD [\"/bin/sh\"]' - {}",
      endpoint.name, kTestImage);
  const ToolResult made = RunTool({"sh", "-c", script});
  return made.exit_code == 0 ? std::string() : "making the test image: " + made.output;
}

void RemoveContainersOf(const docker::Endpoint& endpoint, const std::string& cluster) {
  const std::string filter = "label=cube.cluster=" + cluster;
  const ToolResult listed = Docker(endpoint, {"ps", "-aq", "--filter", filter});
  std::vector<std::string> command{"rm", "-f", "-v"};
  std::istringstream ids(listed.output);
  for (std::string id; ids >> id;) command.push_back(id);
  if (command.size() > 3) (void)Docker(endpoint, std::move(command));
}

TaskSpec Script(const std::string& script) {
  TaskSpec spec;
  spec.name = TaskName::Trusted("test");
  spec.image = kTestImage;
  spec.command = {"/bin/sh", "-c", script};
  return spec;
}

DockerFixture::DockerFixture() : endpoint_(TestEndpoint()) {
  EXPECT_TRUE(EngineAnswers(endpoint_)) << "these tests need a Docker engine at " << endpoint_.name
                                        << "; start dockerd, or exclude them with ctest -LE docker";
  EXPECT_EQ(MakeTestImage(endpoint_), "");
}

DockerFixture::~DockerFixture() {
  RemoveContainersOf(endpoint_, Clusters());
  RemoveContainersOf(endpoint_, Clusters() + "x");
}

std::unique_ptr<Engine> DockerFixture::MakeEngine(Sink sink) {
  return std::make_unique<DockerEngine>(endpoint_, std::move(sink));
}

// PID 1 ignores signals without a handler, so the scripts have one.
TaskSpec DockerFixture::LongRunning() {
  return Script("trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done");
}
TaskSpec DockerFixture::Stubborn() {
  return Script("trap '' TERM; echo ready; while :; do sleep 1000; done");
}
TaskSpec DockerFixture::ExitsWith(int code, std::string out, std::string err) {
  // The engine reads the two pipes on their own; the pause keeps their order.
  return Script(
      fmt::format("printf '%s' '{}'; sleep 0.2; printf '%s' '{}' >&2; exit {}", out, err, code));
}
TaskSpec DockerFixture::ExitsAfter(Duration run_time, int code) {
  return Script(
      fmt::format("sleep {}; exit {}", std::chrono::duration<double>(run_time).count(), code));
}
TaskSpec DockerFixture::PrintsEnv(const std::string& variable) {
  return Script(fmt::format("printf '%s\\n' \"${}\"", variable));
}
TaskSpec DockerFixture::PrintsAndRuns(std::string out) {
  return Script(fmt::format(
      "trap 'exit 0' TERM; printf '%s' '{}'; while :; do sleep 1000 & wait $!; done", out));
}
EngineFixture::Words DockerFixture::ExecSays(const std::string& out, const std::string& err,
                                             int code) {
  return Script(fmt::format("printf '%s' '{}'; sleep 0.2; printf '%s' '{}' >&2; exit {}", out, err,
                            code))
      .command;
}
// A shell that has started another process: both must end.
EngineFixture::Words DockerFixture::ExecRuns(const std::string& mark) {
  return Script("sleep " + mark + "; true").command;
}
EngineFixture::Words DockerFixture::ExecPrintsEnv(const std::string& variable) {
  return PrintsEnv(variable).command;
}
TaskSpec DockerFixture::Busy() { return Script("while :; do :; done"); }
TaskSpec DockerFixture::FailsToStart() {
  TaskSpec spec = Script("");
  spec.command = {"/no/such/program"};
  return spec;
}

}  // namespace cube::engine
