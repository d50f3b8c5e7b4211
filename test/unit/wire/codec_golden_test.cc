// One message of each kind, byte by byte: the wire form is frozen, since streams keep messages for
// years. CUBE_UPDATE_GOLDEN=1 rewrites the files; read the difference before you commit it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "shared/wire/codec.h"
#include "test/support/wire/equal.h"

namespace cube::wire {
namespace {

// Rows of 32 bytes: hexadecimal, then what is printable.
std::string HexDump(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string dump;
  for (std::size_t row = 0; row < bytes.size(); row += 32) {
    std::string text;
    for (char c : bytes.substr(row, 32)) {
      const auto byte = static_cast<unsigned char>(c);
      dump += kDigits[byte >> 4];
      dump += kDigits[byte & 15];
      text += byte > ' ' && byte < 0x7F ? c : '.';
    }
    dump += "  " + text + "\n";
  }
  return dump;
}

void ExpectGolden(const std::string& name, const std::string& bytes) {
  const std::string path = std::string(CUBE_GOLDEN_DIR) + "/" + name + ".hex";
  if (std::getenv("CUBE_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << HexDump(bytes);
  std::ifstream file(path);
  std::stringstream golden;
  golden << file.rdbuf();
  ASSERT_FALSE(golden.str().empty()) << path << " is missing";
  EXPECT_EQ(golden.str(), HexDump(bytes)) << name;
}

TaskSpecPtr Spec() {
  TaskSpec spec;
  spec.name = TaskName::Trusted("web");
  spec.image = "nginx:1.27";
  spec.command = {"nginx", "-g", "daemon off;"};
  spec.entrypoint = {"/docker-entrypoint.sh"};
  spec.env = {{"A", "1"}, {"B", ""}, {"C", "ü"}};
  spec.labels = {{"team", "shop"}, {"tier", "front"}};
  spec.user = "1000:1000";
  spec.workdir = "/srv";
  spec.ports = {{80, 8080, Protocol::kTcp, "http"}, {53, 0, Protocol::kUdp, ""}};
  spec.resources = {500, 512 << 20, std::int64_t{10} << 30};
  spec.restart = {RestartMode::kAlways, 0};
  spec.health.emplace();
  spec.health->http_path = "/health";
  spec.health->port_name = "http";
  spec.health->interval = std::chrono::seconds(5);
  spec.health->on_failure = HealthCheck::OnFailure::kNone;
  spec.stop_signal = "SIGQUIT";
  spec.stop_grace = std::chrono::seconds(30);
  spec.priority = -5;
  spec.constraints = {{"disk", Constraint::Op::kEquals, {"ssd"}},
                      {"zone", Constraint::Op::kIn, {"a", "b"}},
                      {"gpu", Constraint::Op::kExists, {}}};
  spec.engine = "docker";
  spec.pull = PullPolicy::kAlways;
  spec.reschedule = {ReschedulePolicy::Mode::kNever, 0};
  spec.scheduler = "binpack";
  spec.affinities = {{{"zone", Constraint::Op::kEquals, {"a"}}, -50}};
  spec.distinct = 2;
  return std::make_shared<const TaskSpec>(std::move(spec));
}

constexpr Stamp kStamp{0x1122334455667788, 7};
constexpr Term kTerm{3, 0x1122334455667788};
const WallTime kTime = WallFromNanos(1'700'000'000'123'456'789);

TEST(Golden, Submit) {
  ExpectGolden("submit", EncodeSubmit({{TaskId::Trusted("web-1"), Spec()}, {TaskId(), Spec()}}));
}

TEST(Golden, Stop) {
  ExpectGolden("stop", EncodeStop({{TaskId::Trusted("web-1"), std::nullopt},
                                   {TaskId::Trusted("web-2"), std::chrono::seconds(5)}}));
}

TEST(Golden, Nodes) {
  const NodeName a = NodeName::Trusted("node-a");
  const NodeName b = NodeName::Trusted("node-b");
  ExpectGolden("cordon", EncodeCordon({a, b}, true));
  ExpectGolden("uncordon", EncodeCordon({a, b}, false));
  ExpectGolden("drain", EncodeDrain({{a, std::nullopt}, {b, std::chrono::minutes(5)}}));
}

TEST(Golden, Jobs) {
  JobSpec job;
  job.name = TaskName::Trusted("web");
  job.replicas = 3;
  job.update = {2, std::chrono::minutes(1)};
  job.task = Spec();
  ExpectGolden("submit_job", EncodeSubmitJob(job));
  ExpectGolden("stop_jobs", EncodeStopJobs({{job.name, std::chrono::seconds(5)}}));
  ExpectGolden("scale_jobs", EncodeScaleJobs({{job.name, 5}}));
}

TEST(Golden, Decisions) {
  DecisionBatch batch;
  batch.term = kTerm;
  batch.cycle = 8;
  batch.prev = kStamp;
  batch.intents = {41, kTime, 0};
  batch.facts = {97, kTime, 2};
  batch.decided_at = kTime;
  batch.told = {kStamp.term_id, 6};
  batch.term_start = TermStart{"clu5ter", "manager-1", 1, {}, {}};
  const NodeName a = NodeName::Trusted("node-a");
  const NodeName b = NodeName::Trusted("node-b");
  const Explanation why{"spread", 3, {{"memory", 1}}, -5, 1LL << 32, b, 2};
  batch.items = {
      StartAttempt{TaskId::Trusted("web-1"), 1, a, Spec(), why},
      StartAttempt{TaskId::Trusted("web-2"), 2, b, Spec(), why},
      StopAttempt{TaskId::Trusted("web-3"), 1, b, std::chrono::seconds(10)},
      StopAttempt{TaskId::Trusted("web-4"), 0, {}, Duration(0)},
      RefuseIntent{40, 1, "Web", {Code::kConflict, "has another specification", "id"}},
      NodeDown{b, "no heartbeat"},
      NodeUp{b},
      WelcomeNode{NodeName::Trusted("node-c"), 99, 4},
      RefuseNode{a, 98, "another worker has this name"},
      ForgetTask{TaskId::Trusted("web-0")},
      SetLoad{b, {3, 0, 16}},
      EvictAttempt{TaskId::Trusted("web-5"), 3, a, std::chrono::seconds(10), "node-a is drained",
                   true},
      FillSlots{TaskName::Trusted("web"), 2, 3, 100, {}, false},
      FillSlots{TaskName::Trusted("agent"), 1, 0, 1, b, true},
      EmptySlots{TaskName::Trusted("web"), 1, 3, 2, std::chrono::seconds(5), true},
      EndUpdate{TaskName::Trusted("web"), 2, "web-v2-0 failed: exit code 1"},
      EndJob{TaskName::Trusted("load"), JobEnd::kFailed, "1 of 2 tasks did not complete"},
  };
  ExpectGolden("decisions", EncodeDecisions(batch));
}

NodeDescription Description() {
  NodeDescription node;
  node.capacity = {4000, std::int64_t{8} << 30, std::int64_t{100} << 30};
  node.tasks_max = 500;
  node.labels = {{"disk", "ssd"}, {"zone", "a"}};
  node.engines = {{"docker", "20.10.24", true, true}, {"process", "", false, true}};
  node.version = "0.1.0";
  node.address = "10.0.0.1";
  return node;
}

TEST(Golden, Facts) {
  FactBatch batch;
  batch.node = NodeName::Trusted("node-a");
  batch.instance = 99;
  batch.incarnation = 4;
  batch.first_number = 17;
  LaunchFact running;
  running.key = {TaskId::Trusted("web-1"), 1, 0};
  running.placement = kStamp;
  running.state = LaunchState::kRunning;
  running.container_id = "0123abcd";
  running.ports = {{80, 8080, Protocol::kTcp}, {53, 32768, Protocol::kUdp}};
  running.started_at = kTime;
  LaunchFact exited = running;
  exited.key.launch = 1;
  exited.state = LaunchState::kExited;
  exited.cause = ExitCause::kSignaled;
  exited.exit_code = 137;
  exited.detail = "killed";
  exited.finished_at = kTime;
  exited.final = true;
  exited.stop_asked = true;
  LaunchFact restarting = exited;
  restarting.final = false;
  restarting.restart_at = kTime;
  batch.facts = {{kTime, NodeJoined{Description()}},
                 {kTime, NodeDescribed{Description()}},
                 {kTime, NodeReported{kStamp}},
                 {kTime, running},
                 {kTime, exited},
                 {kTime, restarting},
                 {kTime, NodeLeft{}},
                 {kTime, HealthFact{running.key, kStamp, true, ""}},
                 {kTime, HealthFact{running.key, kStamp, false, "GET /health: 500"}},
                 {kTime, NodeLeaving{std::chrono::seconds(60)}}};
  ExpectGolden("facts", EncodeFacts(batch));
}

TEST(Golden, Assign) {
  AssignBatch batch;
  batch.term = kTerm;
  batch.node = NodeName::Trusted("node-a");
  batch.instance = 99;
  batch.incarnation = 4;
  batch.seq = 12;
  batch.prev = 10;
  batch.stamp = kStamp;
  batch.cluster = "clu5ter";
  batch.items = {
      Assignment{TaskId::Trusted("web-1"), 1, kStamp, Spec(), false, Duration(0)},
      Assignment{TaskId::Trusted("web-2"), 1, {5, 6}, Spec(), false, Duration(0)},
      StopAssignment{TaskId::Trusted("web-3"), 2, std::chrono::seconds(10)},
      Welcomed{99, 4},
      JoinRefused{98, "another worker has this name"},
      UpToDate{},
  };
  ExpectGolden("assign", EncodeAssign(batch));
}

TEST(Golden, Desired) {
  DesiredPage page;
  page.term = kTerm;
  page.node = NodeName::Trusted("node-a");
  page.instance = 99;
  page.incarnation = 4;
  page.seq = 12;
  page.page = 1;
  page.pages = 2;
  page.report = kStamp;
  page.cluster = "clu5ter";
  page.last_fact = 17;
  page.assignments = {
      {TaskId::Trusted("web-1"), 1, kStamp, Spec(), false, Duration(0)},
      {TaskId::Trusted("web-2"), 3, kStamp, Spec(), true, std::chrono::seconds(10), 2},
  };
  ExpectGolden("desired", EncodeDesired(page));
}

TEST(Golden, Heartbeat) {
  ExpectGolden("heartbeat", EncodeHeartbeat({"node-a", 99, 4, 1234, 12, kTerm, true, kTime}));
}

}  // namespace
}  // namespace cube::wire
