#include "shared/domain/validate.h"

#include <gtest/gtest.h>

#include <functional>

#include "shared/domain/isolation.h"
#include "shared/domain/rules.h"
#include "test/support/wire/values.h"

namespace cube {
namespace {

TaskSpec Good() {
  TaskSpec spec;
  spec.name = TaskName::Trusted("web");
  spec.image = "nginx:1.27";
  return spec;
}

struct Case {
  const char* what;
  std::function<void(TaskSpec&)> change;
  const char* field;  // "" = accepted
};

void Check(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    TaskSpec spec = Good();
    c.change(spec);
    const auto result = Validate(spec);
    if (*c.field == '\0') {
      EXPECT_TRUE(result) << c.what << ": " << (result ? "" : result.error().Text());
      continue;
    }
    ASSERT_FALSE(result) << c.what;
    EXPECT_EQ(result.error().field, c.field) << c.what << ": " << result.error().Text();
    EXPECT_EQ(result.error().code, Code::kInvalid) << c.what;
    EXPECT_FALSE(result.error().message.empty()) << c.what;
  }
}

using S = TaskSpec;
const std::string kNul("a\0b", 3);

TEST(Validate, NameImageAndEngine) {
  Check({
      {"as it is", [](S&) {}, ""},
      {"no name", [](S& s) { s.name = {}; }, "name"},
      {"nothing to run", [](S& s) { s.image.clear(); }, "image"},
      {"docker without image",
       [](S& s) {
         s.image.clear();
         s.engine = "docker";
         s.command = {"ls"};
       },
       "image"},
      {"process with image", [](S& s) { s.engine = "process"; }, "image"},
      {"process without command",
       [](S& s) {
         s.engine = "process";
         s.image.clear();
       },
       "command"},
      {"process by its command",
       [](S& s) {
         s.image.clear();
         s.command = {"/bin/true"};
       },
       ""},
      {"process by its entrypoint",
       [](S& s) {
         s.image.clear();
         s.entrypoint = {"/bin/true"};
       },
       ""},
      {"process with an empty program",
       [](S& s) {
         s.image.clear();
         s.command = {""};
       },
       "command[0]"},
      {"sim with image", [](S& s) { s.engine = "sim"; }, ""},
      {"unknown engine", [](S& s) { s.engine = "podman"; }, "engine"},
      {"image with a blank", [](S& s) { s.image = "ngi nx"; }, "image"},
      {"image that looks like a flag", [](S& s) { s.image = "--privileged"; }, "image"},
      {"long image", [](S& s) { s.image = std::string(513, 'a'); }, "image"},
      {"digest", [](S& s) { s.image = "r.example.com:5000/a/b_c@sha256:0123abcd"; }, ""},
  });
}

TEST(Validate, Texts) {
  Check({
      {"NUL in an argument", [](S& s) { s.command = {"a", kNul}; }, "command[1]"},
      {"NUL in the entrypoint", [](S& s) { s.entrypoint = {kNul}; }, "entrypoint[0]"},
      {"empty entrypoint", [](S& s) { s.entrypoint = {""}; }, "entrypoint[0]"},
      {"not UTF-8", [](S& s) { s.command = {"\xFF"}; }, "command[0]"},
      {"long argument", [](S& s) { s.command = {std::string(kTextLengthMax + 1, 'a')}; },
       "command[0]"},
      {"longest argument", [](S& s) { s.command = {std::string(kTextLengthMax, 'a')}; }, ""},
      {"many arguments", [](S& s) { s.command.resize(kArgumentsMax + 1, "a"); }, "command"},
      {"env", [](S& s) { s.env = {{"A", "1"}, {"B", ""}, {"my.var", "=x"}}; }, ""},
      {"env without name", [](S& s) { s.env = {{"", "1"}}; }, "env"},
      {"env with =", [](S& s) { s.env = {{"A=B", "1"}}; }, "env.A=B"},
      {"env with NUL", [](S& s) { s.env = {{"A", kNul}}; }, "env.A"},
      {"env name with NUL", [](S& s) { s.env = {{kNul, "x"}}; }, "env"},
      {"labels", [](S& s) { s.labels = {{"team/a.b", "x y"}}; }, ""},
      {"label without name", [](S& s) { s.labels = {{"", "x"}}; }, "labels"},
      {"label with a blank", [](S& s) { s.labels = {{"a b", "x"}}; }, "labels"},
      {"our own label", [](S& s) { s.labels = {{"cube.task", "x"}}; }, "labels.cube.task"},
      {"label value with NUL", [](S& s) { s.labels = {{"a", kNul}}; }, "labels.a"},
      {"user", [](S& s) { s.user = "1000:1000"; }, ""},
      {"user with a blank", [](S& s) { s.user = "a b"; }, "user"},
      {"user with NUL", [](S& s) { s.user = kNul; }, "user"},
      {"workdir", [](S& s) { s.workdir = "/srv/my app"; }, ""},
      {"relative workdir", [](S& s) { s.workdir = "srv"; }, "workdir"},
  });
}

TEST(Validate, Counts) {
  Check({
      {"too much env",
       [](S& s) {
         for (std::size_t i = 0; i <= kEnvMax; ++i) s.env["V" + std::to_string(i)] = "";
       },
       "env"},
      {"too many labels",
       [](S& s) {
         for (std::size_t i = 0; i <= kLabelsMax; ++i) s.labels["k" + std::to_string(i)] = "";
       },
       "labels"},
      {"too many ports",
       [](S& s) {
         for (std::size_t i = 0; i <= kPortsMax; ++i) {
           s.ports.push_back({static_cast<std::uint16_t>(i + 1), 0, Protocol::kTcp, ""});
         }
       },
       "ports"},
      {"too many constraints",
       [](S& s) {
         s.constraints.resize(kConstraintsMax + 1, {"gpu", Constraint::Op::kExists, {}});
       },
       "constraints"},
  });
}

TEST(Validate, Ports) {
  const auto ports = [](std::vector<PortSpec> list) { return [list](S& s) { s.ports = list; }; };
  constexpr auto kTcp = Protocol::kTcp;
  constexpr auto kUdp = Protocol::kUdp;
  Check({
      {"port 0", ports({{0, 80, kTcp, ""}}), "ports[0].port"},
      {"same inside", ports({{80, 1, kTcp, ""}, {80, 2, kTcp, ""}}), "ports[1].port"},
      {"same outside", ports({{80, 1, kTcp, ""}, {81, 1, kTcp, ""}}), "ports[1].host_port"},
      {"both chosen by the engine", ports({{80, 0, kTcp, ""}, {81, 0, kTcp, ""}}), ""},
      {"two protocols", ports({{53, 53, kTcp, ""}, {53, 53, kUdp, ""}}), ""},
      {"names", ports({{80, 0, kTcp, "http"}, {81, 0, kTcp, "admin"}}), ""},
      {"same name", ports({{80, 0, kTcp, "a"}, {81, 0, kTcp, "a"}}), "ports[1].name"},
      {"bad name", ports({{80, 0, kTcp, "A B"}}), "ports[0].name"},
  });
}

TEST(Validate, AmountsAndPolicies) {
  Check({
      {"negative cpus", [](S& s) { s.resources.cpu_millis = -1; }, "cpus"},
      {"too many cpus", [](S& s) { s.resources.cpu_millis = kCpuMillisMax + 1; }, "cpus"},
      {"negative memory", [](S& s) { s.resources.memory_bytes = -1; }, "memory"},
      {"less memory than docker takes",
       [](S& s) { s.resources.memory_bytes = kMemoryBytesMin - 1; }, "memory"},
      {"docker's least", [](S& s) { s.resources.memory_bytes = kMemoryBytesMin; }, ""},
      {"little memory for sim",
       [](S& s) {
         s.engine = "sim";
         s.resources.memory_bytes = 1;
       },
       ""},
      {"disk", [](S& s) { s.resources.disk_bytes = kBytesMax + 1; }, "disk"},
      {"restart no with a count", [](S& s) { s.restart = {RestartMode::kNo, 1}; }, "restart"},
      {"restart always with a count", [](S& s) { s.restart = {RestartMode::kAlways, 3}; },
       "restart"},
      {"restart without end", [](S& s) { s.restart = {RestartMode::kOnFailure, 0}; }, ""},
      {"restart count", [](S& s) { s.restart = {RestartMode::kOnFailure, 1001}; }, "restart"},
      {"signal", [](S& s) { s.stop_signal = "int"; }, ""},
      {"no signal", [](S& s) { s.stop_signal = "SIGNONE"; }, "stop_signal"},
      {"negative grace", [](S& s) { s.stop_grace = Duration(-1); }, "stop_grace"},
      {"long grace", [](S& s) { s.stop_grace = kStopGraceMax + Duration(1); }, "stop_grace"},
      {"no grace", [](S& s) { s.stop_grace = Duration(0); }, ""},
      {"priority", [](S& s) { s.priority = kPriorityMax + 1; }, "priority"},
      {"negative priority", [](S& s) { s.priority = -kPriorityMax; }, ""},
  });
}

TEST(Validate, Constraints) {
  using Op = Constraint::Op;
  const auto constraint = [](Constraint c) { return [c](S& s) { s.constraints = {c}; }; };
  Check({
      {"exists", constraint({"gpu", Op::kExists, {}}), ""},
      {"exists with a value", constraint({"gpu", Op::kExists, {"x"}}), "constraints[0]"},
      {"equals", constraint({"disk", Op::kEquals, {"ssd"}}), ""},
      {"equals nothing", constraint({"disk", Op::kEquals, {}}), "constraints[0]"},
      {"equals two", constraint({"disk", Op::kEquals, {"a", "b"}}), "constraints[0]"},
      {"in", constraint({"zone", Op::kIn, {"a", "b"}}), ""},
      {"in nothing", constraint({"zone", Op::kIn, {}}), "constraints[0]"},
      {"in too many",
       constraint({"zone", Op::kIn, std::vector<std::string>(kConstraintValuesMax + 1, "a")}),
       "constraints[0]"},
      {"no label", constraint({"", Op::kExists, {}}), "constraints[0]"},
      {"comma", constraint({"zone", Op::kEquals, {"a,b"}}), "constraints[0]"},
      {"empty value", constraint({"zone", Op::kEquals, {""}}), "constraints[0]"},
  });
}

TEST(Validate, Placement) {
  const Constraint gpu{"gpu", Constraint::Op::kExists, {}};
  const auto affinity = [](Affinity a) { return [a](S& s) { s.affinities = {a}; }; };
  Check({
      {"attracts", affinity({gpu, 100}), ""},
      {"repels", affinity({gpu, -100}), ""},
      {"does nothing", affinity({gpu, 0}), "affinities[0].weight"},
      {"too strong", affinity({gpu, 101}), "affinities[0].weight"},
      {"too weak", affinity({gpu, -101}), "affinities[0].weight"},
      {"no rule", affinity({{}, 1}), "affinities[0].rule"},
      {"too many", [&](S& s) { s.affinities.assign(kAffinitiesMax + 1, {gpu, 1}); }, "affinities"},
      {"a policy", [](S& s) { s.scheduler = "epvm-book"; }, ""},
      {"no policy", [](S& s) { s.scheduler = "best"; }, "scheduler"},
      {"distinct", [](S& s) { s.distinct = kDistinctMax; }, ""},
      {"too distinct", [](S& s) { s.distinct = kDistinctMax + 1; }, "distinct"},
  });
}

TEST(ParsePolicy, KnowsTheBooksSpellingAndListsWhatThereIs) {
  for (std::string_view policy : kPolicies) EXPECT_EQ(ParsePolicy(policy, "scheduler"), policy);
  EXPECT_EQ(ParsePolicy("roundrobin", "scheduler"), "round-robin");
  const auto none = ParsePolicy("best", "--scheduler");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().Text(),
            "--scheduler: 'best' is no scheduling policy; there are round-robin, spread, binpack, "
            "epvm, epvm-book, greedy");
}

TEST(Validate, Health) {
  using Kind = HealthCheck::Kind;
  // A tcp check of a published port, then changed.
  const auto health = [](auto change) {
    return [change](TaskSpec& s) {
      s.ports = {{53, 0, Protocol::kUdp, "dns"}, {80, 0, Protocol::kTcp, "web"}};
      s.health.emplace().kind = Kind::kTcp;
      change(*s.health);
    };
  };
  const auto http = [&health](std::string path) {
    return health([path](HealthCheck& h) {
      h.kind = Kind::kHttp;
      h.http_path = path;
    });
  };
  Check({
      {"tcp", health([](HealthCheck&) {}), ""},
      {"named", health([](HealthCheck& h) { h.port_name = "web"; }), ""},
      {"another name", health([](HealthCheck& h) { h.port_name = "x"; }), "health.port"},
      {"a udp port", health([](HealthCheck& h) { h.port_name = "dns"; }), "health.port"},
      {"name and number", health([](HealthCheck& h) {
         h.port_name = "web";
         h.port = 80;
       }),
       "health.port"},
      {"no port", [](TaskSpec& s) { s.health.emplace().kind = Kind::kTcp; }, "health.port"},
      {"a number needs no publishing",
       [](TaskSpec& s) {
         s.health.emplace().kind = Kind::kTcp;
         s.health->port = 9000;
       },
       ""},
      {"nowhere to go to",
       [](TaskSpec& s) {
         s.network = kNetworkNone;
         s.health.emplace().kind = Kind::kTcp;
         s.health->port = 9000;
       },
       "health"},
      {"http", http("/health?deep=1"), ""},
      {"no path", http(""), "health.http"},
      {"relative", http("health"), "health.http"},
      {"blank", http("/a b"), "health.http"},
      {"line", http("/a\r\nX: y"), "health.http"},
      {"long", http("/" + std::string(kHealthPathLengthMax, 'x')), "health.http"},
      {"two kinds", health([](HealthCheck& h) { h.http_path = "/"; }), "health.http"},
      {"command", health([](HealthCheck& h) {
         h.kind = Kind::kCommand;
         h.command = {"true"};
       }),
       ""},
      {"no command", health([](HealthCheck& h) { h.kind = Kind::kCommand; }), "health.command"},
      {"a command has no port", health([](HealthCheck& h) {
         h.kind = Kind::kCommand;
         h.command = {"true"};
         h.port = 80;
       }),
       "health.port"},
      {"often", health([](HealthCheck& h) { h.interval = std::chrono::milliseconds(99); }),
       "health.interval"},
      {"no timeout", health([](HealthCheck& h) { h.timeout = Duration(0); }), "health.timeout"},
      {"long timeout", health([](HealthCheck& h) { h.timeout = std::chrono::minutes(6); }),
       "health.timeout"},
      {"negative", health([](HealthCheck& h) { h.start_period = Duration(-1); }),
       "health.start_period"},
      {"no retries", health([](HealthCheck& h) { h.retries = 0; }), "health.retries"},
      {"no successes", health([](HealthCheck& h) { h.successes = 0; }), "health.successes"},
  });
}

TEST(Validate, Reschedule) {
  using Mode = ReschedulePolicy::Mode;
  const auto policy = [](Mode mode, std::uint32_t moves) {
    return [mode, moves](TaskSpec& s) { s.reschedule = {mode, moves}; };
  };
  Check({
      {"never", policy(Mode::kNever, 0), ""},
      {"on failure", policy(Mode::kOnFailure, kMovesMax), ""},
      {"no moves", policy(Mode::kOnFailure, 0), "reschedule"},
      {"many", policy(Mode::kOnFailure, kMovesMax + 1), "reschedule"},
      {"moves of what never moves", policy(Mode::kNever, 1), "reschedule"},
  });
}

TEST(Validate, AcceptsWhatTheGeneratorMakes) {
  Random random(11);
  for (int i = 0; i < 2000; ++i) {
    const TaskSpec spec = testing::RandomSpec(random);
    const auto result = Validate(spec);
    ASSERT_TRUE(result) << i << ": " << result.error().Text();
  }
}

TEST(CheckPlainTaskId, ReservesTheFormOfJobs) {
  for (const char* good : {"web", "web-v1", "web-v1-x", "web-1-2", "v1-2", "web-v-1", "web-v1a-2",
                           "web-b-a", "0190a5e8-7c1e-7000-8000-000000000000"}) {
    EXPECT_TRUE(CheckPlainTaskId(good, "id")) << good;
  }
  for (const char* bad : {"web-v1-0", "a-v12-345", "web-v1-v2-3", "Web", "", "a-"}) {
    const auto result = CheckPlainTaskId(bad, "id");
    ASSERT_FALSE(result) << bad;
    EXPECT_EQ(result.error().field, "id");
  }
}

}  // namespace
}  // namespace cube
