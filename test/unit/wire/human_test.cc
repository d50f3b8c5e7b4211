// The human form of a task: what each field takes, and what errors say.
#include "shared/wire/human.h"

#include <gtest/gtest.h>

namespace cube::wire {
namespace {

using nlohmann::json;

// The fields of a good task, with others on top.
Result<SubmitTask> With(const std::string& fields) {
  json value = json::parse(R"({"name":"web","image":"nginx"})");
  value.update(json::parse(fields));
  return TaskFromHuman(value);
}

TaskSpec Spec(const std::string& fields) {
  const auto task = With(fields);
  EXPECT_TRUE(task) << fields << ": " << (task ? "" : task.error().Text());
  return task ? *task->spec : TaskSpec{};
}

TEST(TaskFromHuman, EveryField) {
  const auto task = TaskFromHuman(json::parse(R"({
    "id": "web-1", "name": "web", "image": "nginx:1.27", "command": ["nginx", "-g", 5, true],
    "entrypoint": ["/e.sh"], "env": {"A": "x", "B": 1, "C": true, "D": 0.5, "E": ""},
    "labels": {"team": "shop"}, "user": 1000, "workdir": "/srv",
    "ports": ["8080:80/tcp", {"port": 53, "host_port": 5353, "protocol": "udp", "name": "dns"}, 90],
    "cpus": 0.5, "memory": "512Mi", "disk": 1073741824, "restart": "always",
    "stop_signal": "int", "stop_grace": "1m30s", "priority": -7,
    "constraints": ["disk=ssd", "zone!=b", "zone in a,b", "gpu"], "engine": "docker",
    "pull": "always", "reschedule": "never", "scheduler": "roundrobin", "distinct": 1,
    "affinities": [{"rule": "disk=ssd", "weight": 50}, "zone in a,b:-20"]})"));
  ASSERT_TRUE(task) << task.error().Text();
  EXPECT_EQ(task->id.str(), "web-1");
  TaskSpec wanted;
  wanted.name = TaskName::Trusted("web");
  wanted.image = "nginx:1.27";
  wanted.command = {"nginx", "-g", "5", "true"};
  wanted.entrypoint = {"/e.sh"};
  wanted.env = {{"A", "x"}, {"B", "1"}, {"C", "true"}, {"D", "0.5"}, {"E", ""}};
  wanted.labels = {{"team", "shop"}};
  wanted.user = "1000";
  wanted.workdir = "/srv";
  wanted.ports = {{80, 8080, Protocol::kTcp, ""},
                  {53, 5353, Protocol::kUdp, "dns"},
                  {90, 0, Protocol::kTcp, ""}};
  wanted.resources = {500, 512 << 20, 1 << 30};
  wanted.restart = {RestartMode::kAlways, 0};
  wanted.stop_signal = "SIGINT";
  wanted.stop_grace = std::chrono::seconds(90);
  wanted.priority = -7;
  wanted.constraints = {{"disk", Constraint::Op::kEquals, {"ssd"}},
                        {"zone", Constraint::Op::kNotEquals, {"b"}},
                        {"zone", Constraint::Op::kIn, {"a", "b"}},
                        {"gpu", Constraint::Op::kExists, {}}};
  wanted.engine = "docker";
  wanted.pull = PullPolicy::kAlways;
  wanted.reschedule = {ReschedulePolicy::Mode::kNever, 0};
  wanted.scheduler = "round-robin";
  wanted.distinct = 1;
  wanted.affinities = {{{"disk", Constraint::Op::kEquals, {"ssd"}}, 50},
                       {{"zone", Constraint::Op::kIn, {"a", "b"}}, -20}};
  EXPECT_EQ(*task->spec, wanted);
}

TEST(TaskFromHuman, DefaultsAreThoseOfTheSpec) {
  TaskSpec wanted;
  wanted.name = TaskName::Trusted("web");
  wanted.image = "nginx";
  EXPECT_EQ(Spec("{}"), wanted);
  EXPECT_EQ(SpecToHuman(wanted).dump(), R"({"name":"web","image":"nginx"})");
}

TEST(TaskFromHuman, OtherWaysToSayIt) {
  EXPECT_EQ(Spec(R"({"env":["A=1","B=x=y"]})").env,
            (std::map<std::string, std::string>{{"A", "1"}, {"B", "x=y"}}));
  EXPECT_EQ(Spec(R"({"cpus":"1.25"})").resources.cpu_millis, 1250);
  EXPECT_EQ(Spec(R"({"cpus":2})").resources.cpu_millis, 2000);
  EXPECT_EQ(Spec(R"({"cpus":0.3})").resources.cpu_millis, 300);
  EXPECT_EQ(Spec(R"({"stop_signal":9})").stop_signal, "SIGKILL");
  EXPECT_EQ(Spec(R"({"restart":"on-failure"})").restart.launches_max, 0U);
}

struct Case {
  const char* fields;
  const char* field;
  const char* says;  // part of the message
};

void ExpectErrors(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    const auto task = With(c.fields);
    ASSERT_FALSE(task) << c.fields;
    EXPECT_EQ(task.error().code, Code::kInvalid) << c.fields;
    EXPECT_EQ(task.error().field, c.field) << c.fields << ": " << task.error().Text();
    EXPECT_NE(task.error().message.find(c.says), std::string::npos)
        << c.fields << ": " << task.error().Text();
  }
}

TEST(TaskFromHuman, Errors) {
  const std::vector<Case> cases{
      {R"({"imag":"x"})", "imag", "did you mean 'image'"},
      {R"({"environment":{}})", "environment", "did you mean 'env'"},
      {R"({"args":["x"]})", "args", "did you mean 'command'"},
      {R"({"cpu":1})", "cpu", "did you mean 'cpus'"},
      {R"({"zzzzzz":1})", "zzzzzz", "there are id, name, image"},
      {R"({"name":5})", "name", "must be a text, not a number"},
      {R"({"name":"Web"})", "name", "lower-case"},
      {R"({"id":"a.b"})", "id", "lower-case"},
      {R"({"id":"web-v1-0"})", "id", "reserved for tasks of jobs"},
      {R"({"image":null})", "image", "must be a text, not nothing"},
      {R"({"image":""})", "image", "is required"},
      {R"({"command":"sleep 60"})", "command", "[\"sh\", \"-c\", \"...\"]"},
      {R"({"command":{"a":1}})", "command", "a list of texts, not a map"},
      {R"({"command":["a",["b"]]})", "command[1]", "not a list"},
      {R"({"entrypoint":"sh"})", "entrypoint", "must be a list"},
      {R"({"env":{"A":null}})", "env.A", "has no value"},
      {R"({"env":{"A":[1]}})", "env.A", "not a list"},
      {R"({"env":["A"]})", "env[0]", "KEY=VALUE"},
      {R"({"env":["A=1","A=2"]})", "env[1]", "twice"},
      {R"({"env":"A=1"})", "env", "must be a map"},
      {R"({"env":{"A=B":"1"}})", "env.A=B", "'='"},
      {R"({"labels":{"cube.task":"x"}})", "labels.cube.task", "another prefix"},
      {R"({"ports":80})", "ports", "must be a list of ports"},
      {R"({"ports":[{"host_port":80}]})", "ports[0].port", "is required"},
      {R"({"ports":["80",{"port":81,"host_port":70000}]})", "ports[1].host_port", "0 to 65535"},
      {R"({"ports":[{"port":"80"}]})", "ports[0].port", "not a text"},
      {R"({"ports":[{"port":80.5}]})", "ports[0].port", "whole number"},
      {R"({"ports":[{"port":18446744073709551615}]})", "ports[0].port", "1 to 65535"},
      {R"({"ports":[{"port":80,"hostport":1}]})", "ports[0].hostport", "did you mean 'host_port'"},
      {R"({"ports":[{"port":80,"protocol":"sctp"}]})", "ports[0].protocol", "tcp or udp"},
      {R"({"ports":["127.0.0.1:80:80"]})", "ports[0]", "one address"},
      {R"({"ports":["80","80"]})", "ports[1].port", "twice"},
      {R"({"ports":[true]})", "ports[0]", "must be a map, or a text"},
      {R"({"cpus":-1})", "cpus", "0 to 1000"},
      {R"({"cpus":1e300})", "cpus", "0 to 1000"},
      {R"({"cpus":0.0001})", "cpus", "three decimals"},
      {R"({"cpus":"half"})", "cpus", "no number of cpus"},
      {R"({"cpus":true})", "cpus", "number of cpus such as 0.5"},
      {R"({"memory":"5 parsecs"})", "memory", "for example 512Mi"},
      {R"({"memory":0.5})", "memory", "a size such as"},
      {R"({"memory":-1})", "memory", "whole number"},
      {R"({"memory":"1Mi"})", "memory", "at least 6Mi"},
      {R"({"disk":"9999999Ti"})", "disk", "whole number of bytes"},
      {R"({"restart":"sometimes"})", "restart", "there are no, on-failure"},
      {R"({"restart":true})", "restart", "must be a text"},
      {R"({"stop_signal":"SIGFOO"})", "stop_signal", "is no signal"},
      {R"({"stop_grace":10})", "stop_grace", "a duration such as \"10s\""},
      {R"({"stop_grace":"10"})", "stop_grace", "10s"},
      {R"({"stop_grace":"48h"})", "stop_grace", "0s to 1d"},
      {R"({"priority":"high"})", "priority", "whole number"},
      {R"({"priority":1.5})", "priority", "whole number"},
      {R"({"priority":99999999999})", "priority", "-1000000 to 1000000"},
      {R"({"constraints":"gpu"})", "constraints", "must be a list of texts"},
      {R"({"constraints":["gpu","=x"]})", "constraints[1]", "is no constraint"},
      {R"({"engine":"podman"})", "engine", "docker, process and sim"},
      {R"({"pull":"sometimes"})", "pull", "missing, always or never"},
      {R"({"reschedule":false})", "reschedule", "must be a text"},
      {R"({"reschedule":"no"})", "reschedule", "no reschedule policy"}};
  ExpectErrors(cases);
}

TEST(TaskFromHuman, ErrorsOfPlacement) {
  ExpectErrors(
      {{R"({"scheduler":"best"})", "scheduler",
        "there are round-robin, spread, binpack, epvm, epvm-book, greedy"},
       {R"({"distinct":-1})", "distinct", "0 to 10000"},
       {R"({"affinities":"gpu:1"})", "affinities", "must be a list of affinities"},
       {R"({"affinities":["gpu:1","gpu"]})", "affinities[1]", "write RULE:WEIGHT"},
       {R"({"affinities":["gpu:0"]})", "affinities[0]", "1 to 100 to attract"},
       {R"({"affinities":[{"weight":5}]})", "affinities[0].rule", "is required"},
       {R"({"affinities":[{"rule":"gpu"}]})", "affinities[0].weight", "1 to 100 to attract"},
       {R"({"affinities":[{"rule":"gpu","weight":101}]})", "affinities[0].weight", "-100 to 100"},
       {R"({"affinities":[{"rule":"=","weight":1}]})", "affinities[0].rule", "is no constraint"},
       {R"({"affinities":[{"rule":"gpu","wieght":1}]})", "affinities[0].wieght", "weight"}});
}

HealthCheck Health(const std::string& health) {
  const TaskSpec spec = Spec(R"({"ports":[{"port":80,"name":"web"}],"health":)" + health + "}");
  EXPECT_TRUE(spec.health);
  // What is printed reads as the same again.
  const nlohmann::ordered_json printed = SpecToHuman(spec);
  const auto again = TaskFromHuman(json::parse(printed.dump()));
  EXPECT_TRUE(again) << printed.dump();
  if (again) {
    EXPECT_EQ(again->spec->health, spec.health) << printed.dump();
  }
  return spec.health ? *spec.health : HealthCheck{};
}

TEST(HealthFromHuman, EveryField) {
  HealthCheck wanted;
  wanted.kind = HealthCheck::Kind::kHttp;
  wanted.http_path = "/health";
  EXPECT_EQ(Health(R"({"http":"/health"})"), wanted);
  wanted.port_name = "web";
  wanted.interval = std::chrono::seconds(5);
  wanted.timeout = std::chrono::milliseconds(500);
  wanted.start_period = std::chrono::minutes(1);
  wanted.retries = 5;
  wanted.successes = 2;
  wanted.on_failure = HealthCheck::OnFailure::kNone;
  EXPECT_EQ(Health(R"({"http":"/health","port":"web","interval":"5s","timeout":"500ms",
                       "start_period":"1m","retries":5,"successes":2,"on_failure":"none"})"),
            wanted);
}

TEST(HealthFromHuman, EveryKind) {
  EXPECT_EQ(Health(R"({"tcp":true})").kind, HealthCheck::Kind::kTcp);
  EXPECT_EQ(Health(R"({"tcp":9000})").port, 9000);
  EXPECT_EQ(Health(R"({"tcp":"web"})").port_name, "web");
  EXPECT_EQ(Health(R"({"tcp":true,"port":81})").port, 81);
  EXPECT_EQ(Health(R"({"command":["test","-f","/ready"]})").command,
            (std::vector<std::string>{"test", "-f", "/ready"}));
}

TEST(HealthFromHuman, Errors) {
  struct {
    std::string health, field, says;
  } const cases[] = {
      {R"("/health")", "health", "a map such as"},
      {R"({})", "health", "one of http, tcp and command"},
      {R"({"http":"/","tcp":true})", "health", "one of http, tcp and command"},
      {R"({"http":7})", "health.http", "must be a text"},
      {R"({"http":"health"})", "health.http", "begins with '/'"},
      {R"({"tcp":false})", "health.tcp", "true, or the port"},
      {R"({"command":"true"})", "health.command", "no shell runs it"},
      {R"({"http":"/","port":"x"})", "health.port", "no tcp port of this task is named 'x'"},
      {R"({"http":"/","port":0})", "health.port", "1 to 65535"},
      {R"({"http":"/","interval":10})", "health.interval", "a duration such as"},
      {R"({"http":"/","interval":"1ms"})", "health.interval", "100ms to 1d"},
      {R"({"http":"/","retries":0})", "health.retries", "1 to 1000"},
      {R"({"http":"/","on_failure":"stop"})", "health.on_failure", "restart or none"},
      {R"({"http":"/","start":"1s"})", "health.start", "is no field"}};
  for (const auto& c : cases) {
    const auto task = With(R"({"ports":[80],"health":)" + c.health + "}");
    ASSERT_FALSE(task) << c.health;
    EXPECT_EQ(task.error().field, c.field) << c.health << ": " << task.error().Text();
    EXPECT_NE(task.error().message.find(c.says), std::string::npos)
        << c.health << ": " << task.error().Text();
  }
}

TEST(TaskFromHuman, Reschedule) {
  using Mode = ReschedulePolicy::Mode;
  const auto policy = [](const std::string& text) {
    const TaskSpec spec = Spec(R"({"reschedule":")" + text + "\"}");
    EXPECT_EQ(*ParseReschedule(FormatReschedule(spec.reschedule)), spec.reschedule);
    return spec.reschedule;
  };
  EXPECT_EQ(policy("never"), (ReschedulePolicy{Mode::kNever, 0}));
  EXPECT_EQ(policy("on-lost"), ReschedulePolicy{});
  EXPECT_EQ(policy("always"), ReschedulePolicy{}) << "its older name";
  EXPECT_EQ(policy("on-failure"), (ReschedulePolicy{Mode::kOnFailure, 3}));
  EXPECT_EQ(policy("on-failure:7"), (ReschedulePolicy{Mode::kOnFailure, 7}));
  for (const char* bad : {"on-failure:0", "on-failure:x", "on-failure:61", "on-failure:", "yes"}) {
    EXPECT_FALSE(With(R"({"reschedule":")" + std::string(bad) + "\"}")) << bad;
  }
}

TEST(TaskFromHuman, ErrorsOfIsolation) {
  const std::vector<Case> cases{
      {R"({"volumes":"data:/data"})", "volumes", "must be a list of volumes"},
      {R"({"volumes":["data"]})", "volumes[0].target", "absolute path"},
      {R"({"volumes":["a:/b:ro:x"]})", "volumes[0]", "is no volume"},
      {R"({"volumes":["a:/b:z"]})", "volumes[0]", "only options are ro and rw"},
      {R"({"volumes":["/a",{"source":"b","target":"/a"}]})", "volumes[1].target", "already"},
      {R"({"volumes":[{"source":"b","dest":"/a"}]})", "volumes[0].dest", "is no field"},
      {R"({"volumes":[{"target":"/a","read_only":"yes"}]})", "volumes[0].read_only",
       "true or false"},
      {R"({"volumes":["../x:/a"]})", "volumes[0].source", "absolute path of the node"},
      {R"({"network":"container:x"})", "network", "is no network"},
      {R"({"network":"none","ports":[80]})", "ports", "network none"},
      {R"({"network":"host","ports":[80]})", "ports[0].host_port", "write 80:80"},
      {R"({"cap_add":["NET_ADMIN","FLY"]})", "cap_add[1]", "no capability"},
      {R"({"cap_drop":"ALL"})", "cap_drop", "a list of texts"},
      {R"({"read_only_root":1})", "read_only_root", "true or false"}};
  ExpectErrors(cases);
}

TEST(TaskFromHuman, Isolation) {
  const auto task = With(
      R"({"volumes":["data:/data:ro",{"source":"/srv","target":"/srv2","read_only":false},"/own"],)"
      R"("network":"host","cap_add":["cap_net_admin"],"cap_drop":["all"],"read_only_root":true})");
  ASSERT_TRUE(task) << task.error().Text();
  const TaskSpec& spec = *task->spec;
  EXPECT_EQ(spec.volumes,
            (std::vector<VolumeSpec>{
                {"data", "/data", true}, {"/srv", "/srv2", false}, {"", "/own", false}}));
  EXPECT_EQ(spec.network, "host");
  EXPECT_EQ(spec.cap_add, std::vector<std::string>{"NET_ADMIN"});
  EXPECT_EQ(spec.cap_drop, std::vector<std::string>{"ALL"});
  EXPECT_TRUE(spec.read_only_root);
  EXPECT_EQ(SpecToHuman(spec).dump(),
            SpecToHuman(*TaskFromHuman(json::parse(SpecToHuman(spec).dump()))->spec).dump());
}

TEST(TaskFromHuman, RefusesTheFieldsOfAJob) {
  for (const char* name : {"type", "replicas", "update", "task"}) {
    const auto task = With("{\"" + std::string(name) + "\":null}");
    ASSERT_FALSE(task) << name;
    EXPECT_EQ(task.error().code, Code::kInvalid) << name;
    EXPECT_EQ(task.error().field, name);
    EXPECT_NE(task.error().message.find("cube.jobs.submit"), std::string::npos);
  }
}

TEST(SpecToHuman, PlacementReadsBack) {
  const TaskSpec spec = Spec(R"({"scheduler":"epvm","distinct":3,"affinities":["gpu:-7"]})");
  EXPECT_EQ(SpecToHuman(spec).dump(),
            R"({"name":"web","image":"nginx","affinities":[{"rule":"gpu","weight":-7}],)"
            R"("distinct":3,"scheduler":"epvm"})");
  EXPECT_EQ(Spec(SpecToHuman(spec).dump()), spec);
}

TEST(TaskFromHuman, OnlyAMapIsATask) {
  for (const char* text : {"[]", "3", "\"web\"", "null", "true"}) {
    const auto task = TaskFromHuman(json::parse(text));
    ASSERT_FALSE(task) << text;
    EXPECT_EQ(task.error().field, "");
  }
  const auto empty = TaskFromHuman(json::object());
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().field, "name");
}

TEST(TaskFromHuman, YamlAndJsonAreOne) {
  const auto yaml = ParseYaml(
      "name: web\n"
      "image: nginx:1.27\n"
      "command: [sleep, 60]\n"
      "env: {VERSION: 1.10, N: 5}\n"
      "ports: [8080:80, 90]\n"
      "cpus: 1.50\n"
      "memory: 512Mi\n"
      "restart: no\n");
  ASSERT_TRUE(yaml) << yaml.error().Text();
  const auto from_yaml = TaskFromHuman(*yaml);
  ASSERT_TRUE(from_yaml) << from_yaml.error().Text();
  const auto from_json = TaskFromHuman(json::parse(R"({"name":"web","image":"nginx:1.27",
      "command":["sleep","60"],"env":{"VERSION":"1.10","N":"5"},"ports":["8080:80","90"],
      "cpus":1.5,"memory":"512Mi","restart":"no"})"));
  ASSERT_TRUE(from_json) << from_json.error().Text();
  EXPECT_EQ(*from_yaml->spec, *from_json->spec);
}

TEST(SpecToHuman, IsReadable) {
  const TaskSpec spec =
      Spec(R"({"cpus":1.5,"memory":"512Mi","ports":["8080:80/udp"],"constraints":["zone in a,b"],
               "stop_grace":"90s","restart":"no"})");
  EXPECT_EQ(SpecToHuman(spec).dump(),
            R"({"name":"web","image":"nginx","ports":[{"port":80,"host_port":8080,)"
            R"("protocol":"udp"}],"cpus":1.5,"memory":"512Mi","restart":"no",)"
            R"("stop_grace":"1m30s","constraints":["zone in a,b"]})");
}

}  // namespace
}  // namespace cube::wire
