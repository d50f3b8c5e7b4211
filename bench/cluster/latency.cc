// cube-bench latency: from the submission until the event `running` is seen, one task after the
// other, beside what the engine itself needs for a start, measured in turn with it.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include "bench/cluster/commands.h"
#include "bench/cluster/stage.h"
#include "shared/wire/codec.h"
#include "test/support/engine/docker_fixture.h"

namespace cube::bench {
namespace {

constexpr Duration kPatience = std::chrono::seconds(60);
constexpr bus::SubId kFeed = 1;
// What is started lives at most so long, should the benchmark be killed.
constexpr const char* kLifeSeconds = "120";

double Millis(Duration d) { return 1e3 * Seconds(d); }

struct Samples {
  std::vector<double> stored, scheduled, running, engine;  // ms
};

class Latency {
 public:
  Latency(Stage& stage, TaskSpec spec) : stage_(stage), spec_(std::move(spec)) {
    stage_.bus()->Subscribe(kFeed, stage_.subjects().EventsAll(), "");
  }

  // Submits a task, waits until it runs, stops it, waits for its end.
  Result<void> Once(std::uint32_t number, Samples& samples) {
    SubmitTask task;
    task.id = TaskId::Trusted(fmt::format("lat-{}-{}", spec_.engine, number));
    task.spec = std::make_shared<const TaskSpec>(spec_);
    const MonoTime begin = now();
    bus::AppendRequest submit;
    submit.subject = stage_.subjects().TasksSubmit();
    submit.payload = wire::EncodeSubmit({task});
    CUBE_TRY_VOID(stage_.bus().Append(std::move(submit)));
    samples.stored.push_back(Millis(now() - begin));
    CUBE_TRY_VOID(WaitFor(task.id, "scheduled"));
    samples.scheduled.push_back(Millis(now() - begin));
    CUBE_TRY_VOID(WaitFor(task.id, "running"));
    samples.running.push_back(Millis(now() - begin));
    bus::AppendRequest stop;
    stop.subject = stage_.subjects().TasksStop();
    stop.payload = wire::EncodeStop({{task.id, Duration{0}}});
    CUBE_TRY_VOID(stage_.bus().Append(std::move(stop)));
    return WaitFor(task.id, "stopped");
  }

 private:
  [[nodiscard]] MonoTime now() const { return stage_.clock().now().mono; }

  Result<void> WaitFor(const TaskId& task, std::string_view status) {
    const std::string wanted = stage_.subjects().Event(spec_.name.str(), task.str(), status);
    const std::string failed = stage_.subjects().Event(spec_.name.str(), task.str(), "failed");
    const MonoTime deadline = now() + kPatience;
    while (auto event = stage_.bus().Next(deadline)) {
      const auto* message = std::get_if<bus::Message>(&*event);
      if (message == nullptr) continue;
      if (message->subject == wanted) return {};
      const std::string_view last = wire::Subjects::LastToken(message->subject);
      if (message->subject == failed || last == "refused")
        return Fail(Code::kInternal, message->payload);
    }
    return Fail(Code::kTimedOut, fmt::format("task {} is not {} after {}", task.str(), status,
                                             FormatDuration(kPatience)));
  }

  Stage& stage_;
  const TaskSpec spec_;
};

// fork, exec and nothing else.
Result<void> StartPlain(const Clock& clock, std::vector<double>& samples) {
  const MonoTime begin = clock.now().mono;
  CUBE_TRY(const auto child, Child::Start({"/bin/sleep", kLifeSeconds}, "", false));
  samples.push_back(Millis(clock.now().mono - begin));
  return {};
}

// The engine's own client.
Result<void> StartContainer(const engine::docker::Endpoint& endpoint, const Clock& clock,
                            std::vector<double>& samples) {
  const MonoTime begin = clock.now().mono;
  engine::ToolResult run =
      engine::Docker(endpoint, {"run", "-d", engine::kTestImage, "sleep", kLifeSeconds});
  samples.push_back(Millis(clock.now().mono - begin));
  if (run.exit_code != 0) return Fail(Code::kUnavailable, "docker run: " + run.output);
  while (!run.output.empty() && run.output.back() == '\n') run.output.pop_back();
  (void)engine::Docker(endpoint, {"rm", "-f", run.output});
  return {};
}

void Print(const char* what, const std::vector<double>& values) {
  fmt::print("  {:<28} p50 {:>8.2f} ms  p99 {:>8.2f} ms\n", what, Percentile(values, 50),
             Percentile(values, 99));
}

void Report(const std::string& kind, const char* engine_start, const Samples& samples) {
  fmt::print("latency, engine {}, {} tasks one after the other\n", kind, samples.running.size());
  Print("submit -> stored", samples.stored);
  Print("submit -> scheduled (seen)", samples.scheduled);
  Print("submit -> running (seen)", samples.running);
  Print(engine_start, samples.engine);
  const double p50 = Percentile(samples.running, 50);
  const double own = Percentile(samples.engine, 50);
  fmt::print("  p50 is {:.2f} times the engine's own start, {:.2f} ms more\n", p50 / own,
             p50 - own);
}

TaskSpec Sleeper(const std::string& engine) {
  TaskSpec spec;
  spec.name = TaskName::Trusted("latency");
  spec.engine = engine;
  spec.command = {"/bin/sleep", kLifeSeconds};
  spec.restart = {RestartMode::kNo, 0};
  return spec;
}

Result<void> Measure(const LatencyOptions& options, const std::string& kind,
                     const engine::docker::Endpoint& endpoint) {
  CUBE_TRY(const auto stage, Stage::Open(options.bin_dir));
  CUBE_TRY_VOID(stage->StartManager());
  CUBE_TRY_VOID(stage->StartWorker("bench-1", {kind}));
  CUBE_TRY_VOID(stage->WaitForNodes(1));
  const bool docker = kind == "docker";
  TaskSpec spec = Sleeper(kind);
  if (docker) spec.image = engine::kTestImage;
  Latency latency(*stage, std::move(spec));
  Samples warm_up;
  Samples samples;
  for (std::uint32_t i = 0; i <= options.count; ++i) {
    Samples& into = i == 0 ? warm_up : samples;
    CUBE_TRY_VOID(latency.Once(i, into));
    CUBE_TRY_VOID(docker ? StartContainer(endpoint, stage->clock(), into.engine)
                         : StartPlain(stage->clock(), into.engine));
  }
  Report(kind, docker ? "docker run -d" : "plain fork and exec", samples);
  return {};
}

}  // namespace

Result<void> RunLatency(const LatencyOptions& options) {
  const engine::docker::Endpoint endpoint = engine::TestEndpoint();
  CUBE_TRY_VOID(Measure(options, "process", endpoint));
  if (!engine::EngineAnswers(endpoint)) {
    fmt::print("latency, engine docker: none answers at {}\n", endpoint.name);
    return {};
  }
  if (const std::string why = engine::MakeTestImage(endpoint); !why.empty()) {
    return Fail(Code::kUnavailable, why);
  }
  return Measure(options, "docker", endpoint);
}

}  // namespace cube::bench
