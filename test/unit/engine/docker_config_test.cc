#include "services/worker/engine/docker/docker_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

namespace cube::engine::docker {
namespace {

using ::testing::HasSubstr;

Result<Endpoint> From(std::map<std::string, std::string> variables) {
  return EndpointFrom([&](const std::string& name) { return variables[name]; });
}

TEST(DockerEndpoint, FromTheEnvironment) {
  auto endpoint = From({{"HOME", "/home/u"}});
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->unix_socket, "/var/run/docker.sock");
  EXPECT_TRUE(endpoint->same_machine);
  EXPECT_EQ(endpoint->config_file, "/home/u/.docker/config.json");

  endpoint = From({{"DOCKER_HOST", "unix:///run/user/1/docker.sock"}, {"DOCKER_CONFIG", "/c"}});
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->unix_socket, "/run/user/1/docker.sock");
  EXPECT_EQ(endpoint->config_file, "/c/config.json");

  endpoint = From({{"DOCKER_HOST", "tcp://10.0.0.1:2375"}, {"DOCKER_API_VERSION", "1.30"}});
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->base_url, "http://10.0.0.1:2375");
  EXPECT_EQ(endpoint->unix_socket, "");
  EXPECT_EQ(endpoint->api_version, "1.30");

  endpoint = From(
      {{"DOCKER_HOST", "tcp://[::1]"}, {"DOCKER_TLS_VERIFY", "1"}, {"DOCKER_CERT_PATH", "/certs"}});
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->base_url, "https://[::1]:2376");
  EXPECT_EQ(endpoint->ca_file, "/certs/ca.pem");
  EXPECT_EQ(endpoint->key_file, "/certs/key.pem");

  for (const char* bad : {"ssh://h", "unix://relative", "tcp://", "tcp://h/path", "h:2375"}) {
    endpoint = From({{"DOCKER_HOST", bad}});
    ASSERT_FALSE(endpoint) << bad;
    EXPECT_EQ(endpoint.error().code, Code::kInvalid);
    EXPECT_EQ(endpoint.error().field, "DOCKER_HOST");
  }
}

TEST(DockerImage, References) {
  const auto is = [](const char* text, const char* registry, const char* from, const char* tag,
                     const char* full) {
    const auto ref = ParseImageRef(text);
    ASSERT_TRUE(ref) << text;
    EXPECT_EQ(*ref, (ImageRef{registry, from, tag, full})) << text;
  };
  is("nginx", "docker.io", "nginx", "latest", "nginx:latest");
  is("nginx:1.27", "docker.io", "nginx", "1.27", "nginx:1.27");
  is("cube/busybox:1", "docker.io", "cube/busybox", "1", "cube/busybox:1");
  is("localhost:5000/x", "localhost:5000", "localhost:5000/x", "latest", "localhost:5000/x:latest");
  is("localhost/x:y", "localhost", "localhost/x", "y", "localhost/x:y");
  is("ghcr.io/a/b/c:2", "ghcr.io", "ghcr.io/a/b/c", "2", "ghcr.io/a/b/c:2");
  is("h:5000/x@sha256:ab", "h:5000", "h:5000/x", "sha256:ab", "h:5000/x@sha256:ab");
  is("x:1@sha256:ab", "docker.io", "x", "sha256:ab", "x@sha256:ab");
  for (const char* bad : {"", ":1", "x:", "x@", "x@y", "a b", "x\n"}) {
    const auto ref = ParseImageRef(bad);
    ASSERT_FALSE(ref) << bad;
    EXPECT_EQ(ref.error().field, "image");
  }
  EXPECT_FALSE(ParseImageRef(std::string(600, 'x')));
}

nlohmann::json Decoded(const RegistryAuth& auth) {
  return nlohmann::json::parse(FromBase64(auth.header).value_or(""), nullptr, false);
}

TEST(DockerAuth, FromConfig) {
  // "dXNlcjpwYTpzcw==" is "user:pa:ss".
  const std::string config =
      R"({"auths":{"localhost:5000":{"auth":"dXNlcjpwYTpzcw=="},)"
      R"("https://index.docker.io/v1/":{"username":"hub","password":"p?>"},)"
      R"("https://r.example/v2/":{"identitytoken":"tok"},"empty.example":{}}})";
  auto auth = Decoded(AuthFor(config, "localhost:5000"));
  EXPECT_EQ(auth["username"], "user");
  EXPECT_EQ(auth["password"], "pa:ss");
  EXPECT_EQ(auth["serveraddress"], "localhost:5000");
  EXPECT_EQ(Decoded(AuthFor(config, "docker.io"))["username"], "hub");
  EXPECT_EQ(Decoded(AuthFor(config, "r.example"))["identitytoken"], "tok");
  EXPECT_EQ(AuthFor(config, "empty.example").header, "");
  EXPECT_THAT(AuthFor(config, "other.example").note, HasSubstr("no credentials for other"));
  EXPECT_THAT(AuthFor("", "x").note, HasSubstr("no docker config.json"));
  EXPECT_THAT(AuthFor("{oops", "x").note, HasSubstr("not a JSON object"));
  EXPECT_THAT(AuthFor("[]", "x").note, HasSubstr("not a JSON object"));
  EXPECT_THAT(AuthFor(R"({"auths":{"x":{}},"credsStore":"pass"})", "x").note,
              HasSubstr("credential helper"));
  EXPECT_THAT(AuthFor(R"({"credHelpers":{"x":"gcr"}})", "x").note, HasSubstr("credential helper"));
  EXPECT_EQ(AuthFor(R"({"auths":{"x":{"auth":"%%%"}}})", "x").header, "");
  EXPECT_EQ(AuthFor(R"({"auths":[1],"credHelpers":7})", "x").header, "");
}

TEST(DockerAuth, Base64) {
  EXPECT_EQ(Base64Url(""), "");
  EXPECT_EQ(Base64Url("f"), "Zg==");
  EXPECT_EQ(Base64Url("fo"), "Zm8=");
  EXPECT_EQ(Base64Url("foo"), "Zm9v");
  EXPECT_EQ(Base64Url("\xfb\xff\xfe"), "-__-");
  EXPECT_EQ(FromBase64("Zm8="), "fo");
  EXPECT_EQ(FromBase64("-__-"), "\xfb\xff\xfe");
  EXPECT_EQ(FromBase64("Z g"), std::nullopt);
}

}  // namespace
}  // namespace cube::engine::docker
