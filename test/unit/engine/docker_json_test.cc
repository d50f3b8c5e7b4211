#include "services/worker/engine/docker/docker_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "shared/base/random.h"

namespace cube::engine::docker {
namespace {

const Owner kOwner{"cluster-1", NodeName::Trusted("node-1")};

Labels OurLabels() {
  return {{"cube.cluster", "cluster-1"}, {"cube.node", "node-1"}, {"cube.task", "web"},
          {"cube.attempt", "3"},         {"cube.launch", "2"},    {"cube.placement", "77:5"}};
}

// As engine 20.10.24 answers, shortened by members that are not read.
constexpr std::string_view kVersion =
    R"({"Platform":{"Name":""},"Version":"20.10.24+dfsg1","ApiVersion":"1.41",)"
    R"("MinAPIVersion":"1.12","Os":"linux","KernelVersion":"6.1.0"})";
constexpr std::string_view kInfo =
    R"({"MemoryLimit":true,"SwapLimit":true,"CpuCfsPeriod":true,"CpuCfsQuota":true,)"
    R"("SystemTime":"2026-11-22T19:20:43.601618742Z","ServerVersion":"20.10.24+dfsg1"})";
constexpr std::string_view kRunning =
    R"({"Id":"b0bbdfac","Created":"2026-11-22T19:21:28.1Z","Path":"sh","Args":["-c","x"],"State":)"
    R"({"Status":"running","Running":true,"Paused":false,"Restarting":false,"OOMKilled":false,)"
    R"("Dead":false,"Pid":16553,"ExitCode":0,"Error":"",)"
    R"("StartedAt":"2026-11-22T19:21:28.467336665Z","FinishedAt":"0001-01-01T00:00:00Z"},)"
    R"("Name":"/foo","RestartCount":0,"HostConfig":{"Memory":16777216,"NanoCpus":500000000},)"
    R"("Config":{"Tty":false,"StopSignal":"SIGQUIT","Labels":{"cube.cluster":"cluster-1",)"
    R"("cube.node":"node-1","cube.task":"web","cube.attempt":"3","cube.launch":"2",)"
    R"("cube.placement":"77:5"}},"NetworkSettings":{"Ports":{"80/tcp":[{"HostIp":"::",)"
    R"("HostPort":"32770"},{"HostIp":"0.0.0.0","HostPort":"32769"}],"53/udp":[{"HostIp":)"
    R"("0.0.0.0","HostPort":"32768"}],"9/tcp":null},)"
    R"("Networks":{"bridge":{"IPAddress":"172.17.0.2"}}}})";
constexpr std::string_view kList =
    R"([{"Id":"66f73af4","Names":["/foo"],"Image":"x:latest","Created":1795375245,"Ports":[)"
    R"({"IP":"0.0.0.0","PrivatePort":53,"PublicPort":32768,"Type":"udp"},)"
    R"({"PrivatePort":80,"Type":"tcp"}],"Labels":{"a":"b"},"State":"running","Status":"Up"}])";
constexpr std::string_view kDie =
    R"({"status":"die","id":"b0bb","from":"x:latest","Type":"container","Action":"die","Actor":)"
    R"({"ID":"b0bb","Attributes":{"cube.task":"web","exitCode":"137","image":"x:latest",)"
    R"("name":"foo"}},"scope":"local","time":1795375289,"timeNano":1795375289565129578})";
constexpr std::string_view kDownloading =
    R"({"status":"Downloading","progressDetail":{"current":540,"total":1200},"progress":"[=>]",)"
    R"("id":"5c0e"})";
constexpr std::string_view kPullError =
    R"({"errorDetail":{"code":401,"message":"authentication required"},)"
    R"("error":"authentication required"})";

TEST(DockerLabels, IdentityNeedsOwnerAndAllParts) {
  const auto identity = IdentityOf(OurLabels(), kOwner);
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->key, (LaunchKey{TaskId::Trusted("web"), 3, 2}));
  EXPECT_EQ(identity->placement, (Stamp{77, 5}));
  for (const auto& [name, value] : OurLabels()) {
    Labels without = OurLabels();
    without.erase(name);
    EXPECT_FALSE(IdentityOf(without, kOwner)) << name;
    Labels wrong = OurLabels();
    wrong[name] = "-1:";
    EXPECT_FALSE(IdentityOf(wrong, kOwner)) << name;
  }
  EXPECT_FALSE(IdentityOf(OurLabels(), {"cluster-2", kOwner.node}));
  EXPECT_FALSE(IdentityOf(OurLabels(), {"cluster-1", NodeName::Trusted("node-2")}));
  EXPECT_FALSE(IdentityOf({}, {"", NodeName()}));
}

TEST(DockerVersion, Negotiation) {
  const auto server = DecodeVersion(kVersion);
  ASSERT_TRUE(server);
  EXPECT_EQ(server->version, "20.10.24+dfsg1");
  EXPECT_EQ(NegotiateVersion(*server, ""), (ApiVersion{1, 41}));
  EXPECT_EQ(NegotiateVersion(*server, "1.30"), (ApiVersion{1, 30}));
  EXPECT_EQ(NegotiateVersion(*server, "1.42").error().code, Code::kUnsupported);
  EXPECT_EQ(NegotiateVersion(*server, "new").error().code, Code::kInvalid);
  EXPECT_EQ(NegotiateVersion({"99", {1, 99}, {1, 44}}, ""), kApiVersionMax);
  EXPECT_EQ(NegotiateVersion({"1.11", {1, 23}, {1, 12}}, "").error().code, Code::kUnsupported);
  EXPECT_EQ(NegotiateVersion({"99", {1, 99}, {1, 60}}, "").error().code, Code::kUnsupported);
  EXPECT_FALSE(DecodeVersion("{}"));
  EXPECT_FALSE(DecodeVersion(R"({"ApiVersion":41})"));
}

TEST(DockerVersion, LimitsAndClock) {
  const auto info = DecodeInfo(kInfo);
  ASSERT_TRUE(info);
  EXPECT_TRUE(info->limits);
  EXPECT_EQ(FormatRfc3339(info->system_time), "2026-11-22T19:20:43.601Z");
  EXPECT_FALSE(DecodeInfo(R"({"MemoryLimit":false,"CpuCfsQuota":true})")->limits);
  EXPECT_FALSE(DecodeInfo("[]"));
}

TEST(DockerContainer, Running) {
  const auto container = DecodeContainer(kRunning);
  ASSERT_TRUE(container);
  const auto identity = IdentityOf(container->labels, kOwner);
  ASSERT_TRUE(identity);
  const LaunchStatus status = StatusOf(*container, *identity);
  EXPECT_EQ(status.state, LaunchState::kRunning);
  EXPECT_EQ(status.cause, ExitCause::kNone);
  EXPECT_EQ(status.container_id, "b0bbdfac");
  EXPECT_EQ(FormatRfc3339(status.started_at), "2026-11-22T19:21:28.467Z");
  EXPECT_FALSE(IsSet(status.finished_at));
  // Sorted; of two bindings the one for IPv4; unpublished ports are left out.
  EXPECT_EQ(status.ports,
            (std::vector<BoundPort>{{53, 32768, Protocol::kUdp}, {80, 32769, Protocol::kTcp}}));
  EXPECT_EQ(status.address, "172.17.0.2");
  EXPECT_EQ(container->stop_signal, "SIGQUIT");
  EXPECT_EQ(container->memory_bytes, 16777216);
}

LaunchStatus Ended(const std::string& state) {
  const auto container = DecodeContainer(R"({"Id":"x","State":{"StartedAt":"2026-11-22T19:21:28Z",)"
                                         R"("FinishedAt":"2026-11-22T19:21:29Z",)" +
                                         state + "}}");
  EXPECT_TRUE(container) << container.error().Text();
  return StatusOf(*container, {});
}

TEST(DockerContainer, Ends) {
  LaunchStatus status = Ended(R"("Status":"exited","ExitCode":3)");
  EXPECT_EQ(status.state, LaunchState::kExited);
  EXPECT_EQ(status.cause, ExitCause::kExited);
  EXPECT_EQ(status.exit_code, 3);
  EXPECT_EQ(status.finished_at - status.started_at, std::chrono::seconds(1));
  EXPECT_EQ(Ended(R"("Status":"exited","ExitCode":137)").cause, ExitCause::kSignaled);
  EXPECT_EQ(Ended(R"("Status":"exited","ExitCode":128)").cause, ExitCause::kExited);
  EXPECT_EQ(Ended(R"("Status":"exited","ExitCode":255)").cause, ExitCause::kExited);
  EXPECT_EQ(Ended(R"("Status":"exited","ExitCode":137,"OOMKilled":true)").cause,
            ExitCause::kOutOfMemory);
  EXPECT_EQ(MemoryLimitText(16 << 20), "16 MiB");
  EXPECT_EQ(MemoryLimitText((16 << 20) + 1), "16777217 bytes");
  // A helper of it was killed, it went on and ended well.
  EXPECT_EQ(Ended(R"("Status":"exited","ExitCode":0,"OOMKilled":true)").cause, ExitCause::kExited);
  EXPECT_EQ(Ended(R"("Status":"dead","ExitCode":1)").state, LaunchState::kExited);
  EXPECT_EQ(Ended(R"("Status":"paused","Running":true)").state, LaunchState::kRunning);
  EXPECT_EQ(Ended(R"("Status":"created")").state, LaunchState::kStarting);
}

TEST(DockerContainer, ListAndEvents) {
  const auto rows = DecodeContainerList(kList);
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ((*rows)[0].state, "running");
  EXPECT_EQ((*rows)[0].ports, (std::vector<BoundPort>{{53, 32768, Protocol::kUdp}}));
  EXPECT_FALSE(DecodeContainerList("{}"));
  EXPECT_FALSE(DecodeContainerList(R"([{"Id":7}])"));

  const auto event = DecodeEvent(kDie);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->action, "die");
  EXPECT_EQ(event->id, "b0bb");
  EXPECT_EQ(ToNanos(event->time), 1795375289565129578);
  EXPECT_EQ(event->labels.at("exitCode"), "137");
  EXPECT_FALSE(DecodeEvent("{}"));
}

TEST(DockerContainer, ErrorTexts) {
  EXPECT_EQ(DecodeErrorText(R"({"message":"No such image: x"})"), "No such image: x");
  EXPECT_EQ(DecodeErrorText("page not found\n"), "page not found\n");
  EXPECT_LE(DecodeErrorText(std::string(5000, 'x')).size(), 512u);
  // They go into facts, whose texts are UTF-8.
  EXPECT_EQ(DecodeErrorText("no \xff"), "no \uFFFD");
  EXPECT_NE(DecodeVersion("\xff").error().message.find("\uFFFD"), std::string::npos);
  EXPECT_EQ(DecodeCreated(R"({"Id":"abc","Warnings":[]})"), "abc");
  EXPECT_FALSE(DecodeCreated(R"({"id":1})"));
}

TEST(DockerPull, Progress) {
  PullProgress progress;
  EXPECT_EQ(progress.Text(), "asking the registry");
  const auto add = [&](std::string_view line) {
    const auto step = DecodePullStep(line);
    ASSERT_TRUE(step);
    EXPECT_FALSE(step->error);
    progress.Add(*step);
  };
  add(R"({"status":"Pulling from library/busybox","id":"latest"})");
  EXPECT_EQ(progress.Text(), "asking the registry");
  add(R"({"status":"Pulling fs layer","progressDetail":{},"id":"5c0e"})");
  add(R"({"status":"Already exists","progressDetail":{},"id":"77aa"})");
  EXPECT_EQ(progress.Text(), "1/2 layers");
  add(kDownloading);
  EXPECT_EQ(progress.Text(), "1/2 layers, 45%");
  add(R"({"status":"Pull complete","progressDetail":{},"id":"5c0e"})");
  add(R"({"status":"Digest: sha256:aa"})");
  EXPECT_EQ(progress.Text(), "2/2 layers, 100%");

  const auto failed = DecodePullStep(kPullError);
  ASSERT_TRUE(failed && failed->error);
  EXPECT_EQ(failed->error->code, Code::kPermission);
  EXPECT_EQ(failed->error->message, "authentication required");
  EXPECT_FALSE(DecodePullStep("nonsense"));
}

TEST(DockerCreate, CarriesTheWholeSpec) {
  auto spec = std::make_shared<TaskSpec>();
  spec->image = "nginx:1";
  spec->command = {"a", "b c"};
  spec->entrypoint = {"/e"};
  spec->env = {{"K", "v=\"1\""}, {"BAD", "\xff"}};
  spec->labels = {{"team", "x"}, {"cube.task", "forged"}};
  spec->user = "1000:1000";
  spec->workdir = "/srv";
  spec->stop_signal = "SIGINT";
  spec->resources = {.cpu_millis = 1500, .memory_bytes = 64 << 20, .disk_bytes = 5};
  spec->ports = {{.port = 80, .host_port = 8080, .protocol = Protocol::kTcp, .name = "http"},
                 {.port = 53, .host_port = 0, .protocol = Protocol::kUdp, .name = ""}};
  const LaunchRequest request{{TaskId::Trusted("web"), 3, 2}, {77, 5}, spec};
  const auto body = nlohmann::json::parse(EncodeCreate(kOwner, request));
  EXPECT_EQ(body["Image"], "nginx:1");
  EXPECT_EQ(body["Cmd"], (nlohmann::json{"a", "b c"}));
  EXPECT_EQ(body["Entrypoint"], nlohmann::json::array({"/e"}));
  EXPECT_EQ(body["Env"][1], "K=v=\"1\"");
  EXPECT_EQ(body["User"], "1000:1000");
  EXPECT_EQ(body["WorkingDir"], "/srv");
  EXPECT_EQ(body["StopSignal"], "SIGINT");
  EXPECT_EQ(body["Healthcheck"]["Test"], nlohmann::json::array({"NONE"}));
  const auto& host = body["HostConfig"];
  EXPECT_EQ(host["NanoCpus"], 1'500'000'000);
  EXPECT_EQ(host["Memory"], 64 << 20);
  EXPECT_EQ(host["MemorySwap"], 64 << 20);
  EXPECT_EQ(host["RestartPolicy"]["Name"], "no");
  EXPECT_EQ(host["SecurityOpt"][0], "no-new-privileges");
  EXPECT_EQ(host["PortBindings"]["80/tcp"][0]["HostPort"], "8080");
  EXPECT_EQ(host["PortBindings"]["53/udp"][0]["HostPort"], "");
  EXPECT_TRUE(body["ExposedPorts"].contains("53/udp"));
  // Ours win over a user's of the same name, and read back as the same launch.
  const auto labels = body["Labels"].get<std::map<std::string, std::string>>();
  EXPECT_EQ(labels.at("team"), "x");
  const auto identity = IdentityOf(Labels(labels.begin(), labels.end()), kOwner);
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->key, request.key);
  EXPECT_EQ(identity->placement, request.placement);
}

TEST(DockerCreate, CarriesIsolation) {
  auto spec = std::make_shared<TaskSpec>();
  spec->image = "nginx:1";
  spec->volumes = {{"data", "/data", false}, {"/srv", "/srv2", true}, {"", "/own", false}};
  spec->network = "host";
  spec->ports = {{.port = 80, .host_port = 80, .protocol = Protocol::kTcp, .name = ""}};
  spec->cap_add = {"NET_ADMIN"};
  spec->cap_drop = {"ALL"};
  spec->read_only_root = true;
  const LaunchRequest request{{TaskId::Trusted("web"), 1, 0}, {1, 1}, spec};
  const auto host = nlohmann::json::parse(EncodeCreate(kOwner, request))["HostConfig"];
  const auto& mounts = host["Mounts"];
  ASSERT_EQ(mounts.size(), 3u);
  EXPECT_EQ(mounts[0]["Type"], "volume");
  EXPECT_EQ(mounts[0]["Source"], "data");
  EXPECT_EQ(mounts[0]["Target"], "/data");
  EXPECT_EQ(mounts[0]["VolumeOptions"]["Labels"]["cube.cluster"], kOwner.cluster);
  EXPECT_EQ(mounts[1]["Type"], "bind");
  EXPECT_EQ(mounts[1]["ReadOnly"], true);
  EXPECT_FALSE(mounts[1].contains("VolumeOptions"));
  EXPECT_FALSE(mounts[2].contains("Source"));
  EXPECT_EQ(host["NetworkMode"], "host");
  EXPECT_EQ(host["CapAdd"][0], "NET_ADMIN");
  EXPECT_EQ(host["CapDrop"][0], "ALL");
  EXPECT_EQ(host["ReadonlyRootfs"], true);
}

TEST(DockerContainer, AnAddressOfIPv6WhereThereIsNoOther) {
  const auto address = [](const std::string& networks) {
    const auto container =
        DecodeContainer(R"({"Id":"a","State":{"Status":"running"},"NetworkSettings":{"Networks":)" +
                        networks + "}}");
    return container ? container->address : "not decoded";
  };
  EXPECT_EQ(address(R"({"a":{"IPAddress":"","GlobalIPv6Address":"fd00::2"}})"), "fd00::2");
  EXPECT_EQ(address(R"({"a":{"GlobalIPv6Address":"fd00::2"},"b":{"IPAddress":"10.0.0.2"}})"),
            "10.0.0.2");
  EXPECT_EQ(address(R"({"none":{"IPAddress":"","GlobalIPv6Address":""}})"), "");
}

TEST(DockerNetworksAndVolumes, Decode) {
  EXPECT_EQ(DecodeNetwork(R"({"Name":"host","Id":"ab","Driver":"host"})")->driver, "host");
  EXPECT_FALSE(DecodeNetwork(R"({"message":"network x not found"})"));
  EXPECT_EQ(DecodeVolume(R"({"Name":"v","Labels":{"cube.cluster":"c"}})")->at("cube.cluster"), "c");
  EXPECT_TRUE(DecodeVolume(R"({"Name":"v","Labels":null})")->empty());
  EXPECT_FALSE(DecodeVolume("[]"));
}

TEST(DockerExec, EncodesAndDecodes) {
  ExecRequest request;
  request.command = {"ls", "-l"};
  request.env["A"] = "1";
  request.workdir = "/tmp";
  request.user = "nobody";
  request.input = true;
  const auto body = nlohmann::json::parse(EncodeExec(request, "MARK=2"));
  EXPECT_EQ(body["Cmd"], nlohmann::json({"ls", "-l"}));
  EXPECT_EQ(body["Env"], nlohmann::json({"A=1", "MARK=2"}));
  EXPECT_EQ(body["WorkingDir"], "/tmp");
  EXPECT_EQ(body["User"], "nobody");
  EXPECT_EQ(body["AttachStdin"], true);
  EXPECT_EQ(body["Tty"], false);

  auto state = DecodeExec(R"({"Running":true,"ExitCode":null,"Pid":4711})");
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->running);
  EXPECT_FALSE(state->exit_code);
  EXPECT_EQ(state->pid, 4711);
  state = DecodeExec(R"({"Running":false,"ExitCode":3,"Pid":0})");
  ASSERT_TRUE(state);
  EXPECT_EQ(state->exit_code, 3);
  EXPECT_FALSE(DecodeExec("{}"));
  EXPECT_FALSE(DecodeExec("nonsense"));
}

TEST(DockerCreate, LeavesOutWhatIsNotGiven) {
  auto spec = std::make_shared<TaskSpec>();
  spec->image = "x:latest";
  const auto body = nlohmann::json::parse(EncodeCreate(kOwner, {{}, {}, spec}));
  for (const char* name : {"Cmd", "Entrypoint", "Env", "User", "WorkingDir", "ExposedPorts"})
    EXPECT_FALSE(body.contains(name)) << name;
  for (const char* name : {"Memory", "NanoCpus", "PortBindings"})
    EXPECT_FALSE(body["HostConfig"].contains(name)) << name;
}

// Law 10: no bytes from outside crash a decoder. Every sample is cut, and has bytes changed; the
// sanitizer build sees what goes wrong.
TEST(DockerGarbage, NeverCrashes) {
  Random random(20261122);
  constexpr std::string_view kSyntax = "{}[]\":,0e-\\\x00\xff";
  std::size_t decoded = 0;
  const auto decode = [&](std::string_view text) {
    decoded += DecodeVersion(text).has_value() ? 1u : 0u;
    decoded += DecodeInfo(text).has_value() ? 1u : 0u;
    if (const auto container = DecodeContainer(text)) {
      ++decoded;
      (void)StatusOf(*container, IdentityOf(container->labels, kOwner).value_or(Identity{}));
    }
    decoded += DecodeContainerList(text).has_value() ? 1u : 0u;
    decoded += DecodeEvent(text).has_value() ? 1u : 0u;
    decoded += DecodeCreated(text).has_value() ? 1u : 0u;
    PullProgress progress;
    if (const auto step = DecodePullStep(text)) progress.Add(*step);
    (void)progress.Text();
    (void)DecodeErrorText(text);
  };
  for (const std::string_view sample :
       {kVersion, kInfo, kRunning, kList, kDie, kDownloading, kPullError}) {
    for (std::size_t i = 0; i < sample.size(); i += 7) decode(sample.substr(0, i));
    for (int round = 0; round < 500; ++round) {
      std::string text(sample);
      for (std::uint64_t n = 1 + random.Below(4); n > 0; --n) {
        const std::size_t at = random.Below(text.size());
        text[at] = random.Chance(500'000) ? kSyntax[random.Below(kSyntax.size())]
                                          : static_cast<char>(random.Below(256));
      }
      decode(text);
    }
  }
  // Most of the changes hit a text's inside, so that decoding goes on behind the parser.
  EXPECT_GT(decoded, 500u);
}

TEST(DockerGarbage, WrongTypesEverywhere) {
  for (const char* value : {"null", "7", "\"x\"", "[]", "{}", "true", "1e999", "-1"}) {
    const std::string v = value;
    const auto container = DecodeContainer(
        R"({"Id":"x","State":{"Status":)" + v + R"(,"ExitCode":)" + v + R"(,"OOMKilled":)" + v +
        R"(,"StartedAt":)" + v + R"(},"Config":{"Labels":{"a":)" + v + R"(}},"NetworkSettings":)" +
        R"({"Ports":{"80/tcp":)" + v + R"(,"x":[)" + v + R"(]}}})");
    if (container) (void)StatusOf(*container, {});
    (void)DecodeContainer(R"({"Id":"x","State":)" + v + R"(,"Config":)" + v + "}");
    (void)DecodePullStep(R"({"id":)" + v + R"(,"status":)" + v + R"(,"progressDetail":)" + v +
                         R"(,"errorDetail":)" + v + "}");
    (void)DecodeContainerList("[" + v + "]");
  }
  const std::string deep(100'000, '[');
  EXPECT_FALSE(DecodeContainer(deep));
}

}  // namespace
}  // namespace cube::engine::docker
