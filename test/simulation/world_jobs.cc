// What users ask of a simulated cluster beyond plain tasks: health checks, drains, jobs.
#include "shared/wire/codec.h"
#include "shared/wire/subjects.h"
#include "test/simulation/world.h"

namespace cube::sim {

// Checks, and launches that pass them, fail them, or fail them later.
void World::DrawHealth(Random& random, TaskSpec& spec) {
  if (random.Below(3) == 0) {
    HealthCheck& health = spec.health.emplace();
    health.kind = HealthCheck::Kind::kTcp;
    health.port = 80;
    health.interval = Millis(200 + random.Below(2000));
    health.timeout = Millis(50 + random.Below(500));
    health.start_period = Millis(random.Below(2) == 0 ? 0 : random.Below(4000));
    health.retries = 1 + static_cast<std::uint32_t>(random.Below(3));
    health.successes = 1 + static_cast<std::uint32_t>(random.Below(2));
    if (random.Below(3) == 0) health.on_failure = HealthCheck::OnFailure::kNone;
    spec.labels["sim.serves-from"] =
        random.Below(5) == 0 ? "never" : std::to_string(random.Below(3000)) + "ms";
    if (random.Below(3) == 0) {
      spec.labels["sim.serves-until"] = std::to_string(random.Below(15'000)) + "ms";
    }
    spec.labels["sim.answers-after"] = std::to_string(random.Below(100)) + "ms";
  }
}

void World::DrawReschedule(Random& random, TaskSpec& spec) {
  if (random.Below(4) == 0) {
    spec.reschedule = {ReschedulePolicy::Mode::kOnFailure,
                       1 + static_cast<std::uint32_t>(random.Below(3))};
  } else if (random.Below(8) == 0) {
    spec.reschedule = {ReschedulePolicy::Mode::kNever, 0};
  }
}

void World::DrawDrains() {
  Random& random = stage_.random;
  const auto lasts = static_cast<std::uint64_t>(plan_.faults_last / Millis(1));
  for (std::uint32_t i = 0; i < plan_.drains; ++i) {
    const NodeName node = NodeName::Trusted(workers_[random.Below(workers_.size())]->name());
    const Duration at = Millis(random.Below(lasts));
    const Duration deadline = Millis(random.Below(2) == 0 ? 0 : random.Below(40'000));
    const bool cordon = random.Below(4) == 0;
    At(at, [this, node, deadline, cordon] {
      stage_.Note((cordon ? "cordon of " : "drain of ") + node.str());
      if (cordon) {
        client_->Ask(wire::Subjects().Nodes("cordon"), wire::EncodeCordon({node}, true));
      } else {
        client_->Ask(wire::Subjects().Nodes("drain"), wire::EncodeDrain({{node, deadline}}));
      }
    });
    if (random.Below(4) == 0) continue;  // stays drained
    At(at + Millis(random.Below(30'000)), [this, node] {
      stage_.Note("uncordon of " + node.str());
      client_->Ask(wire::Subjects().Nodes("uncordon"), wire::EncodeCordon({node}, false));
    });
  }
  for (std::uint32_t i = 0; i < plan_.leaves; ++i) {
    WorkerActor& worker = *workers_[random.Below(workers_.size())];
    worker.set_on_exit(static_cast<worker::OnExit>(random.Below(3)));
    At(Millis(random.Below(lasts)), [this, &worker] {
      stage_.Note(worker.name() + " is told to end");
      worker.Leave();
    });
  }
}

// A job's life: submitted, then scaled, replaced and perhaps stopped.
void World::DrawJobs() {
  Random& random = stage_.random;
  const auto lasts = static_cast<std::uint64_t>(plan_.faults_last / Millis(1));
  const auto template_of = [&random](const TaskName& name, JobType type) {
    TaskSpec spec;
    spec.name = name;
    spec.command = {"sim"};
    spec.engine = "sim";
    spec.resources.cpu_millis = static_cast<std::int64_t>(random.Below(3) * 200);
    spec.stop_grace = Millis(random.Below(2000));
    spec.labels["sim.start"] = std::to_string(random.Below(300)) + "ms";
    if (type == JobType::kBatch) {
      spec.labels["sim.run"] = std::to_string(random.Below(10'000)) + "ms";
      spec.labels["sim.exit"] = std::to_string(random.Below(4) == 0 ? 1 : 0);
    }
    if (random.Below(8) == 0) spec.labels["sim.fail"] = "no such image";
    spec.restart = DefaultRestart(type);
    spec.reschedule = DefaultReschedule(type);
    if (random.Below(4) == 0) spec.restart = {RestartMode::kNo, 0};
    DrawHealth(random, spec);
    // What is restarted for ever because of its check would never come to rest.
    if (spec.health && spec.restart.mode != RestartMode::kNo) {
      spec.health->on_failure = HealthCheck::OnFailure::kNone;
    }
    return std::make_shared<const TaskSpec>(std::move(spec));
  };
  for (std::uint32_t i = 0; i < plan_.jobs; ++i) {
    const TaskName name = TaskName::Trusted("j" + std::to_string(i % 3));
    JobSpec job;
    job.name = name;
    job.type = static_cast<JobType>(random.Below(3));
    job.update.parallel = static_cast<std::uint32_t>(1 + random.Below(3));
    job.update.timeout = std::chrono::seconds(20);
    std::uint64_t at = random.Below(lasts);
    for (std::uint64_t step = 0, steps = 1 + random.Below(4); step < steps; ++step) {
      const auto replicas = static_cast<std::uint32_t>(1 + random.Below(6));
      if (step == 0 || random.Below(2) == 0) {
        job.replicas = job.type == JobType::kSystem ? 0 : replicas;
        job.task = template_of(name, job.type);
        At(Millis(at), [this, job] {
          client_->Ask(wire::Subjects().Jobs("submit"), wire::EncodeSubmitJob(job));
        });
      } else {
        At(Millis(at), [this, name, replicas] {
          client_->Ask(wire::Subjects().Jobs("scale"), wire::EncodeScaleJobs({{name, replicas}}));
        });
      }
      at += random.Below(15'000);
    }
    if (random.Below(3) != 0) continue;
    At(Millis(at), [this, name] {
      client_->Ask(wire::Subjects().Jobs("stop"), wire::EncodeStopJobs({{name, std::nullopt}}));
    });
  }
}

}  // namespace cube::sim
