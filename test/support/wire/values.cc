#include "test/support/wire/values.h"

#include <algorithm>
#include <array>

#include "shared/domain/rules.h"
#include "shared/domain/signals.h"
#include "shared/domain/validate.h"
#include "shared/wire/limits.h"

namespace cube::testing {
namespace {

bool Coin(Random& random) { return random.Below(2) == 0; }
std::uint64_t NonZero(Random& random) { return random.Next() | 1; }
// Small, large and everything between: varints of all lengths.
std::uint64_t Number(Random& random) { return random.Next() >> random.Below(64); }
std::uint32_t Number32(Random& random) {
  return static_cast<std::uint32_t>(random.Next() >> (32 + random.Below(32)));
}
std::uint32_t Positive32(Random& random) { return std::max(Number32(random), 1U); }
std::int64_t Signed(Random& random) { return static_cast<std::int64_t>(Number(random)); }
Stamp RandomStamp(Random& random) { return {NonZero(random), Number(random) | 1}; }
Term RandomTerm(Random& random) { return {Number(random) | 1, NonZero(random)}; }
Position RandomPosition(Random& random) {
  if (Coin(random)) return {};
  return {Number(random) | 1, WallFromNanos(Signed(random)), Number32(random)};
}
Duration RandomGrace(Random& random) {
  return Duration(
      static_cast<std::int64_t>(random.Next() % static_cast<std::uint64_t>(kStopGraceMax.count())));
}
NodeName RandomNode(Random& random) { return NodeName::Trusted("n" + RandomToken(random, 4)); }
TaskId RandomTaskId(Random& random) { return TaskId::Trusted(RandomToken(random, 63)); }
std::vector<std::string> RandomArguments(Random& random) {
  std::vector<std::string> arguments(random.Below(4));
  for (std::string& argument : arguments) argument = RandomText(random);
  if (!arguments.empty() && arguments.front().empty()) arguments.front() = "sh";
  return arguments;
}

std::string RandomLabelKey(Random& random) {
  return "k" + std::string(1, "._-/"[random.Below(4)]) + RandomToken(random, 6);
}

std::map<std::string, std::string> RandomLabels(Random& random) {
  std::map<std::string, std::string> labels;
  for (std::uint64_t i = random.Below(4); i > 0; --i) {
    labels[RandomLabelKey(random)] = RandomText(random);
  }
  return labels;
}

std::vector<PortSpec> RandomPorts(Random& random) {
  std::vector<PortSpec> ports(random.Below(4));
  auto next = static_cast<std::uint16_t>(1 + random.Below(60'000));
  for (PortSpec& port : ports) {
    port.port = ++next;
    if (Coin(random)) port.host_port = static_cast<std::uint16_t>(next + 1000);
    if (Coin(random)) port.protocol = Protocol::kUdp;
    if (Coin(random)) port.name = "p" + std::to_string(next);
  }
  return ports;
}

std::vector<Constraint> RandomConstraints(Random& random) {
  std::vector<Constraint> constraints(random.Below(4));
  for (Constraint& constraint : constraints) {
    constraint.label = RandomLabelKey(random);
    constraint.op = static_cast<Constraint::Op>(random.Below(4));
    std::size_t values = 1;
    if (constraint.op == Constraint::Op::kExists) values = 0;
    if (constraint.op == Constraint::Op::kIn) values = 1 + random.Below(3);
    for (std::size_t i = 0; i < values; ++i) {
      constraint.values.push_back(Coin(random) ? RandomToken(random) : "Grün:\"x\"");
    }
  }
  return constraints;
}

std::vector<Affinity> RandomAffinities(Random& random) {
  std::vector<Affinity> affinities;
  for (Constraint& rule : RandomConstraints(random)) {
    const auto weight = static_cast<std::int32_t>(1 + random.Below(kAffinityWeightMax));
    affinities.push_back({std::move(rule), Coin(random) ? weight : -weight});
  }
  return affinities;
}

void RandomIsolation(Random& random, TaskSpec& spec) {
  spec.volumes.resize(random.Below(3));
  for (std::size_t i = 0; i < spec.volumes.size(); ++i) {
    VolumeSpec& volume = spec.volumes[i];
    volume.target = "/t" + std::to_string(i) + "/" + RandomToken(random, 6);
    volume.read_only = Coin(random);
    const std::uint64_t kind = random.Below(3);
    if (kind == 0) volume.source = "/srv/" + RandomToken(random, 6);
    if (kind == 1) volume.source = RandomToken(random, 8);
  }
  // Only a command can check what has no network.
  const bool needs_network = spec.health && spec.health->kind != HealthCheck::Kind::kCommand;
  if (spec.ports.empty() && !needs_network && Coin(random)) spec.network = "none";
  if (Coin(random)) spec.cap_add = {"NET_ADMIN", "KILL"};
  if (Coin(random)) spec.cap_drop = {"ALL"};
  spec.read_only_root = Coin(random);
}

RestartPolicy RandomRestart(Random& random) {
  switch (random.Below(4)) {
    case 0:
      return {RestartMode::kNo, 0};
    case 1:
      return {RestartMode::kAlways, 0};
    case 2:
      return {RestartMode::kOnFailure, static_cast<std::uint32_t>(random.Below(1001))};
    default:
      return {};
  }
}

NodeDescription RandomDescription(Random& random) {
  NodeDescription node;
  node.capacity = {static_cast<std::int64_t>(random.Below(kCpuMillisMax)),
                   static_cast<std::int64_t>(random.Below(kBytesMax)),
                   static_cast<std::int64_t>(random.Below(kBytesMax))};
  node.tasks_max = static_cast<std::uint32_t>(random.Below(501));
  node.labels = RandomLabels(random);
  for (std::uint64_t i = random.Below(3); i > 0; --i) {
    node.engines.push_back(
        {RandomToken(random, 8), RandomText(random), Coin(random), Coin(random)});
  }
  node.version = RandomText(random);
  node.address = RandomText(random);
  if (node.address.starts_with('/')) node.address.insert(0, "h");
  return node;
}

TaskName RandomName(Random& random) {
  return TaskName::Trusted(RandomToken(random, kTaskNameLengthMax));
}

std::uint32_t SlotCount(Random& random) {
  return static_cast<std::uint32_t>(1 + random.Below(kSlotsPerItemMax));
}

std::uint32_t Slot(Random& random) {
  return static_cast<std::uint32_t>(random.Below(kReplicasMax));
}

HealthFact RandomHealthFact(Random& random) {
  return {RandomLaunchFact(random).key, RandomStamp(random), Coin(random), RandomText(random)};
}

AttemptHeld RandomHeld(Random& random) {
  AttemptHeld held{
      RandomTaskId(random), Number32(random) >> 1 | 1, RandomStamp(random), {}, {}, {}};
  if (Coin(random)) held.spec = RandomSpecPtr(random);
  if (Coin(random)) held.observed = RandomLaunchFact(random);
  if (Coin(random)) held.health = RandomHealthFact(random);
  if (held.observed) held.observed->key = {held.task, held.attempt, held.observed->key.launch};
  if (held.health) held.health->key = {held.task, held.attempt, held.health->key.launch};
  return held;
}

decltype(Fact::what) RandomWhat(Random& random) {
  switch (random.Below(9)) {
    case 0:
      return NodeJoined{RandomDescription(random), Number32(random) >> 1, Coin(random)};
    case 6:
      return RandomHeld(random);
    case 7:
      return AllHeld{};
    case 1:
      return NodeDescribed{RandomDescription(random)};
    case 2:
      return NodeReported{RandomStamp(random)};
    case 3:
      return NodeLeft{};
    case 4:
      return RandomHealthFact(random);
    case 5:
      return NodeLeaving{RandomGrace(random)};
    default:
      return RandomLaunchFact(random);
  }
}

Fact RandomFact(Random& random) { return {WallFromNanos(Signed(random)), RandomWhat(random)}; }

ReschedulePolicy RandomReschedule(Random& random) {
  using Mode = ReschedulePolicy::Mode;
  switch (random.Below(3)) {
    case 0:
      return {Mode::kNever, 0};
    case 1:
      return {Mode::kOnFailure, 1 + static_cast<std::uint32_t>(random.Below(kMovesMax))};
    default:
      return {Mode::kOnLost, 0};
  }
}

HealthCheck RandomHealth(Random& random, const std::vector<PortSpec>& ports) {
  HealthCheck health;
  health.kind = static_cast<HealthCheck::Kind>(random.Below(3));
  if (health.kind == HealthCheck::Kind::kHttp) health.http_path = "/" + RandomToken(random, 20);
  if (health.kind == HealthCheck::Kind::kCommand) {
    health.command = {"test", RandomText(random)};
  } else {
    health.port = static_cast<std::uint16_t>(1 + random.Below(65535));
    for (const PortSpec& port : ports) {
      if (port.protocol != Protocol::kTcp || port.name.empty()) continue;
      health.port = 0;
      health.port_name = port.name;
    }
  }
  const auto below = [&random](Duration most) {
    return Duration(
        static_cast<std::int64_t>(random.Below(static_cast<std::uint64_t>(most.count()))));
  };
  health.interval = kHealthIntervalMin + below(kHealthIntervalMax - kHealthIntervalMin);
  health.timeout = kHealthTimeoutMin + below(kHealthTimeoutMax - kHealthTimeoutMin);
  health.start_period = below(kHealthStartPeriodMax);
  health.retries = 1 + static_cast<std::uint32_t>(random.Below(kHealthCountMax));
  health.successes = 1 + static_cast<std::uint32_t>(random.Below(kHealthCountMax));
  if (Coin(random)) health.on_failure = HealthCheck::OnFailure::kNone;
  return health;
}

// A spec that was used before, an equal copy of it, or a new one.
TaskSpecPtr FromPool(Random& random, std::vector<TaskSpecPtr>& pool) {
  const std::uint64_t choice = random.Below(3);
  if (!pool.empty() && choice == 0) return pool[random.Below(pool.size())];
  if (!pool.empty() && choice == 1) {
    return std::make_shared<const TaskSpec>(*pool[random.Below(pool.size())]);
  }
  return pool.emplace_back(RandomSpecPtr(random));
}

Assignment RandomAssignment(Random& random, std::vector<TaskSpecPtr>& pool) {
  Assignment assignment;
  assignment.task = RandomTaskId(random);
  assignment.attempt = Positive32(random);
  assignment.placement = RandomStamp(random);
  assignment.spec = FromPool(random, pool);
  assignment.stop = Coin(random);
  assignment.grace = RandomGrace(random);
  assignment.launches = Number32(random);
  return assignment;
}

AssignItem RandomAssignItem(Random& random, const Stamp& stamp, std::vector<TaskSpecPtr>& pool) {
  switch (random.Below(5)) {
    case 0:
      return StopAssignment{RandomTaskId(random), Positive32(random), RandomGrace(random)};
    case 1:
      return Welcomed{NonZero(random), Positive32(random), Coin(random)};
    case 2:
      return JoinRefused{NonZero(random), RandomText(random)};
    case 3:
      return UpToDate{};
    default:
      break;
  }
  Assignment assignment = RandomAssignment(random, pool);
  if (stamp != Stamp{} && Coin(random)) assignment.placement = stamp;
  return assignment;
}

Error RandomError(Random& random) {
  return {static_cast<Code>(random.Below(12)), RandomText(random, 30), RandomText(random)};
}

}  // namespace

std::string RandomToken(Random& random, std::size_t length_max) {
  constexpr std::string_view kInside = "abcdefghijklmnopqrstuvwxyz0123456789-";
  std::string token(1 + random.Below(length_max), 'x');
  for (char& c : token) c = kInside[random.Below(kInside.size())];
  if (token.front() == '-') token.front() = 'a';
  if (token.back() == '-') token.back() = '0';
  return token;
}

std::string RandomText(Random& random, std::size_t characters_max) {
  constexpr std::array<std::string_view, 16> kCharacters{
      "a", "B", "7", " ", "=", ",", "\"", "\\", "\n", "\t", "\x01", "ä", "€", "😀", "{", "/"};
  std::string text;
  for (std::uint64_t i = random.Below(characters_max + 1); i > 0; --i) {
    text += kCharacters[random.Below(kCharacters.size())];
  }
  return text;
}

TaskSpec RandomSpec(Random& random) {
  constexpr std::array<std::string_view, 4> kImages{
      "nginx", "busybox:1.36", "registry.local:5000/team/app:v2", "a/b@sha256:0"};
  TaskSpec spec;
  spec.name = TaskName::Trusted(RandomToken(random, kTaskNameLengthMax));
  spec.command = RandomArguments(random);
  spec.entrypoint = RandomArguments(random);
  switch (random.Below(3)) {
    case 0:
      spec.engine = "process";
      if (spec.command.empty() && spec.entrypoint.empty()) spec.command = {"true"};
      break;
    case 1:
      spec.engine = "sim";
      break;
    default:
      break;
  }
  if (spec.engine != "process") spec.image = kImages[random.Below(kImages.size())];
  for (std::uint64_t i = random.Below(4); i > 0; --i) {
    spec.env["V" + RandomToken(random, 5)] = RandomText(random);
  }
  spec.labels = RandomLabels(random);
  if (Coin(random)) spec.user = "1000:grp";
  if (Coin(random)) spec.workdir = "/" + RandomText(random);
  spec.ports = RandomPorts(random);
  if (Coin(random)) spec.resources.cpu_millis = static_cast<std::int64_t>(random.Below(64'000));
  if (Coin(random)) {
    spec.resources.memory_bytes =
        kMemoryBytesMin + static_cast<std::int64_t>(random.Below(std::uint64_t{1} << 40));
  }
  if (Coin(random)) spec.resources.disk_bytes = static_cast<std::int64_t>(random.Below(kBytesMax));
  spec.restart = RandomRestart(random);
  if (Coin(random)) spec.stop_signal = SignalName(static_cast<int>(1 + random.Below(31)));
  if (Coin(random)) spec.stop_grace = RandomGrace(random);
  if (Coin(random)) {
    spec.priority = static_cast<std::int32_t>(random.Below(2 * kPriorityMax)) - kPriorityMax;
  }
  spec.constraints = RandomConstraints(random);
  spec.pull = static_cast<PullPolicy>(random.Below(3));
  spec.reschedule = RandomReschedule(random);
  if (Coin(random)) spec.health = RandomHealth(random, spec.ports);
  if (Coin(random)) spec.scheduler = kPolicies[random.Below(kPolicies.size())];
  spec.affinities = RandomAffinities(random);
  if (Coin(random)) spec.distinct = static_cast<std::uint32_t>(random.Below(kDistinctMax + 1));
  if (spec.engine != "process") RandomIsolation(random, spec);
  return spec;
}

TaskSpecPtr RandomSpecPtr(Random& random) {
  return std::make_shared<const TaskSpec>(RandomSpec(random));
}

std::vector<SubmitTask> RandomSubmits(Random& random) {
  std::vector<SubmitTask> tasks(1 + random.Below(5));
  std::vector<TaskSpecPtr> pool;
  for (SubmitTask& task : tasks) {
    // The prefix keeps it from looking like a task of a job.
    if (Coin(random)) task.id = TaskId::Trusted(RandomToken(random, 40) + "x");
    task.spec = FromPool(random, pool);
  }
  return tasks;
}

std::vector<StopTask> RandomStops(Random& random) {
  std::vector<StopTask> tasks(1 + random.Below(5));
  for (StopTask& task : tasks) {
    task.id = TaskId::Trusted(RandomToken(random, 40) + "x");
    if (Coin(random)) task.grace = RandomGrace(random);
  }
  return tasks;
}

JobSpec RandomJob(Random& random) {
  JobSpec job;
  TaskSpec task = RandomSpec(random);
  job.name = task.name;
  job.type = static_cast<JobType>(random.Below(3));
  job.replicas =
      job.type == JobType::kSystem ? 0 : static_cast<std::uint32_t>(1 + random.Below(kReplicasMax));
  if (Coin(random)) {
    job.update.parallel = static_cast<std::uint32_t>(1 + random.Below(kUpdateParallelMax));
  }
  if (Coin(random)) job.update.timeout = std::chrono::seconds(1 + random.Below(3600));
  job.task = std::make_shared<const TaskSpec>(std::move(task));
  return job;
}

std::vector<StopJob> RandomJobStops(Random& random) {
  std::vector<StopJob> jobs(1 + random.Below(5));
  for (StopJob& job : jobs) {
    job.name = RandomName(random);
    if (Coin(random)) job.grace = RandomGrace(random);
  }
  return jobs;
}

std::vector<ScaleJob> RandomScales(Random& random) {
  std::vector<ScaleJob> jobs(1 + random.Below(5));
  for (ScaleJob& job : jobs) job = {RandomName(random), Slot(random)};
  return jobs;
}

std::vector<NodeName> RandomNodes(Random& random) {
  std::vector<NodeName> nodes(1 + random.Below(5));
  for (NodeName& node : nodes) node = RandomNode(random);
  return nodes;
}

std::vector<DrainNode> RandomDrains(Random& random) {
  std::vector<DrainNode> drains(1 + random.Below(5));
  for (DrainNode& drain : drains) {
    drain.node = RandomNode(random);
    if (Coin(random)) drain.deadline = RandomGrace(random);
  }
  return drains;
}

Explanation RandomExplanation(Random& random) {
  Explanation explanation;
  explanation.scheduler = RandomToken(random);
  explanation.nodes = Number32(random);
  for (std::uint64_t i = random.Below(4); i > 0; --i) {
    explanation.filtered.push_back({RandomToken(random), Number32(random)});
  }
  explanation.score = Signed(random) * (Coin(random) ? 1 : -1);
  explanation.runner_up_score = Signed(random) * (Coin(random) ? 1 : -1);
  if (Coin(random)) explanation.runner_up = RandomNode(random);
  explanation.feasible = Number32(random);
  return explanation;
}

DecisionItem RandomDecision(Random& random) {
  switch (random.Below(19)) {
    case 14:
      return SetLoad{RandomNode(random),
                     {static_cast<std::uint8_t>(random.Below(kLoadFull + 1)),
                      static_cast<std::uint8_t>(random.Below(kLoadFull + 1)),
                      static_cast<std::uint8_t>(random.Below(kLoadFull + 1))}};
    case 0:
      return StopAttempt{RandomTaskId(random), Positive32(random), RandomNode(random),
                         RandomGrace(random)};
    case 1:
      return StopAttempt{RandomTaskId(random), 0, {}, RandomGrace(random)};
    case 2:
      return RefuseIntent{Number(random) | 1, Number32(random), RandomText(random),
                          RandomError(random)};
    case 3:
      return NodeDown{RandomNode(random), RandomText(random)};
    case 4:
      return NodeUp{RandomNode(random)};
    case 5:
      return WelcomeNode{RandomNode(random), NonZero(random), Positive32(random), Coin(random)};
    case 6:
      return RefuseNode{RandomNode(random), NonZero(random), RandomText(random)};
    case 7:
      return ForgetTask{RandomTaskId(random)};
    case 8:
      return EvictAttempt{RandomTaskId(random), Positive32(random), RandomNode(random),
                          RandomGrace(random),  RandomText(random), Coin(random)};
    case 9:
      return FillSlots{RandomName(random), Positive32(random), Slot(random), 1,
                       RandomNode(random), Coin(random)};
    case 10:
      return FillSlots{RandomName(random), Positive32(random), Slot(random), SlotCount(random), {},
                       Coin(random)};
    case 11: {
      EmptySlots empty{RandomName(random), Positive32(random), Slot(random), SlotCount(random), {},
                       Coin(random)};
      if (Coin(random)) empty.grace = RandomGrace(random);
      return empty;
    }
    case 12:
      return EndUpdate{RandomName(random), Positive32(random), RandomText(random)};
    case 13:
      return EndJob{RandomName(random), static_cast<JobEnd>(1 + random.Below(3)),
                    RandomText(random)};
    case 15:
      return ReadoptAttempt{RandomNode(random), RandomTaskId(random), Positive32(random),
                            RandomStamp(random), Coin(random) ? RandomSpecPtr(random) : nullptr};
    case 16:
      return DropAttempt{RandomNode(random), RandomTaskId(random), Positive32(random),
                         RandomText(random)};
    case 17:
      return SettleNode{RandomNode(random)};
    default:
      break;
  }
  return StartAttempt{RandomTaskId(random), Positive32(random), RandomNode(random),
                      RandomSpecPtr(random), RandomExplanation(random)};
}

DecisionBatch RandomDecisions(Random& random) {
  DecisionBatch batch;
  batch.term = RandomTerm(random);
  batch.cycle = Number(random) | 1;
  if (Coin(random)) batch.prev = RandomStamp(random);
  batch.intents = RandomPosition(random);
  batch.facts = RandomPosition(random);
  batch.decided_at = WallFromNanos(static_cast<std::int64_t>(random.Next() >> 1));
  if (Coin(random)) batch.told = RandomStamp(random);
  if (Coin(random)) {
    batch.term_start = TermStart{RandomToken(random),
                                 RandomText(random),
                                 Number32(random),
                                 {RandomToken(random), RandomGrace(random), Number32(random)},
                                 RandomText(random)};
  }
  std::vector<TaskSpecPtr> pool;
  for (std::uint64_t i = random.Below(8); i > 0; --i) {
    batch.items.push_back(RandomDecision(random));
    if (auto* start = std::get_if<StartAttempt>(&batch.items.back())) {
      start->spec = FromPool(random, pool);
    }
    if (Coin(random)) batch.items.push_back(batch.items[random.Below(batch.items.size())]);
  }
  return batch;
}

LaunchFact RandomLaunchFact(Random& random) {
  LaunchFact fact;
  fact.key = {RandomTaskId(random), Positive32(random), Number32(random)};
  fact.placement = RandomStamp(random);
  fact.state = static_cast<LaunchState>(random.Below(4));
  if (fact.state == LaunchState::kExited) {
    fact.cause = static_cast<ExitCause>(1 + random.Below(5));
    fact.exit_code = static_cast<std::int32_t>(random.Below(512)) - 256;
    fact.final = Coin(random);
    fact.stop_asked = Coin(random);
    fact.restart_at = WallFromNanos(Signed(random));
  }
  fact.detail = RandomText(random, 40);
  fact.container_id = RandomToken(random, 63);
  for (std::uint64_t i = random.Below(3); i > 0; --i) {
    fact.ports.push_back({static_cast<std::uint16_t>(1 + random.Below(65535)),
                          static_cast<std::uint16_t>(1 + random.Below(65535)),
                          Coin(random) ? Protocol::kTcp : Protocol::kUdp});
  }
  fact.started_at = WallFromNanos(Signed(random));
  fact.finished_at = WallFromNanos(Signed(random));
  return fact;
}

FactBatch RandomFacts(Random& random) {
  FactBatch batch;
  batch.node = RandomNode(random);
  batch.instance = NonZero(random);
  batch.incarnation = Number32(random);
  batch.first_number = (random.Next() >> (1 + random.Below(63))) | 1;
  for (std::uint64_t i = random.Below(6); i > 0; --i) batch.facts.push_back(RandomFact(random));
  return batch;
}

AssignBatch RandomAssign(Random& random) {
  AssignBatch batch;
  batch.term = RandomTerm(random);
  batch.node = RandomNode(random);
  batch.instance = Number(random);
  batch.incarnation = Number32(random);
  batch.seq = Number(random) | 1;
  batch.first = random.Below(batch.seq);
  batch.prev = random.Below(batch.first == 0 ? batch.seq : batch.first);
  if (Coin(random)) batch.stamp = RandomStamp(random);
  if (Coin(random)) batch.cluster = RandomToken(random);
  if (Coin(random)) batch.term_seq = random.Below(batch.seq);
  if (Coin(random)) batch.term_before = RandomTerm(random);
  std::vector<TaskSpecPtr> pool;
  for (std::uint64_t i = random.Below(6); i > 0; --i)
    batch.items.push_back(RandomAssignItem(random, batch.stamp, pool));
  return batch;
}

DesiredPage RandomDesired(Random& random) {
  DesiredPage page;
  page.term = RandomTerm(random);
  page.node = RandomNode(random);
  page.instance = Number(random);
  page.incarnation = Number32(random);
  page.seq = Number(random) | 1;
  page.pages = static_cast<std::uint32_t>(1 + random.Below(wire::kDesiredPagesMax));
  page.page = static_cast<std::uint32_t>(random.Below(page.pages));
  if (Coin(random)) page.report = RandomStamp(random);
  if (Coin(random)) page.cluster = RandomToken(random);
  page.last_fact = Number(random);
  std::vector<TaskSpecPtr> pool;
  for (std::uint64_t i = random.Below(6); i > 0; --i) {
    page.assignments.push_back(RandomAssignment(random, pool));
  }
  return page;
}

Heartbeat RandomHeartbeat(Random& random) {
  Heartbeat beat;
  beat.node = Coin(random) ? RandomToken(random) : std::string(kLeaderHeartbeat);
  beat.instance = NonZero(random);
  beat.incarnation = Number32(random);
  beat.number = Number(random);
  beat.position = Number(random);
  if (Coin(random)) beat.term = RandomTerm(random);
  beat.hello = Coin(random);
  beat.sent_at = WallFromNanos(Signed(random));
  beat.nodes = Number32(random);
  beat.acked_fact = Number(random);
  return beat;
}

}  // namespace cube::testing
