#include <gtest/gtest.h>

#include "services/worker/engine/docker/allowances.h"

namespace cube::engine::docker {
namespace {

TEST(DockerAllowances, FlagsAreChecked) {
  EXPECT_EQ(MakeAllowances({"/no/such/folder"}, {}, {}, false).error().field, "--allow-mount");
  EXPECT_EQ(MakeAllowances({"tmp"}, {}, {}, false).error().field, "--allow-mount");
  EXPECT_EQ(MakeAllowances({""}, {}, {}, false).error().field, "--allow-mount");
  EXPECT_EQ(MakeAllowances({}, {}, {"FLY"}, false).error().field, "--allow-cap");
  const auto good = MakeAllowances({"/tmp/"}, {"v"}, {"cap_net_admin", "all"}, true);
  ASSERT_TRUE(good);
  EXPECT_EQ(good->capabilities, (std::set<std::string>{"ALL", "NET_ADMIN"}));
  EXPECT_TRUE(good->host_network);
}

TEST(DockerAllowances, NothingIsAllowedUnlessSaid) {
  TaskSpec bind;
  bind.volumes = {{"data", "/data", false}, {"/etc", "/etc2", true}};
  const auto refused = Allow({}, bind);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kPermission);
  EXPECT_EQ(refused.error().field, "volumes[1].source");
  TaskSpec network;
  network.network = "host";
  EXPECT_EQ(Allow({}, network).error().code, Code::kPermission);
  TaskSpec capability;
  capability.cap_add = {"CHOWN", "SYS_ADMIN"};
  EXPECT_EQ(Allow({}, capability).error().code, Code::kPermission);
  TaskSpec usual;
  usual.volumes = {{"data", "/data", false}};
  usual.cap_add = {"CHOWN"};
  usual.cap_drop = {"ALL"};
  usual.network = "none";
  usual.read_only_root = true;
  EXPECT_TRUE(Allow({}, usual));
}

TEST(DockerAllowances, WritesWhereABindReallyLeads) {
  TaskSpec spec;
  spec.volumes = {{"/proc/self/../../tmp", "/t", false}};
  const auto all = MakeAllowances({"/"}, {}, {}, false);
  ASSERT_TRUE(all);
  ASSERT_TRUE(Allow(*all, spec));
  EXPECT_EQ(spec.volumes[0].source, "/tmp");
}

}  // namespace
}  // namespace cube::engine::docker
