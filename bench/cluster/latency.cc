// cube-bench latency: from the submission until the event `running` is seen, one task after the
// other, beside what the engine itself needs for a start, measured in turn with it.
#include <fmt/format.h>

#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/cluster/commands.h"
#include "bench/cluster/stage.h"
#include "services/worker/engine/docker/http_loop.h"
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

// posix_spawn and nothing else.
Result<void> StartPlain(const Clock& clock, std::vector<double>& samples) {
  const MonoTime begin = clock.now().mono;
  CUBE_TRY(const auto child, Child::Start({"/bin/sleep", kLifeSeconds}, "", false));
  samples.push_back(Millis(clock.now().mono - begin));
  return {};
}

// The Engine API and nothing else: the thread of its client lives with it.
class Api {
 public:
  explicit Api(const engine::docker::Endpoint& endpoint)
      : http_(endpoint), thread_([this] { http_.Run(); }) {}
  ~Api() {
    http_.Quit();
    thread_.join();
  }
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  // The body of the answer.
  Result<std::string> Call(const std::string& method, const std::string& target,
                           const std::string& body = "") {
    std::promise<Result<engine::docker::HttpResponse>> promise;
    auto answer = promise.get_future();
    http_.Post([&] {
      engine::docker::HttpRequest request{method, target, body};
      request.timeout = kPatience;
      http_.Send(std::move(request), [&](Result<engine::docker::HttpResponse> response) {
        promise.set_value(std::move(response));
      });
    });
    CUBE_TRY(engine::docker::HttpResponse response, answer.get());
    if (response.status >= 300) {
      return Fail(Code::kUnavailable,
                  fmt::format("{} {}: {} {}", method, target, response.status, response.body));
    }
    return std::move(response.body);
  }

 private:
  engine::docker::HttpLoop http_;
  std::thread thread_;
};

// POST /containers/create, POST /containers/<id>/start.
Result<void> StartContainer(Api& api, const Clock& clock, std::vector<double>& samples) {
  const nlohmann::json wish = {{"Image", engine::kTestImage}, {"Cmd", {"sleep", kLifeSeconds}}};
  const MonoTime begin = clock.now().mono;
  CUBE_TRY(const std::string created, api.Call("POST", "/containers/create", wish.dump()));
  const std::string id =
      nlohmann::json::parse(created, nullptr, false).value("Id", std::string("?"));
  CUBE_TRY_VOID(api.Call("POST", "/containers/" + id + "/start"));
  samples.push_back(Millis(clock.now().mono - begin));
  CUBE_TRY_VOID(api.Call("DELETE", "/containers/" + id + "?force=true"));
  return {};
}

void Print(const char* what, const std::vector<double>& values) {
  fmt::print("  {:<28} p50 {:>8.2f} ms  p99 {:>8.2f} ms\n", what, Percentile(values, 50),
             Percentile(values, 99));
}

void Report(const std::string& kind, const char* engine_start, const Samples& samples,
            Figures& figures) {
  fmt::print("latency, engine {}, {} tasks one after the other\n", kind, samples.running.size());
  Print("submit -> stored", samples.stored);
  Print("submit -> scheduled (seen)", samples.scheduled);
  Print("submit -> running (seen)", samples.running);
  Print(engine_start, samples.engine);
  const double p50 = Percentile(samples.running, 50);
  const double own = Percentile(samples.engine, 50);
  fmt::print("  p50 is {:.2f} times the engine's own start, {:.2f} ms more\n", p50 / own,
             p50 - own);
  const double own99 = Percentile(samples.engine, 99);
  const std::string name = "latency." + kind;
  figures.Add(name + ".p50_over_ms", p50 - own, "ms", own);
  figures.Add(name + ".p99_over_ms", Percentile(samples.running, 99) - own99, "ms", own99);
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
                     const engine::docker::Endpoint& endpoint, Figures& figures) {
  CUBE_TRY(const auto stage, Stage::Open(options.bin_dir));
  CUBE_TRY_VOID(stage->StartManager());
  CUBE_TRY_VOID(stage->StartWorker("bench-1", {kind}));
  CUBE_TRY_VOID(stage->WaitForNodes(1));
  const bool docker = kind == "docker";
  TaskSpec spec = Sleeper(kind);
  if (docker) spec.image = engine::kTestImage;
  Latency latency(*stage, std::move(spec));
  Api api(endpoint);
  Samples warm_up;
  Samples samples;
  for (std::uint32_t i = 0; i <= options.count; ++i) {
    Samples& into = i == 0 ? warm_up : samples;
    CUBE_TRY_VOID(latency.Once(i, into));
    CUBE_TRY_VOID(docker ? StartContainer(api, stage->clock(), into.engine)
                         : StartPlain(stage->clock(), into.engine));
  }
  Report(kind, docker ? "Engine API, create and start" : "posix_spawn", samples, figures);
  return {};
}

}  // namespace

Result<void> RunLatency(const LatencyOptions& options, Figures& figures) {
  CUBE_TRY_VOID(RunDecisionLatency(options, figures));
  const engine::docker::Endpoint endpoint = engine::TestEndpoint();
  CUBE_TRY_VOID(Measure(options, "process", endpoint, figures));
  if (!engine::EngineAnswers(endpoint)) {
    for (const char* name : {"latency.docker.p50_over_ms", "latency.docker.p99_over_ms"}) {
      figures.NotMeasured(name, "ms", "no engine answers at " + endpoint.name);
    }
    return {};
  }
  if (const std::string why = engine::MakeTestImage(endpoint); !why.empty()) {
    return Fail(Code::kUnavailable, why);
  }
  return Measure(options, "docker", endpoint, figures);
}

}  // namespace cube::bench
