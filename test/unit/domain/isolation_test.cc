#include "shared/domain/isolation.h"

#include <gtest/gtest.h>

#include <functional>

#include "shared/domain/validate.h"

namespace cube {
namespace {

TaskSpec Good() {
  TaskSpec spec;
  spec.name = TaskName::Trusted("web");
  spec.image = "nginx:1.27";
  return spec;
}

// The field that is wrong; empty = accepted.
std::string Field(const std::function<void(TaskSpec&)>& change) {
  TaskSpec spec = Good();
  change(spec);
  const auto result = Validate(spec);
  if (result) return "";
  EXPECT_EQ(result.error().code, Code::kInvalid) << result.error().Text();
  return result.error().field;
}
std::string Mounting(std::vector<VolumeSpec> volumes) {
  return Field([&](TaskSpec& spec) { spec.volumes = volumes; });
}

TEST(Isolation, Volumes) {
  EXPECT_EQ(Mounting({{"data", "/data", false}, {"/srv/www", "/www", true}, {"", "/own", false}}),
            "");
  EXPECT_EQ(Mounting({{"data", "", false}}), "volumes[0].target");
  EXPECT_EQ(Mounting({{"data", "data", false}}), "volumes[0].target");
  EXPECT_EQ(Mounting({{"data", "/", false}}), "volumes[0].target");
  EXPECT_EQ(Mounting({{"data", "/a/../b", false}}), "volumes[0].target");
  EXPECT_EQ(Mounting({{"data", "/a:b", false}}), "volumes[0].target");
  EXPECT_EQ(Mounting({{"data", "/a", false}, {"more", "/a/", false}}), "volumes[1].target");
  EXPECT_EQ(Mounting({{"./data", "/a", false}}), "volumes[0].source");
  EXPECT_EQ(Mounting({{"~/data", "/a", false}}), "volumes[0].source");
  EXPECT_EQ(Mounting({{"-data", "/a", false}}), "volumes[0].source");
  EXPECT_EQ(Mounting({{std::string(256, 'a'), "/a", false}}), "volumes[0].source");
  EXPECT_EQ(Mounting({{"/srv/../etc", "/a", false}}), "volumes[0].source");
  EXPECT_EQ(Mounting({{"/srv/..", "/a", false}}), "volumes[0].source");
  EXPECT_EQ(Mounting({{"/\xFF", "/a", false}}), "volumes[0].source");
  std::vector<VolumeSpec> many;
  for (std::size_t i = 0; i <= kVolumesMax; ++i)
    many.push_back({"", "/" + std::to_string(i), false});
  EXPECT_EQ(Mounting(many), "volumes");
  many.pop_back();
  EXPECT_EQ(Mounting(many), "");
}

TEST(Isolation, Network) {
  const auto on = [](const std::string& network, std::vector<PortSpec> ports = {}) {
    return Field([&](TaskSpec& spec) {
      spec.network = network;
      spec.ports = ports;
    });
  };
  const PortSpec dynamic{.port = 80, .host_port = 0, .protocol = Protocol::kTcp, .name = ""};
  const PortSpec same{.port = 80, .host_port = 80, .protocol = Protocol::kTcp, .name = ""};
  for (const char* good : {"", "bridge", "none", "host", "my_net-1.0"}) EXPECT_EQ(on(good), "");
  for (const char* bad : {"container:abc", "-x", "a b", "a/b"}) EXPECT_EQ(on(bad), "network");
  EXPECT_EQ(on("none", {dynamic}), "ports");
  EXPECT_EQ(on("host", {dynamic}), "ports[0].host_port");
  EXPECT_EQ(on("host", {same}), "");
  EXPECT_EQ(on("my_net", {dynamic}), "");
}

TEST(Isolation, Capabilities) {
  EXPECT_EQ(Field([](TaskSpec& s) { s.cap_add = {"NET_ADMIN", "ALL"}; }), "");
  EXPECT_EQ(Field([](TaskSpec& s) { s.cap_add = {"NET_ADMIN", "FLY"}; }), "cap_add[1]");
  EXPECT_EQ(Field([](TaskSpec& s) { s.cap_drop = {"net_admin"}; }), "cap_drop[0]")
      << "one text for each, so that equal wishes are equal specifications";
  EXPECT_EQ(CapabilityName("cap_net_admin", ""), "NET_ADMIN");
  EXPECT_EQ(CapabilityName("all", ""), "ALL");
  EXPECT_FALSE(CapabilityName("CAP_", ""));
  EXPECT_TRUE(IsDefaultCapability("CHOWN"));
  EXPECT_FALSE(IsDefaultCapability("SYS_ADMIN"));
  EXPECT_FALSE(IsDefaultCapability("ALL"));
}

TEST(Isolation, PlainProcessesHaveNoneOfIt) {
  const std::vector<std::pair<std::string, std::function<void(TaskSpec&)>>> cases{
      {"volumes", [](TaskSpec& s) { s.volumes = {{"data", "/data", false}}; }},
      {"network", [](TaskSpec& s) { s.network = "none"; }},
      {"cap_add", [](TaskSpec& s) { s.cap_add = {"CHOWN"}; }},
      {"cap_drop", [](TaskSpec& s) { s.cap_drop = {"ALL"}; }},
      {"read_only_root", [](TaskSpec& s) { s.read_only_root = true; }}};
  for (const auto& [field, change] : cases) {
    EXPECT_EQ(Field([&](TaskSpec& spec) {
                spec.image.clear();
                spec.engine = "process";
                spec.command = {"true"};
                change(spec);
              }),
              field);
  }
}

}  // namespace
}  // namespace cube
