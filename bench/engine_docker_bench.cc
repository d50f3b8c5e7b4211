// What the Docker driver costs on this machine: one start, twenty at once, each beside the
// engine's own command line doing the same, and the driver's processor time while idle.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "services/worker/engine/docker/docker_engine.h"
#include "test/support/engine/docker_fixture.h"
#include "test/support/engine/recorder.h"

namespace cube::engine {
namespace {

constexpr int kParallel = 20;
constexpr int kRounds = 5;
constexpr std::chrono::seconds kIdle{10};

using Clock = std::chrono::steady_clock;

double MillisSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

double CpuMillis() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& t) {
    return 1e3 * static_cast<double>(t.tv_sec) + 1e-3 * static_cast<double>(t.tv_usec);
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

class Bench {
 public:
  explicit Bench(const docker::Endpoint& endpoint)
      : endpoint_(endpoint), engine_(endpoint, recorder_.MakeSink()) {
    engine_.Start(owner_);
  }
  ~Bench() { RemoveContainersOf(endpoint_, owner_.cluster); }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  bool Up() { return recorder_.WaitFor<Listed>().has_value(); }

  // From the call to the last kRunning.
  double Starts(int count) {
    const auto begin = Clock::now();
    std::vector<LaunchKey> keys;
    for (int i = 0; i < count; ++i) {
      const LaunchKey key{TaskId::Trusted(fmt::format("bench-{}", next_++)), 1, 0};
      engine_.Launch({key, {}, std::make_shared<const TaskSpec>(Script("exec sleep 1000"))});
      keys.push_back(key);
    }
    for (const LaunchKey& key : keys) (void)recorder_.WaitForState(key, LaunchState::kRunning);
    const double ms = MillisSince(begin);
    Clear(keys);
    return ms;
  }
  // The same by the engine's own client.
  double ClientStarts(int count) {
    const auto begin = Clock::now();
    std::vector<std::thread> clients;
    for (int i = 0; i < count; ++i)
      clients.emplace_back([this] {
        (void)Docker(endpoint_, {"run", "-d", "--label", "cube.cluster=" + owner_.cluster,
                                 kTestImage, "sleep", "1000"});
      });
    for (std::thread& client : clients) client.join();
    const double ms = MillisSince(begin);
    RemoveContainersOf(endpoint_, owner_.cluster);
    return ms;
  }

 private:
  void Clear(const std::vector<LaunchKey>& keys) {
    for (const LaunchKey& key : keys) engine_.Stop(key, "SIGKILL", Duration{0});
    for (const LaunchKey& key : keys) {
      (void)recorder_.WaitForState(key, LaunchState::kExited);
      engine_.Remove(key, "", 0);
    }
    for (const LaunchKey& key : keys)
      (void)recorder_.WaitFor<Removed>([&](const Removed& r) { return r.key == key; });
  }

  const docker::Endpoint endpoint_;
  const Owner owner_{fmt::format("bench{}", ::getpid()), NodeName::Trusted("node-1")};
  Recorder recorder_;
  DockerEngine engine_;
  int next_ = 0;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int Run() {
  const docker::Endpoint endpoint = TestEndpoint();
  if (!EngineAnswers(endpoint) || !MakeTestImage(endpoint).empty()) {
    fmt::print(stderr, "no Docker engine at {}\n", endpoint.name);
    return 1;
  }
  Bench bench(endpoint);
  if (!bench.Up()) return 1;
  std::vector<double> one, one_client, many, many_client;
  for (int i = 0; i < kRounds; ++i) {
    one.push_back(bench.Starts(1));
    one_client.push_back(bench.ClientStarts(1));
  }
  for (int i = 0; i < kRounds; ++i) {
    many.push_back(bench.Starts(kParallel));
    many_client.push_back(bench.ClientStarts(kParallel));
  }
  fmt::print("1 start:        {:7.0f} ms   (docker run -d: {:.0f} ms)\n", Median(one),
             Median(one_client));
  fmt::print("{} at once:     {:7.0f} ms   (docker run -d: {:.0f} ms)\n", kParallel, Median(many),
             Median(many_client));
  const double before = CpuMillis();
  std::this_thread::sleep_for(kIdle);
  fmt::print("idle:           {:7.3f} % of a core over {} s\n",
             100 * (CpuMillis() - before) / (1e3 * static_cast<double>(kIdle.count())),
             kIdle.count());
  return 0;
}

}  // namespace
}  // namespace cube::engine

int main() { return cube::engine::Run(); }
