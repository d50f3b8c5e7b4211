// What is run, from a specification: checks, environment, signals, users, ports, groups.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "services/worker/engine/process/control_groups.h"
#include "services/worker/engine/process/host_ports.h"
#include "services/worker/engine/process/host_user.h"
#include "services/worker/engine/process/launch_plan.h"

namespace cube::engine::process {
namespace {

using ::testing::ElementsAre;

TaskSpec ASpec() {
  TaskSpec spec;
  spec.command = {"sleep", "1"};
  return spec;
}

std::string FieldOf(const TaskSpec& spec) {
  const auto checked = CheckSpec(spec);
  if (checked) return "fine";
  EXPECT_EQ(checked.error().code, Code::kInvalid);
  return checked.error().field;
}

TEST(LaunchPlanTest, ChecksWhatCannotBeRun) {
  EXPECT_EQ(FieldOf(ASpec()), "fine");
  TaskSpec spec = ASpec();
  spec.image = "nginx";
  EXPECT_EQ(FieldOf(spec), "image");
  EXPECT_EQ(FieldOf(TaskSpec{}), "command");
  spec = ASpec();
  spec.command[0] = "";
  EXPECT_EQ(FieldOf(spec), "command");
  spec = ASpec();
  spec.command.push_back(std::string("a\0b", 3));
  EXPECT_EQ(FieldOf(spec), "command[2]");
  spec = ASpec();
  spec.workdir = "relative";
  EXPECT_EQ(FieldOf(spec), "workdir");
  spec = ASpec();
  spec.env["A=B"] = "x";
  EXPECT_EQ(FieldOf(spec), "env");
  spec = ASpec();
  spec.env["A"] = std::string("\0", 1);
  EXPECT_EQ(FieldOf(spec), "env.A");
}

TEST(LaunchPlanTest, EntrypointComesFirst) {
  TaskSpec spec = ASpec();
  spec.entrypoint = {"nice", "-n", "5"};
  EXPECT_THAT(Arguments(spec), ElementsAre("nice", "-n", "5", "sleep", "1"));
}

TEST(LaunchPlanTest, EnvironmentIsSmallAndTheSpecsOwn) {
  TaskSpec spec = ASpec();
  spec.env = {{"PATH", "/opt/bin"}, {"GREETING", "a=b"}, {"CUBE_TASK", "forged"}};
  const LaunchKey key{TaskId::Trusted("web"), 2, 5};
  const auto environment = Environment(
      spec, key, NodeName::Trusted("n1"),
      {{53, 1053, Protocol::kTcp}, {53, 2053, Protocol::kUdp}, {69, 2069, Protocol::kUdp}},
      "/home/me");
  EXPECT_THAT(environment,
              ElementsAre("CUBE_ATTEMPT=2", "CUBE_LAUNCH=5", "CUBE_NODE=n1", "CUBE_PORT_53=1053",
                          "CUBE_PORT_53_UDP=2053", "CUBE_PORT_69=2069", "CUBE_PORT_69_UDP=2069",
                          "CUBE_TASK=web", "GREETING=a=b", "HOME=/home/me", "PATH=/opt/bin"));
  EXPECT_THAT(Environment(ASpec(), key, NodeName::Trusted("n1"), {}, ""),
              ElementsAre("CUBE_ATTEMPT=2", "CUBE_LAUNCH=5", "CUBE_NODE=n1", "CUBE_TASK=web",
                          "HOME=/", "PATH=" + std::string(kDefaultPath)));
}

TEST(LaunchPlanTest, Signals) {
  EXPECT_EQ(SignalNumber(""), SIGTERM);
  EXPECT_EQ(SignalNumber("SIGINT"), SIGINT);
  EXPECT_EQ(SignalNumber("usr1"), SIGUSR1);
  EXPECT_EQ(SignalNumber("sigkill"), SIGKILL);
  EXPECT_EQ(SignalNumber("9"), 9);
  for (const char* bad : {"0", "65", "-9", "SIG", "SIGFOO", "9x", "99999999999999999999"}) {
    const auto number = SignalNumber(bad);
    ASSERT_FALSE(number) << bad;
    EXPECT_EQ(number.error().field, "stop_signal");
  }
  EXPECT_NE(SignalNumber("\xff").error().message.find("\uFFFD"), std::string::npos);
}

TEST(LaunchPlanTest, Users) {
  EXPECT_EQ(SplitUser("root")->user, "root");
  EXPECT_EQ(SplitUser("root")->group, "");
  EXPECT_EQ(SplitUser("1:2")->group, "2");
  for (const char* bad : {"", ":", "a:", ":b", "a:b:c"}) EXPECT_FALSE(SplitUser(bad)) << bad;
  // Root is the one user that every machine has.
  if (geteuid() == 0) {
    const auto root = ResolveUser("root");
    ASSERT_TRUE(root);
    EXPECT_EQ(root->identity->uid, 0u);
    EXPECT_EQ(root->home, "/root");
    EXPECT_EQ(ResolveUser("12345:7")->identity->gid, 7u);
    EXPECT_EQ(ResolveUser("12345")->home, "/");
  } else {
    EXPECT_EQ(ResolveUser("0").error().code, Code::kPermission);
    EXPECT_TRUE(ResolveUser(std::to_string(geteuid())));
  }
  EXPECT_FALSE(ResolveUser("")->identity);
  EXPECT_EQ(ResolveUser("no-such-user").error().code, Code::kNotFound);
  EXPECT_EQ(ResolveUser("0:no-such-group").error().code, Code::kNotFound);
}

TEST(HostPortsTest, FreePortsDifferAndAreSorted) {
  const std::vector<PortSpec> specs{
      {90, 0, Protocol::kTcp, ""}, {80, 0, Protocol::kTcp, ""}, {80, 0, Protocol::kUdp, ""}};
  TakenPorts taken;
  for (int i = 0; i < 100; ++i) {
    const auto ports = ChoosePorts(specs, taken);
    ASSERT_TRUE(ports);
    ASSERT_EQ(ports->size(), 3u);
    EXPECT_TRUE(std::is_sorted(ports->begin(), ports->end()));
    for (const auto& port : *ports) {
      EXPECT_NE(port.host_port, 0);
      EXPECT_TRUE(taken.emplace(port.protocol, port.host_port).second);
    }
  }
}

TEST(HostPortsTest, StaticPortOfAnotherTaskIsAConflict) {
  const auto free = ChoosePorts({{80, 0, Protocol::kTcp, ""}}, {});
  ASSERT_TRUE(free);
  const std::uint16_t port = (*free)[0].host_port;
  const std::vector<PortSpec> specs{{80, port, Protocol::kTcp, ""}};
  EXPECT_EQ(ChoosePorts(specs, {{Protocol::kTcp, port}}).error().code, Code::kConflict);
  const std::vector<PortSpec> twice{{80, port, Protocol::kTcp, ""}, {81, port, Protocol::kTcp, ""}};
  EXPECT_EQ(ChoosePorts(twice, {}).error().code, Code::kConflict);
}

TEST(ControlGroupsTest, CpuQuota) {
  EXPECT_EQ(CpuQuotaUs(1000), kCpuPeriodUs);
  EXPECT_EQ(CpuQuotaUs(500), kCpuPeriodUs / 2);
  EXPECT_EQ(CpuQuotaUs(2500), 250'000);
  EXPECT_EQ(CpuQuotaUs(1), kCpuQuotaUsMin);
}

}  // namespace
}  // namespace cube::engine::process
