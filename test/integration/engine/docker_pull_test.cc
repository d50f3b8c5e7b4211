// Pulling by the Docker driver, from a real registry on this machine.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "test/support/engine/docker_test.h"
#include "test/support/engine/flaky_proxy.h"
#include "test/support/engine/registry.h"

namespace cube::engine {
namespace {

using ::testing::HasSubstr;

class DockerPull : public DockerTest {
 protected:
  void SetUp() override { ASSERT_NO_FATAL_FAILURE(DockerTest::SetUp()); }
  void TearDown() override {
    engine_.reset();
    RemoveContainersOf(real_, owner_.cluster);
    for (const std::string& image : images_) (void)Docker(real_, {"rmi", "-f", image});
  }

  void StartRegistry(bool login) {
    registry_ = std::make_unique<Registry>(folder_ / "registry", login);
    ASSERT_EQ(registry_->Start(), "");
  }
  // Its full name; it is in the registry, and after the test not in the engine.
  std::string Pushed(const std::string& name) {
    EXPECT_EQ(registry_->Push(real_, name), "");
    images_.push_back(registry_->Host() + "/" + name);
    return images_.back();
  }
  static TaskSpec Of(const std::string& image, PullPolicy pull) {
    TaskSpec spec = LongRunning();
    spec.image = image;
    spec.pull = pull;
    return spec;
  }
  bool WasPulling(const LaunchKey& key) {
    const auto history = recorder_.History(key);
    return std::any_of(history.begin(), history.end(), [](const LaunchStatus& s) {
      return s.state == LaunchState::kPulling && !s.detail.empty();
    });
  }

  std::unique_ptr<Registry> registry_;
  std::vector<std::string> images_;
};

TEST_F(DockerPull, MissingIsPulledOnce) {
  StartRegistry(/*login=*/false);
  const std::string image = Pushed("team/app:1");
  StartEngine();
  const LaunchKey first = Launch("first", Of(image, PullPolicy::kMissing));
  WaitRunning(first);
  EXPECT_TRUE(WasPulling(first));
  const LaunchKey second = Launch("second", Of(image, PullPolicy::kMissing));
  WaitRunning(second);
  EXPECT_FALSE(WasPulling(second));
  const LaunchKey always = Launch("always", Of(image, PullPolicy::kAlways));
  WaitRunning(always);
  EXPECT_TRUE(WasPulling(always));
}

TEST_F(DockerPull, NeverIsNever) {
  StartRegistry(/*login=*/false);
  const std::string image = Pushed("app:1");
  StartEngine();
  const LaunchKey key = Launch("never", Of(image, PullPolicy::kNever));
  const LaunchStatus exited = WaitExit(key);
  EXPECT_EQ(exited.cause, ExitCause::kStartFailed);
  EXPECT_EQ(exited.failure, Code::kNotFound);
  EXPECT_FALSE(WasPulling(key));
}

TEST_F(DockerPull, NoTagIsLatestAndDigestsWork) {
  StartRegistry(/*login=*/false);
  const std::string image = Pushed("tagged:latest");
  Pushed("tagged:other");
  StartEngine();
  const std::string bare = registry_->Host() + "/tagged";
  WaitRunning(Launch("bare", Of(bare, PullPolicy::kMissing)));
  // Without a tag the engine would have fetched them all.
  EXPECT_NE(Docker(real_, {"image", "inspect", bare + ":other"}).exit_code, 0);
  ToolResult digest =
      Docker(real_, {"image", "inspect", "--format", "{{index .RepoDigests 0}}", image});
  ASSERT_EQ(digest.exit_code, 0);
  digest.output.pop_back();
  ASSERT_THAT(digest.output, HasSubstr("@sha256:"));
  RemoveContainersOf(real_, owner_.cluster);
  ASSERT_EQ(Docker(real_, {"rmi", "-f", image, digest.output}).exit_code, 0);
  images_.push_back(digest.output);
  WaitRunning(Launch("digest", Of(digest.output, PullPolicy::kMissing)));
}

TEST_F(DockerPull, ManyLaunchesShareOnePull) {
  if (real_.unix_socket.empty()) GTEST_SKIP() << "the proxy speaks to Unix sockets only";
  StartRegistry(/*login=*/false);
  const std::string image = Pushed("shared:1");
  FlakyProxy proxy((folder_ / "proxy.sock").string(), real_.unix_socket);
  proxy.Open();
  docker::Endpoint endpoint = real_;
  endpoint.unix_socket = (folder_ / "proxy.sock").string();
  endpoint.name = "unix://" + endpoint.unix_socket;
  StartEngine(endpoint);
  std::vector<LaunchKey> keys;
  for (int i = 0; i < 8; ++i)
    keys.push_back(Launch("s" + std::to_string(i), Of(image, PullPolicy::kMissing)));
  for (const LaunchKey& key : keys) WaitRunning(key);
  EXPECT_EQ(proxy.Seen("/images/create"), 1);
  EXPECT_EQ(Containers(), 8u);
  engine_.reset();
}

TEST_F(DockerPull, LoginFromTheConfig) {
  StartRegistry(/*login=*/true);
  const std::string image = Pushed("private:1");
  docker::Endpoint endpoint = real_;
  endpoint.config_file = (folder_ / "none.json").string();
  StartEngine(endpoint);
  const LaunchStatus refused = WaitExit(Launch("anonymous", Of(image, PullPolicy::kMissing)));
  EXPECT_EQ(refused.cause, ExitCause::kStartFailed);
  EXPECT_THAT(refused.detail, HasSubstr("config.json"));
  EXPECT_EQ(Containers(), 0u);

  endpoint.config_file = registry_->WriteConfig(folder_ / "docker");
  StartEngine(endpoint);
  WaitRunning(Launch("known", Of(image, PullPolicy::kMissing)));
}

TEST_F(DockerPull, AbsentImageAndAbsentRegistry) {
  StartRegistry(/*login=*/false);
  StartEngine();
  const std::string host = registry_->Host();
  const LaunchStatus absent =
      WaitExit(Launch("absent", Of(host + "/no/such:1", PullPolicy::kMissing)));
  EXPECT_EQ(absent.cause, ExitCause::kStartFailed);
  EXPECT_EQ(absent.failure, Code::kNotFound) << absent.detail;
  registry_.reset();
  const LaunchStatus unreachable =
      WaitExit(Launch("unreachable", Of(host + "/no/such:1", PullPolicy::kMissing)));
  EXPECT_EQ(unreachable.failure, Code::kUnavailable) << unreachable.detail;
  EXPECT_EQ(Containers(), 0u);
}

// A registry that takes connections and says nothing.
TEST_F(DockerPull, StopEndsAPullThatHangs) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(listener, 16), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
  const std::string host = "localhost:" + std::to_string(ntohs(address.sin_port));

  StartEngine();
  const LaunchKey key = Launch("hangs", Of(host + "/x:1", PullPolicy::kAlways));
  WaitFor(key, LaunchState::kPulling);
  const std::vector<LaunchStatus> launches = List();
  ASSERT_EQ(launches.size(), 1u);
  EXPECT_EQ(launches[0].state, LaunchState::kPulling);
  // Whose image is there need not wait for it.
  WaitRunning(Launch("quick", LongRunning()));
  EXPECT_EQ(recorder_.History(key).back().state, LaunchState::kPulling);
  engine_->Stop(Key("quick"), "SIGTERM", std::chrono::seconds(10));
  WaitExit(Key("quick"));
  const std::size_t mark = recorder_.Count();
  engine_->Remove(Key("quick"), "", 0);
  ASSERT_TRUE(recorder_.WaitFor<Removed>(mark));
  engine_->Stop(key, "SIGTERM", std::chrono::seconds(10));
  const LaunchStatus exited = WaitExit(key);
  EXPECT_EQ(exited.cause, ExitCause::kStartFailed);
  EXPECT_EQ(exited.failure, Code::kAborted);
  EXPECT_TRUE(List().empty());
  ::close(listener);
}

}  // namespace
}  // namespace cube::engine
