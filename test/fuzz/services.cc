// The loops of manager and worker, and any bytes that come to them from NATS: nothing ends a
// process, what they send is readable, and goes to subjects that may be sent to.
#include <cube/v1/exec.pb.h>
#include <cube/v1/logs.pb.h>
#include <cube/v1/metrics.pb.h>
#include <cube/v1/queries.pb.h>
#include <cube/v1/verify.pb.h>

#include <chrono>

#include "services/manager/lease.h"
#include "services/manager/load_meter.h"
#include "services/manager/query_service.h"
#include "services/manager/view_store.h"
#include "shared/base/check.h"
#include "shared/bus/reply.h"
#include "shared/store/memory_store.h"
#include "shared/wire/codec.h"
#include "test/fuzz/framed.h"
#include "test/fuzz/target.h"
#include "test/support/cluster/log_writer.h"
#include "test/support/manager/loop_rig.h"
#include "test/support/wire/values.h"
#include "test/support/worker/loop_rig.h"

namespace cube::fuzz {
namespace {

using std::chrono::seconds;

constexpr Resources kCapacity{4000, 1 << 30, 1 << 30};

// A node, a task and a job.
const View& Cluster() {
  static const View view = [] {
    test::LogWriter log;
    log.Join("n1", kCapacity);
    log.Submit("web-1", test::Spec("web"));
    log.Submit("web-2", test::Spec("web"));
    log.SubmitJob(test::JobOf("job", JobType::kService, 3, "image"));
    log.Decide({log.Start("web-1", "n1")});
    log.Launch("web-1", LaunchState::kRunning);
    log.Decide({});
    return log.view().Copy();
  }();
  return view;
}

// ---- the manager's loop -------------------------------------------------------------------------

enum ManagerKind : std::uint8_t {
  kIntent,
  kFacts,
  kBeat,
  kQuery,
  kVerify,
  kAck,
  kTime,
  kManagerKinds
};

constexpr const char* kSubjects[] = {"cube.tasks.submit",   "cube.tasks.stop",  "cube.nodes.cordon",
                                     "cube.nodes.uncordon", "cube.nodes.drain", "cube.jobs.submit",
                                     "cube.jobs.stop",      "cube.jobs.scale"};
constexpr const char* kQueries[] = {"tasks", "task", "jobs", "nodes", "cluster", "job", "nonsense"};

std::string IntentFor(std::size_t subject, Random& random) {
  switch (subject) {
    case 0:
      return wire::EncodeSubmit(testing::RandomSubmits(random));
    case 1:
      return wire::EncodeStop({{TaskId::Trusted("web-1"), std::nullopt}});
    case 2:
    case 3:
      return wire::EncodeCordon({NodeName::Trusted("n1")}, subject == 2);
    case 4:
      return wire::EncodeDrain({{NodeName::Trusted("n1"), seconds(random.Below(100))}});
    case 5:
      return wire::EncodeSubmitJob(random.Below(2) == 0
                                       ? testing::RandomJob(random)
                                       : test::JobOf("job", JobType::kService, 2, "other"));
    case 6:
      return wire::EncodeStopJobs({{TaskName::Trusted("job"), std::nullopt}});
    default:
      return wire::EncodeScaleJobs(
          {{TaskName::Trusted("job"), static_cast<std::uint32_t>(random.Below(10))}});
  }
}

std::string FactsSeed(Random& random) {
  const Node& node = Cluster().nodes.at(NodeName::Trusted("n1"));
  FactBatch batch;
  batch.node = node.name;
  batch.instance = node.instance;
  batch.incarnation = node.incarnation;
  batch.first_number = node.last_fact + 1;
  const Task& task = *Cluster().Find(TaskId::Trusted("web-1"));
  LaunchFact fact = testing::RandomLaunchFact(random);
  fact.key.task = IdOf(task);
  fact.key.attempt = task.attempt;
  fact.placement = task.placement;
  batch.facts.push_back({{}, fact});
  return wire::EncodeFacts(batch);
}

std::string QuerySeed(Random& random) {
  v1::QueryRequest request;
  if (random.Below(2) == 0) request.set_match("web-1");
  request.set_include_finished(random.Below(2) == 0);
  if (random.Below(4) == 0) request.set_page("3.0");
  if (random.Below(4) == 0) request.set_node("n1");
  if (random.Below(4) == 0) request.set_job("job");
  return request.SerializeAsString();
}

std::string ManagerSeed(Random& random) {
  std::string input;
  for (std::uint64_t i = 1 + random.Below(5); i > 0; --i) {
    const auto kind = static_cast<std::uint8_t>(random.Below(kManagerKinds));
    std::string bytes;
    if (kind == kIntent) {
      const auto subject = static_cast<std::size_t>(random.Below(std::size(kSubjects)));
      bytes = static_cast<char>(subject) + IntentFor(subject, random);
    } else if (kind == kFacts) {
      bytes = FactsSeed(random);
    } else if (kind == kBeat) {
      Heartbeat beat = testing::RandomHeartbeat(random);
      if (beat.node != kLeaderHeartbeat) beat.node = "n1";
      bytes = wire::EncodeHeartbeat(beat);
    } else if (kind == kQuery) {
      bytes = static_cast<char>(random.Below(std::size(kQueries))) + QuerySeed(random);
    } else if (kind == kVerify) {
      v1::VerifyViewRequest request;
      if (random.Below(2) == 0) request.mutable_range()->set_kind(v1::RECORD_KIND_TASK);
      bytes = request.SerializeAsString();
    } else {
      bytes = static_cast<char>(random.Below(60));
    }
    if (bytes.size() <= 0xffff) Frame(kind, bytes, input);
  }
  return input;
}

void Acknowledge(test::LoopRig& rig) {
  if (!rig.sent()) return;
  const auto sent = wire::DecodeDecisions(rig.sent()->payload);
  CUBE_CHECK(sent.has_value());  // else no reader would get past it
  rig.Acknowledge();
}

// What was folded is stored, and read back as the same.
void CheckStored(const View& folded) {
  View view = folded.Copy();
  for (const Task& task : view.tasks) view.dirty_tasks.push_back(task.number);
  for (const auto& [name, node] : view.nodes) view.dirty_nodes.insert(name);
  for (const auto& [name, job] : view.jobs) view.dirty_jobs.insert(name);
  store::MemoryStore store(manager::ViewSchema());
  manager::ViewRecords records;
  CUBE_CHECK(store.Commit(records.Save(view)).has_value());
  const auto loaded = manager::ViewRecords().Load(store);
  CUBE_CHECK(loaded.has_value());
  CUBE_CHECK(manager::ViewBytes(*loaded) == manager::ViewBytes(folded));
}

void OneOf(const Framed& message, test::LoopRig& rig) {
  const std::size_t first =
      message.bytes.empty() ? 0 : static_cast<unsigned char>(message.bytes.front());
  const std::string rest(message.bytes.substr(std::min<std::size_t>(1, message.bytes.size())));
  switch (message.kind % kManagerKinds) {
    case kIntent:
      return rig.Feed({rig.Read(rig.intents(), kSubjects[first % std::size(kSubjects)], rest)});
    case kFacts:
      return rig.Feed({rig.Read(rig.facts(), "cube.facts.n1", std::string(message.bytes))});
    case kBeat:
      return rig.Feed({rig.RawBeat("n1", std::string(message.bytes))});
    case kQuery:
      return rig.Feed({rig.Query(kQueries[first % std::size(kQueries)], rest, "_INBOX.me.1")});
    case kVerify:
      return rig.Feed({rig.Verify(std::string(message.bytes), "_INBOX.me.2")});
    case kAck:
      return Acknowledge(rig);
    default:
      return rig.Pass(std::chrono::milliseconds(100) * static_cast<int>(first % 60));
  }
}

void RunManager(std::string_view input) {
  test::LoopRig rig(Cluster(), Cluster().decided_at + seconds(1));
  rig.Lead();
  for (const Framed& message : Unframed(input)) OneOf(message, rig);
  rig.Pass(seconds(1));
  Acknowledge(rig);
  rig.Pass(seconds(1));
  CheckStored(rig.view());
}

CUBE_FUZZ_TARGET(manager_messages, &ManagerSeed, &RunManager);

// ---- questions ----------------------------------------------------------------------------------

void RunQuery(std::string_view input) {
  static manager::Planner planner = *manager::Planner::Make(Settings());
  const std::size_t what = input.empty() ? 0 : static_cast<unsigned char>(input.front());
  const std::string request(input.substr(std::min<std::size_t>(1, input.size())));
  manager::Question question(kQueries[what % std::size(kQueries)], request);
  for (int steps = 0;; ++steps) {
    CUBE_CHECK(steps < 100);  // the work of a small cluster ends
    std::size_t work = manager::kQueryWorkMax;
    const auto reply = question.Answer(Cluster(), planner, {"m", true}, work);
    if (!reply) continue;
    CUBE_CHECK(reply->size() <= manager::kQueryPageBytesMax + 1024);
    v1::QueryReply parsed;
    CUBE_CHECK(parsed.ParseFromString(*reply));
    return;
  }
}

CUBE_FUZZ_TARGET(
    queries,
    [](Random& random) {
      return static_cast<char>(random.Below(std::size(kQueries))) + QuerySeed(random);
    },
    &RunQuery);

// ---- metrics ------------------------------------------------------------------------------------

std::string MetricsSeed(Random& random) {
  const Node& node = Cluster().nodes.at(NodeName::Trusted("n1"));
  v1::Metrics metrics;
  metrics.set_node("n1");
  metrics.set_instance(node.instance);
  metrics.set_interval_ns(15'000'000'000);
  for (std::uint64_t i = random.Below(5); i > 0; --i) {
    v1::MetricsSample& sample = *metrics.add_samples();
    sample.set_at_ns(static_cast<std::int64_t>(random.Below(100)) * 1'000'000'000);
    sample.set_cpu_used_permille(static_cast<std::uint32_t>(random.Below(1001)));
    sample.set_memory_used_bytes(static_cast<std::int64_t>(random.Below(2u << 30)));
    sample.set_memory_total_bytes(std::int64_t{1} << 30);
  }
  return metrics.SerializeAsString();
}

CUBE_FUZZ_TARGET(metrics, &MetricsSeed, [](std::string_view bytes) {
  const View& view = Cluster();
  manager::LoadMeter meter;
  const MonoTime now = MonoTime(std::chrono::hours(1));
  meter.Reset(view, now);
  meter.OnMetrics(view, "n1", bytes, now);
  meter.OnMetrics(view, "n1", bytes, now + seconds(20));
  for (const auto& [node, load] : meter.Due(view, now + std::chrono::hours(2))) {
    CUBE_CHECK(load.cpu <= 16 && load.memory <= 16 && load.disk <= 16);
  }
});

// ---- the lease's value
// ----------------------------------------------------------------------------

CUBE_FUZZ_TARGET(
    lease,
    [](Random& random) {
      return R"({"owner":"m-)" + std::to_string(random.Below(3)) + R"(","epoch":)" +
             std::to_string(random.Below(1000)) + "}";
    },
    [](std::string_view bytes) {
      manager::Lease lease(wire::Subjects(), "m-1", seconds(3));
      bus::OpId next_op = 1;
      manager::Operations out;
      lease.Step(MonoTime(std::chrono::hours(1)), 1, next_op, out);
      (void)lease.OnAppendFailed({next_op - 1, {Code::kAborted, "", ""}}, next_op, out);
      bus::StreamMessage message;
      message.seq = 7;
      message.payload = bytes;
      CUBE_CHECK(lease.OnGot({next_op - 1, message}));
      CUBE_CHECK(!lease.Held(MonoTime(std::chrono::hours(1))));  // reading gives nobody a lease
    });

// ---- the worker's loop
// ----------------------------------------------------------------------------

// In the order of the loop's subscriptions, which it numbers from 1.
constexpr const char* kToWorker[] = {"cube.assign.n1", "cube.desired.n1.0", "cube.logs.n1",
                                     "cube.exec.n1", "cube.verify.node.n1"};

std::string LogsSeed(Random& random) {
  v1::LogsRequest request;
  request.set_stream(random.Below(3));
  if (random.Below(3) == 0) {
    request.set_credit_bytes(random.Below(2) == 0 ? 1000 : ~std::uint64_t{0});
  } else if (random.Below(4) == 0) {
    request.mutable_close();
  } else {
    v1::LogsOpen& open = *request.mutable_open();
    open.set_task("web");
    open.set_attempt(static_cast<std::uint32_t>(random.Below(3)));
    open.set_follow(random.Below(2) == 0);
    open.set_credit_bytes(random.Below(100'000));
  }
  return request.SerializeAsString();
}

std::string ExecSeed(Random& random) {
  v1::ExecRequest request;
  request.set_session(random.Below(3));
  switch (random.Below(4)) {
    case 0:
      request.set_credit_bytes(random.Below(100'000));
      break;
    case 1:
      request.mutable_input()->set_data("input");
      break;
    case 2:
      request.mutable_close();
      break;
    default: {
      v1::ExecOpen& open = *request.mutable_open();
      open.set_task("web");
      open.add_command("sh");
      (*open.mutable_env())["A"] = "b";
      open.set_input(true);
      open.set_credit_bytes(1000);
    }
  }
  return request.SerializeAsString();
}

std::string WorkerSeed(Random& random) {
  std::string input;
  for (std::uint64_t i = 1 + random.Below(5); i > 0; --i) {
    const auto kind = static_cast<std::uint8_t>(random.Below(std::size(kToWorker) + 1));
    std::string bytes;
    if (kind == 0) {
      AssignBatch batch = worker::Batch(11 + random.Below(3), 10, {worker::Start("web")});
      if (random.Below(3) == 0) batch.items.emplace_back(worker::StopOf("web"));
      bytes = wire::EncodeAssign(batch);
    } else if (kind == 1) {
      bytes = wire::EncodeDesired(worker::Set(12, {worker::Start("web", 2)}, worker::kUp));
    } else if (kind == 2) {
      bytes = LogsSeed(random);
    } else if (kind == 3) {
      bytes = ExecSeed(random);
    } else if (kind == 4) {
      v1::VerifyNodeRequest request;
      bytes = request.SerializeAsString();
    } else {
      bytes = static_cast<char>(random.Below(60));
    }
    if (bytes.size() <= 0xffff) Frame(kind, bytes, input);
  }
  return input;
}

void RunWorker(std::string_view input) {
  worker::LoopRig rig;
  rig.BecomeReady();
  (void)rig.Assign(worker::Batch(11, 10, {worker::Start("web")}));
  (void)rig.Engine(engine::Changed{worker::Status(worker::Key("web"), LaunchState::kRunning)});
  for (const Framed& message : Unframed(input)) {
    const std::size_t kind = message.kind % (std::size(kToWorker) + 1);
    if (kind == std::size(kToWorker)) {
      rig.Pass(seconds(message.bytes.empty() ? 1 : message.bytes.front() & 0x3f));
      (void)rig.Step();
      continue;
    }
    (void)rig.Step({worker::FromBus{
        bus::Message{kind + 1, kToWorker[kind], "_INBOX.me", {}, std::string(message.bytes)}}});
  }
  rig.Pass(seconds(60));
  (void)rig.Step();
  for (const bus::Publish& publish : rig.published()) {
    CUBE_CHECK(bus::PublishableSubject(publish.subject));
  }
  // What it has stored, another process takes up.
  rig.Restart();
}

CUBE_FUZZ_TARGET(worker_messages, &WorkerSeed, &RunWorker);

}  // namespace
}  // namespace cube::fuzz
