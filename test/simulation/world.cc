#include "test/simulation/world.h"

#include <algorithm>
#include <set>

#include "shared/base/check.h"
#include "shared/cluster/status.h"
#include "shared/wire/codec.h"
#include "shared/wire/subjects.h"

namespace cube::sim {
namespace {

constexpr std::uint64_t kStepsMax = 3'000'000;  // far beyond what any plan needs: a livelock
constexpr Duration kReviveMin = std::chrono::milliseconds(50);
constexpr Duration kSettleLook = std::chrono::seconds(1);

}  // namespace

Plan Plan::FromSeed(std::uint64_t seed) {
  Random random(seed * 0x9e3779b97f4a7c15ULL + 1);
  Plan plan;
  plan.seed = seed;
  plan.managers = 1 + static_cast<int>(random.Below(3));
  plan.workers = 1 + static_cast<int>(random.Below(4));
  plan.tasks = 5 + static_cast<int>(random.Below(40));
  plan.faults_last = std::chrono::seconds(20 + random.Below(60));
  // Each kind of fault is absent in half of the runs: combinations, not always everything.
  auto maybe = [&random](std::uint64_t bound) {
    return static_cast<std::uint32_t>(random.Below(2) == 0 ? 0 : random.Below(bound));
  };
  plan.crash_rate = maybe(3000);
  plan.faults.message_lost = maybe(100'000);
  plan.faults.message_doubled = maybe(100'000);
  plan.faults.ack_lost = maybe(20'000);
  plan.faults.connection_lost = maybe(3'000);
  plan.faults.delayed = maybe(20'000);
  plan.kills = maybe(12);
  plan.views_lost = maybe(4);
  plan.server_stops = maybe(4);
  plan.vanishing = maybe(6);
  plan.engine_outages = maybe(3);
  plan.pauses = maybe(5);
  plan.clock_jumps = maybe(5);
  plan.rival = random.Below(3) == 0;
  plan.drains = maybe(5);
  plan.leaves = maybe(4);
  plan.jobs = maybe(4);
  if (random.Below(2) == 0) {
    plan.stream_bytes = static_cast<std::int64_t>((24 + random.Below(40)) << 10);
  }
  plan.tails_lost = random.Below(3) == 0 ? 1 + static_cast<std::uint32_t>(random.Below(3)) : 0;
  // Two machines of one name both hold what the log has lost, and nobody can tell which is right.
  if (plan.rival) plan.tails_lost = 0;
  if (random.Below(3) == 0) plan.replicas = 3;
  // Nothing is lost then, and nobody may say so.
  const bool shows_less = plan.replicas > 1 && plan.tails_lost == 0;
  plan.shows_less = shows_less ? static_cast<std::uint32_t>(random.Below(5)) : 0;
  // Drawn apart: who has none of these has the plan it always had.
  Random machines(seed * 0x9e3779b97f4a7c15ULL + 2);
  const auto seldom = [&machines](std::uint64_t bound) {
    return static_cast<std::uint32_t>(machines.Below(4) == 0 ? 1 + machines.Below(bound) : 0);
  };
  plan.disks_full = seldom(4);
  plan.ends_lost = seldom(4);
  plan.engine_troubles = seldom(4);
  plan.answers_lost = seldom(100'000);
  plan.decision_items = seldom(6);
  return plan;
}

std::string Plan::Text() const {
  auto n = [](auto v) { return std::to_string(v); };
  return n(managers) + " managers, " + n(workers) + " workers, " + n(tasks) + " tasks, " +
         FormatDuration(faults_last) + "; deaths/M " + n(crash_rate) + ", kills " + n(kills) +
         ", views lost " + n(views_lost) + ", server stops " + n(server_stops) + ", vanishing " +
         n(vanishing) + ", engine outages " + n(engine_outages) + ", pauses " + n(pauses) +
         ", clock jumps " + n(clock_jumps) + (rival ? ", two workers of one name" : "") +
         ", drains " + n(drains) + ", leaves " + n(leaves) + ", jobs " + n(jobs) + ", streams of " +
         n(stream_bytes) + " bytes, power cuts " + n(tails_lost) + ", replicas " + n(replicas) +
         ", shown less " + n(shows_less) + ", full disks " + n(disks_full) +
         ", ends of stores lost " + n(ends_lost) + ", engine troubles " + n(engine_troubles) +
         ", answers lost/M " + n(answers_lost) + ", items a message " + n(decision_items) +
         "; per M: lost " + n(faults.message_lost) + ", doubled " + n(faults.message_doubled) +
         ", acks lost " + n(faults.ack_lost) + ", connections lost " + n(faults.connection_lost) +
         ", delayed " + n(faults.delayed);
}

World::World(const Plan& plan, std::function<void(const std::string&)> trace)
    : plan_(plan), stage_(plan.seed), laws_(stage_.server) {
  stage_.trace = [this, trace = std::move(trace)](const std::string& line) {
    const std::string stamped = FormatDuration(Millis(static_cast<std::uint64_t>(
                                    ToNanos(stage_.clock.now().mono) / 1'000'000 - 3'600'000))) +
                                " " + line;
    Hash(stamped);
    if (trace) trace(stamped);
  };
  stage_.stream_bytes = plan_.stream_bytes;
  stage_.replicas = plan_.replicas;
  stage_.decision_items = plan_.decision_items;
  for (int i = 0; i < plan_.managers; ++i) {
    managers_.push_back(std::make_unique<ManagerActor>(stage_, "m" + std::to_string(i)));
    actors_.push_back(managers_.back().get());
  }
  auto add_worker = [this](const std::string& name, const std::string& node) {
    const Resources capacity{4000, std::int64_t{4} << 30, 0};
    workers_.push_back(
        std::make_unique<WorkerActor>(stage_, name, NodeName::Trusted(node), capacity));
    actors_.push_back(workers_.back().get());
  };
  for (int i = 0; i < plan_.workers; ++i) {
    const std::string name = "n" + std::to_string(i);
    add_worker(name, name);
    if (i == 0 && plan_.rival) add_worker("n0'", name);
  }
  client_ = std::make_unique<ClientActor>(stage_);
  actors_.push_back(client_.get());
}

void World::Hash(const std::string& line) {
  for (const char c : line) {  // FNV-1a
    outcome_.trace_hash = (outcome_.trace_hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
}

void World::At(Duration after, std::function<void()> act) {
  planned_.push_back({stage_.clock.now().mono + after, std::move(act)});
}

void World::DrawTasks() {
  Random& random = stage_.random;
  for (int i = 0; i < plan_.tasks; ++i) {
    TaskSpec spec;
    spec.name = TaskName::Trusted("t" + std::to_string(i));
    spec.command = {"sim"};
    spec.engine = "sim";
    spec.resources.cpu_millis = static_cast<std::int64_t>(random.Below(4) * 250);
    spec.stop_grace = Millis(random.Below(3000));
    spec.labels["sim.start"] = std::to_string(random.Below(500)) + "ms";
    if (random.Below(3) == 0) {
      spec.labels["sim.run"] = std::to_string(random.Below(20'000)) + "ms";
      spec.labels["sim.exit"] = std::to_string(random.Below(2));
    }
    if (plan_.stream_bytes != 0) spec.env["BALLAST"] = std::string(random.Below(1000), 'x');
    if (random.Below(8) == 0) spec.labels["sim.fail"] = "no such image";
    if (random.Below(8) == 0) spec.labels["sim.stop"] = "never";
    if (random.Below(4) == 0) spec.restart = {RestartMode::kNo, 0};
    if (random.Below(4) == 0) {
      PortSpec port;
      port.port = 80;
      port.host_port = static_cast<std::uint16_t>(8000 + random.Below(3));
      spec.ports.push_back(port);
    }
    DrawHealth(random, spec);
    DrawReschedule(random, spec);
    const std::string id = "t" + std::to_string(i) + "-x";
    ids_.push_back(id);
    const auto lasts = static_cast<std::uint64_t>(plan_.faults_last / Millis(1));
    const Duration at = Millis(random.Below(lasts));
    auto shared = std::make_shared<const TaskSpec>(std::move(spec));
    At(at, [this, id, shared] { client_->Submit(id, shared); });
    if (random.Below(3) == 0) {
      At(at + Millis(random.Below(10'000)), [this, id] {
        if (client_->submitted().contains(id)) client_->Stop(id);
      });
    }
  }
}

void World::ReviveLater(Actor& actor) {
  At(kReviveMin + Millis(stage_.random.Below(8000)), [&actor] {
    if (!actor.alive()) actor.Start();
  });
}

Actor& World::AnyProcess() {
  // The client is not a part of the cluster.
  return *actors_[stage_.random.Below(actors_.size() - 1)];
}

void World::Kill(Actor& actor, bool lose_view) {
  if (!actor.alive()) return;
  actor.Kill();
  ++outcome_.deaths;
  ReviveLater(actor);
  if (lose_view) {
    if (auto* manager = dynamic_cast<ManagerActor*>(&actor)) manager->LoseView();
    if (auto* worker = dynamic_cast<WorkerActor*>(&actor)) worker->LoseView();
  }
}

void World::DrawFaults() {
  Random& random = stage_.random;
  const auto lasts = static_cast<std::uint64_t>(plan_.faults_last / Millis(1));
  auto sometime = [&random, lasts] { return Millis(random.Below(lasts)); };
  for (std::uint32_t i = 0; i < plan_.kills; ++i) {
    At(sometime(), [this] { Kill(AnyProcess(), false); });
  }
  for (std::uint32_t i = 0; i < plan_.views_lost; ++i) {
    At(sometime(), [this] { Kill(AnyProcess(), true); });
  }
  for (std::uint32_t i = 0; i < plan_.server_stops; ++i) {
    At(sometime(), [this] {
      if (!stage_.server.running()) return;
      stage_.Note("server stops");
      stage_.server.Stop();
      At(Millis(100 + stage_.random.Below(6000)), [this] {
        if (!stage_.server.running()) stage_.server.Start();
      });
    });
  }
  for (std::uint32_t i = 0; i < plan_.vanishing; ++i) {
    At(sometime(), [this] {
      engine::SimMachine& machine = workers_[stage_.random.Below(workers_.size())]->machine();
      const auto all = machine.All();
      if (all.empty()) return;
      const LaunchKey key = all[stage_.random.Below(all.size())].status.key;
      stage_.Note("somebody touches a launch of " + key.task.str());
      if (stage_.random.Below(2) == 0) {
        machine.Vanish(key);
      } else {
        machine.Exit(key, ExitCause::kSignaled, 137);
      }
    });
  }
  for (std::uint32_t i = 0; i < plan_.engine_outages; ++i) {
    At(sometime(), [this] {
      WorkerActor& worker = *workers_[stage_.random.Below(workers_.size())];
      worker.machine().SetReachable(false);
      stage_.Note("engine of " + worker.name() + " is unreachable");
      At(Millis(stage_.random.Below(6000)), [&worker] { worker.machine().SetReachable(true); });
    });
  }
  for (std::uint32_t i = 0; i < plan_.pauses; ++i) {
    At(sometime(), [this] {
      Actor& actor = AnyProcess();
      const Duration pause = Millis(stage_.random.Below(12'000));
      if (stage_.random.Below(2) == 0) {
        actor.PauseInStep(pause);
        return;
      }
      actor.PauseUntil(stage_.clock.now().mono + pause);
      stage_.Note(actor.name() + " is paused for " + FormatDuration(pause));
    });
  }
  for (std::uint32_t i = 0; i < plan_.clock_jumps; ++i) {
    At(sometime(), [this] {
      Actor& actor = AnyProcess();
      const Duration most = std::chrono::hours(2);
      const Duration by =
          Millis(stage_.random.Below(2 * static_cast<std::uint64_t>(most / Millis(1)))) - most;
      actor.JumpClock(by);
      stage_.Note("the clock of " + actor.name() + " jumps by " + FormatDuration(by));
    });
  }
}

void World::Draw() {
  DrawJobs();
  DrawTasks();
  DrawFaults();
  DrawDrains();
  DrawPowerCuts();
  DrawShownLess();
  DrawDisks();
  DrawEngineTroubles();
  for (Actor* actor : actors_) actor->Start();
  stage_.server.set_faults(plan_.faults);
  stage_.crash_rate = plan_.crash_rate;
  stage_.answers_lost = plan_.answers_lost;
  calm_from_ = stage_.clock.now().mono + plan_.faults_last;
  At(plan_.faults_last, [this] {
    stage_.Note("the faults are over");
    stage_.crash_rate = 0;
    stage_.answers_lost = 0;
    stage_.server.set_faults({});
    if (!stage_.server.running()) stage_.server.Start();
    for (const auto& worker : workers_) {
      worker->machine().SetReachable(true);
      worker->SetTrouble({});
    }
    for (Actor* actor : actors_) {
      actor->FillDisk(false);
      if (!actor->alive()) actor->Start();
    }
  });
}

// One thing happens: the earliest. -> false when nothing is left to happen.
bool World::Step() {
  const MonoTime now = stage_.clock.now().mono;
  const auto planned =
      std::min_element(planned_.begin(), planned_.end(),
                       [](const Planned& a, const Planned& b) { return a.at < b.at; });
  MonoTime next = planned == planned_.end() ? MonoTime::max() : planned->at;
  const std::optional<MonoTime> server = stage_.server.NextEventAt();
  if (server) next = std::min(next, *server);
  Actor* actor = nullptr;
  MonoTime actor_at = MonoTime::max();
  // Ties go to another actor each time, as the seed has it.
  const std::size_t first = stage_.random.Below(actors_.size());
  for (std::size_t i = 0; i < actors_.size(); ++i) {
    Actor* candidate = actors_[(first + i) % actors_.size()];
    const MonoTime at = std::max({candidate->WakeAt(), candidate->paused_until(), now});
    if (at < actor_at) {
      actor_at = at;
      actor = candidate;
    }
  }
  next = std::max(std::min(next, actor_at), now);
  if (next == MonoTime::max()) return false;
  stage_.clock.AdvanceTo(next);
  if (planned != planned_.end() && planned->at <= next) {
    const auto act = std::move(planned->act);
    planned_.erase(planned);
    act();
  } else if (server && *server <= next && (actor_at > next || stage_.random.Below(2) == 0)) {
    stage_.server.Step();
  } else {
    const bool was_alive = actor->alive();
    actor->Run();
    if (was_alive && !actor->alive()) {
      ++outcome_.deaths;
      // At the end nobody starts a worker again that says why it ended.
      if (next < calm_from_ || !Contested(*actor)) ReviveLater(*actor);
    }
  }
  return true;
}

bool World::IsBorne(const std::string& cluster) const {
  return std::ranges::any_of(workers_, [&](const auto& worker) {
    return std::ranges::any_of(worker->machine().All(), [&](const engine::SimMachine::Seen& seen) {
      return seen.owner.cluster == cluster;
    });
  });
}

std::string World::CheckLaws() {
  // Only a growing log can break what Check looks at.
  if (std::string broken = laws_.Check(); !broken.empty()) return broken;
  if (const std::string now = laws_.cluster(); !now.empty() && now != cluster_) {
    // Of several managers one that leads may never have heard of the log that is gone.
    const bool remembered = plan_.managers == 1 && plan_.views_lost == 0 && plan_.ends_lost == 0 &&
                            plan_.disks_full == 0;
    if (remembered && IsBorne(cluster_)) return "the cluster has another name";
    cluster_ = now;
    held_.clear();  // it is not this cluster's
  }
  return {};
}

// Whether what is known of a running task's health is still to change; empty = no.
std::string World::HealthUnclear(const Task& task) const {
  if (!task.spec->health) return {};
  const HealthFact* health = HealthOf(task);
  if (health == nullptr) return IdOf(task).str() + " has not been checked";
  if (!health->healthy && task.spec->health->on_failure == HealthCheck::OnFailure::kRestart) {
    return IdOf(task).str() + " is unhealthy and was not ended";
  }
  for (const auto& worker : workers_) {
    if (worker->node() != task.node) continue;
    const auto answering = worker->machine().AnswerOf(health->key);
    const bool in_time = answering.after <= task.spec->health->timeout;
    if ((answering.serves && in_time) == health->healthy) return {};
  }
  return IdOf(task).str() + " is not as healthy as the log says";
}

// What keeps the cluster from being at rest; empty = it has converged.
std::string World::Unsettled() {
  if (!client_->idle()) return "the client still waits for acknowledgements";
  const View& view = laws_.view();
  std::map<std::string, std::string> wanted;  // task -> node, of all that should run
  for (const Task& task : view.tasks) {
    const Status status = StatusOf(task);
    if (status == Status::kRunning || status == Status::kUnhealthy) {
      wanted[IdOf(task).str()] = task.node.str();
      if (std::string unclear = HealthUnclear(task); !unclear.empty()) return unclear;
    } else if (!IsFinished(task) && status != Status::kPending) {
      return IdOf(task).str() + " is " + std::string(StatusName(status));
    } else if (MovesAt(task) > view.decided_at) {
      continue;  // it has moved as often as it may
    } else if (status == Status::kPending) {
      for (const auto& [name, node] : view.nodes) {
        if (task.seldom->pinned && *task.seldom->pinned != name) continue;
        const Resources& used = node.allocated;
        const auto& ports = task.spec->ports;
        const bool port_free = std::all_of(ports.begin(), ports.end(), [&node](const auto& port) {
          return !node.static_ports.contains({port.host_port, port.protocol});
        });
        const bool fits = IsEligible(node) && port_free &&
                          task.spec->resources.cpu_millis + used.cpu_millis <=
                              node.description.capacity.cpu_millis;
        if (fits) return IdOf(task).str() + " is pending though " + name.str() + " has room";
        if (!IsReady(node)) return "node " + name.str() + " is not ready";
      }
    }
  }
  if (std::string jobs = UnsettledJobs(view); !jobs.empty()) return jobs;
  for (const auto& [name, node] : view.nodes) {
    if (IsDraining(node) && !node.attempts.empty()) {
      return "node " + name.str() + " is drained and not empty";
    }
  }
  for (const std::string& id : client_->submitted()) {
    if (view.Find(TaskId::Trusted(id)) != nullptr) continue;
    const auto refused = laws_.refused().find(id);
    if (excused_.contains(id)) continue;
    return "law 4: " + id + " was accepted and is " +
           (refused == laws_.refused().end() ? "lost" : "refused: " + refused->second);
  }
  for (const std::string& id : client_->stopped()) {
    const Task* task = view.Find(TaskId::Trusted(id));
    if (excused_.contains(id)) continue;
    if (task == nullptr || !IsFinished(*task)) return "law 4: the stop of " + id + " is lost";
  }
  for (const auto& [task, attempt] : held_) {
    if (view.Find(task) != nullptr || laws_.accounted().contains({task, attempt})) continue;
    return "law 4: " + task.str() + " ran when the log lost it, and was ended without a word";
  }
  std::set<std::string> nodes;
  for (const auto& worker : workers_) {
    if (!worker->alive()) continue;  // its machine is out of the cluster
    if (!nodes.insert(worker->node().str()).second) {
      return "two workers of " + worker->node().str() + " go on";
    }
    if (std::string broken = CheckNode(*worker, wanted); !broken.empty()) return broken;
  }
  if (!wanted.empty()) return "law 8: " + wanted.begin()->first + " has no container";
  return {};
}

std::string World::CheckNode(WorkerActor& worker, std::map<std::string, std::string>& wanted) {
  for (const engine::SimMachine::Seen& seen : worker.machine().All()) {
    // Where nobody remembers the cluster's name, what ran is nobody's.
    if (seen.owner.cluster != laws_.cluster()) continue;
    const std::string id = seen.status.key.task.str();
    if (seen.status.state == LaunchState::kExited) return "an exited launch of " + id + " is kept";
    const auto it = wanted.find(id);
    if (it == wanted.end() || it->second != worker.node().str()) {
      return "law 8: a launch of " + id + " on " + worker.name() + " should not run";
    }
    wanted.erase(it);
  }
  return {};
}

// On one machine no two launches that run have one host port.
std::string World::CheckPorts() {
  // What is readopted may clash with what the log has promised since; so may what neither the log
  // nor a worker's store remembers, until it is ended. A real engine refuses the second launch.
  if (laws_.ever_readopted() || (laws_.lossy() && plan_.views_lost != 0)) return {};
  for (const auto& worker : workers_) {
    std::map<std::pair<std::uint16_t, Protocol>, std::string> taken;
    for (const engine::SimMachine::Seen& seen : worker->machine().All()) {
      if (seen.status.state != LaunchState::kRunning) continue;
      for (const BoundPort& port : seen.status.ports) {
        const std::string& id = seen.status.key.task.str();
        const auto [it, is_new] = taken.try_emplace({port.host_port, port.protocol}, id);
        if (is_new) continue;
        return "law 6: host port " + std::to_string(port.host_port) + " of " + worker->name() +
               " is taken by " + it->second + " and " + id;
      }
    }
  }
  return {};
}

bool World::Contested(const Actor& actor) const {
  const auto* one = dynamic_cast<const WorkerActor*>(&actor);
  return one != nullptr && std::any_of(workers_.begin(), workers_.end(), [one](const auto& other) {
           return other.get() != one && other->node() == one->node() && other->alive();
         });
}

Outcome World::Run() {
  Draw();
  MonoTime look_at = calm_from_;
  std::string unsettled = "nothing has happened yet";
  while (outcome_.broken.empty() && Step()) {
    ++outcome_.steps;
    outcome_.broken = CheckLaws();
    if (outcome_.broken.empty() && outcome_.steps % 64 == 0) {
      outcome_.broken = CheckPorts();
      if (outcome_.broken.empty()) outcome_.broken = laws_.CheckTrimmed();
      if (!outcome_.broken.empty()) break;
      for (const auto& manager : managers_) {
        if (manager->loop() == nullptr) continue;
        outcome_.broken = laws_.CompareView(manager->name(), manager->loop()->view());
        if (!outcome_.broken.empty()) break;
      }
    }
    const MonoTime now = stage_.clock.now().mono;
    if (outcome_.steps > kStepsMax) outcome_.broken = "livelock: " + unsettled;
    if (now < look_at) continue;
    look_at = now + kSettleLook;
    unsettled = Unsettled();
    if (outcome_.broken.empty()) outcome_.broken = laws_.CheckIndexes();
    if (unsettled.empty()) break;
    if (now > calm_from_ + plan_.calm_max) outcome_.broken = "not converged: " + unsettled;
  }
  outcome_.simulated = stage_.clock.now().mono - MonoTime(std::chrono::hours(1));
  outcome_.decisions = laws_.decisions();
  outcome_.resets = laws_.resets();
  outcome_.readopted = laws_.readopted();
  outcome_.net = stage_.server.faults_done();
  const wire::Subjects names;
  for (const std::string& name :
       {names.IntentsStream(), names.DecisionsStream(), names.FactsStream()}) {
    const bus::SimStream* stream = stage_.server.FindStream(name);
    if (stream != nullptr) outcome_.trimmed += stream->State().first_seq - 1;
  }
  return outcome_;
}

}  // namespace cube::sim
