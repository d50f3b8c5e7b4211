// Volumes, networks, capabilities on a real engine: what tasks get, and what a node keeps.
#include <gmock/gmock.h>

#include <fstream>

#include "test/support/engine/docker_test.h"

namespace cube::engine {
namespace {

using ::testing::HasSubstr;

class DockerIsolation : public DockerTest {
 protected:
  void StartAllowing(docker::Allowances allowances) {
    const std::size_t mark = recorder_.Count();
    engine_.reset();
    engine_ = std::make_unique<DockerEngine>(real_, std::move(allowances), recorder_.MakeSink());
    engine_->Start(owner_);
    ASSERT_TRUE(recorder_.WaitFor<Listed>(mark));
  }
  docker::Allowances Mounts() {
    auto allowances = docker::MakeAllowances({Allowed().string()}, {}, {}, false);
    EXPECT_TRUE(allowances);
    return allowances.value_or(docker::Allowances{});
  }
  std::filesystem::path Allowed() {
    std::filesystem::create_directories(folder_ / "allowed");
    return folder_ / "allowed";
  }
  std::string OutputOf(const LaunchKey& key) {
    engine_->OpenLogs(++stream_, key, {});
    engine_->LogCredit(stream_, 1u << 20);
    EXPECT_TRUE(recorder_.WaitUntil([&](const std::vector<Event>& events) {
      return Recorder::OutputOf(events, stream_).ended;
    }));
    const auto output = recorder_.OutputOf(stream_);
    return output.out + output.err;
  }
  LaunchStatus ExpectRefused(const std::string& task, TaskSpec spec, Code code,
                             const std::string& says) {
    const LaunchStatus status = WaitExit(Launch(task, std::move(spec)));
    EXPECT_EQ(status.cause, ExitCause::kStartFailed) << task;
    EXPECT_EQ(status.failure, code) << status.detail;
    EXPECT_THAT(status.detail, HasSubstr(says));
    return status;
  }
  void TearDown() override {
    engine_.reset();
    RemoveContainersOf(real_, owner_.cluster);
    for (const std::string& name : volumes_) Docker(real_, {"volume", "rm", "-f", name});
  }
  std::string NewVolume(const std::string& name) {
    return volumes_.emplace_back("cube-test-" + std::to_string(::getpid()) + "-" + name);
  }

  std::uint64_t stream_ = 0;
  std::vector<std::string> volumes_;
};

TEST_F(DockerIsolation, NamedVolumesOutliveTheirTasks) {
  StartEngine();
  const std::string name = NewVolume("data");
  TaskSpec writer = Script("echo kept >/data/file; echo gone >/own/file");
  writer.volumes = {{name, "/data", false}, {"", "/own", false}};
  const LaunchKey first = Launch("writer", std::move(writer));
  EXPECT_EQ(WaitExit(first).exit_code, 0);
  const std::size_t mark = recorder_.Count();
  engine_->Remove(first, "", 0);
  ASSERT_TRUE(recorder_.WaitFor<Removed>(mark));

  TaskSpec reader = Script("cat /data/file; echo x >/data/file || echo cannot");
  reader.volumes = {{name, "/data", true}};
  const LaunchKey second = Launch("reader", std::move(reader));
  WaitExit(second);
  EXPECT_THAT(OutputOf(second), HasSubstr("kept\n"));
  EXPECT_THAT(OutputOf(second), HasSubstr("cannot\n"));
  const ToolResult labels =
      Docker(real_, {"volume", "inspect", name, "--format", "{{index .Labels \"cube.cluster\"}}"});
  EXPECT_EQ(labels.output, owner_.cluster + "\n");
}

TEST_F(DockerIsolation, VolumesOfOthersNeedTheNodesWord) {
  StartEngine();
  const std::string name = NewVolume("others");
  ASSERT_EQ(Docker(real_, {"volume", "create", name}).exit_code, 0);
  TaskSpec spec = Script("true");
  spec.volumes = {{name, "/data", false}};
  ExpectRefused("thief", spec, Code::kPermission, "--allow-volume " + name);
  docker::Allowances allowances;
  allowances.volumes = {name};
  StartAllowing(allowances);
  EXPECT_EQ(WaitExit(Launch("guest", spec)).cause, ExitCause::kExited);
}

TEST_F(DockerIsolation, BindsOnlyBelowAllowedFolders) {
  StartAllowing(Mounts());
  std::ofstream(Allowed() / "file") << "hello\n";
  std::filesystem::create_symlink("/etc", Allowed() / "link");
  TaskSpec good = Script("cat /in/file; echo x >/in/new || echo cannot");
  good.volumes = {{Allowed().string(), "/in", true}};
  const LaunchKey key = Launch("good", std::move(good));
  WaitExit(key);
  EXPECT_THAT(OutputOf(key), HasSubstr("hello\n"));
  EXPECT_THAT(OutputOf(key), HasSubstr("cannot\n"));

  const auto bind = [](const std::string& source) {
    TaskSpec spec = Script("true");
    spec.volumes = {{source, "/in", false}};
    return spec;
  };
  ExpectRefused("outside", bind("/etc"), Code::kPermission, "--allow-mount");
  ExpectRefused("link", bind((Allowed() / "link").string()), Code::kPermission, "--allow-mount");
  ExpectRefused("below-link", bind((Allowed() / "link" / "ssl").string()), Code::kPermission,
                "--allow-mount");
  // Validation refuses ".." at submission; the node does not rely on it.
  ExpectRefused("up", bind((Allowed() / ".." / "..").string()), Code::kPermission, "--allow-mount");
  // A name that only begins like the folder.
  std::filesystem::create_directories(folder_ / "allowed-not");
  ExpectRefused("beside", bind((folder_ / "allowed-not").string()), Code::kPermission,
                "--allow-mount");
  ExpectRefused("nothing", bind((Allowed() / "nothing").string()), Code::kNotFound, "No such file");
  EXPECT_EQ(Containers(), 1u);
}

TEST_F(DockerIsolation, NetworksAsAsked) {
  StartEngine();
  TaskSpec none = Script("ls /sys/class/net");
  none.network = "none";
  const LaunchKey alone = Launch("alone", std::move(none));
  WaitExit(alone);
  EXPECT_EQ(OutputOf(alone), "lo\n");

  TaskSpec host = LongRunning();
  host.network = "host";
  host.ports = {{.port = 18123, .host_port = 18123, .protocol = Protocol::kTcp, .name = ""}};
  ExpectRefused("host", host, Code::kPermission, "--allow-host-network");
  // The same network by its id is the same network.
  const ToolResult id = Docker(real_, {"network", "inspect", "host", "--format", "{{.Id}}"});
  TaskSpec by_id = LongRunning();
  by_id.network = id.output.substr(0, 64);
  ExpectRefused("by-id", by_id, Code::kPrecondition, "has no network");
  TaskSpec missing = LongRunning();
  missing.network = "no-such-network";
  ExpectRefused("missing", missing, Code::kPrecondition, "docker network create no-such-network");

  docker::Allowances allowances;
  allowances.host_network = true;
  StartAllowing(allowances);
  const LaunchStatus running = WaitRunning(Launch("host-2", host));
  ASSERT_EQ(running.ports.size(), 1u);
  EXPECT_EQ(running.ports[0], (BoundPort{18123, 18123, Protocol::kTcp}));
}

TEST_F(DockerIsolation, NetworkOfTheNodesOwn) {
  const std::string name = "cube-test-" + std::to_string(::getpid());
  ASSERT_EQ(Docker(real_, {"network", "create", "--internal", name}).exit_code, 0);
  StartEngine();
  TaskSpec spec = LongRunning();
  spec.network = name;
  const LaunchKey key = Launch("member", std::move(spec));
  EXPECT_FALSE(WaitRunning(key).address.empty());
  const ToolResult members = Docker(
      real_, {"network", "inspect", name, "--format", "{{range .Containers}}{{.Name}}{{end}}"});
  EXPECT_THAT(members.output, HasSubstr(Name(key)));
  engine_.reset();
  RemoveContainersOf(real_, owner_.cluster);
  Docker(real_, {"network", "rm", name});
}

TEST_F(DockerIsolation, CapabilitiesAndReadOnlyRoot) {
  StartEngine();
  TaskSpec spec = Script("grep CapEff /proc/self/status; touch /x || echo read-only");
  spec.cap_drop = {"ALL"};
  spec.cap_add = {"NET_BIND_SERVICE"};  // of the default set: nobody needs to be asked
  spec.read_only_root = true;
  const LaunchKey key = Launch("few", std::move(spec));
  WaitExit(key);
  EXPECT_THAT(OutputOf(key), HasSubstr("CapEff:\t0000000000000400"));
  EXPECT_THAT(OutputOf(key), HasSubstr("read-only"));

  TaskSpec more = Script("grep CapEff /proc/self/status");
  more.cap_drop = {"ALL"};
  more.cap_add = {"SYS_TIME"};
  ExpectRefused("more", more, Code::kPermission, "--allow-cap SYS_TIME");
  TaskSpec all = Script("true");
  all.cap_add = {"ALL"};
  ExpectRefused("all", all, Code::kPermission, "--allow-cap ALL");
  const auto allowances = docker::MakeAllowances({}, {}, {"cap_sys_time"}, false);
  ASSERT_TRUE(allowances);
  StartAllowing(*allowances);
  const LaunchKey clock = Launch("clock", more);
  WaitExit(clock);
  EXPECT_THAT(OutputOf(clock), HasSubstr("CapEff:\t0000000002000000"));
}

}  // namespace
}  // namespace cube::engine
