#include "services/worker/engine/sim/sim_driver.h"

#include <chrono>

namespace cube::engine {
namespace {

Now RealNow() {
  using std::chrono::duration_cast;
  const auto mono = std::chrono::steady_clock::now().time_since_epoch();
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return {MonoTime(duration_cast<Duration>(mono)), WallTime(duration_cast<Duration>(wall))};
}

}  // namespace

// Passes every call on under the driver's lock.
class SimDriver::Driven final : public Engine {
 public:
  Driven(SimDriver& driver, std::shared_ptr<SimMachine> machine, Sink sink)
      : driver_(driver),
        machine_(std::move(machine)),
        engine_(std::make_unique<SimEngine>(machine_, std::move(sink))) {}
  ~Driven() override {
    const std::lock_guard lock(driver_.mutex_);
    engine_.reset();
  }

  [[nodiscard]] std::string Kind() const override { return "sim"; }
  void Start(Owner owner) override {
    Call([&](SimEngine& e) { e.Start(std::move(owner)); });
  }
  void Launch(LaunchRequest request) override {
    Call([&](SimEngine& e) { e.Launch(std::move(request)); });
  }
  void Stop(LaunchKey key, std::string signal, Duration grace) override {
    Call([&](SimEngine& e) { e.Stop(std::move(key), std::move(signal), grace); });
  }
  void Remove(LaunchKey key, std::string save_output_to, std::size_t save_bytes) override {
    Call([&](SimEngine& e) { e.Remove(std::move(key), std::move(save_output_to), save_bytes); });
  }
  void List() override {
    Call([](SimEngine& e) { e.List(); });
  }
  void OpenLogs(std::uint64_t stream, LaunchKey key, LogOptions options) override {
    Call([&](SimEngine& e) { e.OpenLogs(stream, std::move(key), options); });
  }
  void LogCredit(std::uint64_t stream, std::size_t bytes) override {
    Call([&](SimEngine& e) { e.LogCredit(stream, bytes); });
  }
  void CloseLogs(std::uint64_t stream) override {
    Call([&](SimEngine& e) { e.CloseLogs(stream); });
  }
  void Exec(std::uint64_t exec, LaunchKey key, ExecRequest request) override {
    Call([&](SimEngine& e) { e.Exec(exec, std::move(key), std::move(request)); });
  }
  void ExecCredit(std::uint64_t exec, std::size_t bytes) override {
    Call([&](SimEngine& e) { e.ExecCredit(exec, bytes); });
  }
  void ExecInput(std::uint64_t exec, std::string bytes, bool last) override {
    Call([&](SimEngine& e) { e.ExecInput(exec, std::move(bytes), last); });
  }
  void CancelExec(std::uint64_t exec) override {
    Call([&](SimEngine& e) { e.CancelExec(exec); });
  }
  void Usage() override {
    Call([](SimEngine& e) { e.Usage(); });
  }

 private:
  template <class Task>
  void Call(Task task) {
    const std::lock_guard lock(driver_.mutex_);
    task(*engine_);
    driver_.Schedule(machine_);
  }

  SimDriver& driver_;
  const std::shared_ptr<SimMachine> machine_;
  std::unique_ptr<SimEngine> engine_;
};

class SimDriver::DrivenProber final : public Prober {
 public:
  DrivenProber(SimDriver& driver, std::shared_ptr<SimMachine> machine, ProbeSink sink)
      : driver_(driver),
        machine_(std::move(machine)),
        prober_(std::make_unique<SimProber>(machine_, std::move(sink))) {}
  ~DrivenProber() override {
    const std::lock_guard lock(driver_.mutex_);
    prober_.reset();
  }
  void Start(ProbeRequest request) override {
    const std::lock_guard lock(driver_.mutex_);
    machine_->Advance(RealNow());  // its delay begins now
    prober_->Start(std::move(request));
    driver_.Schedule(machine_);
  }

 private:
  SimDriver& driver_;
  const std::shared_ptr<SimMachine> machine_;
  std::unique_ptr<SimProber> prober_;
};

SimDriver::SimDriver() : thread_([this] { Run(); }) {}

SimDriver::~SimDriver() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

std::unique_ptr<Engine> SimDriver::MakeEngine(const std::shared_ptr<SimMachine>& machine,
                                              Sink sink) {
  const std::lock_guard lock(mutex_);
  machines_.emplace(machine.get(), machine);
  machine->Advance(RealNow());
  return std::make_unique<Driven>(*this, machine, std::move(sink));
}

std::unique_ptr<Prober> SimDriver::MakeProber(const std::shared_ptr<SimMachine>& machine,
                                              ProbeSink sink) {
  const std::lock_guard lock(mutex_);
  machines_.emplace(machine.get(), machine);
  machine->Advance(RealNow());
  return std::make_unique<DrivenProber>(*this, machine, std::move(sink));
}

void SimDriver::With(const std::shared_ptr<SimMachine>& machine,
                     const std::function<void(SimMachine&)>& task) {
  const std::lock_guard lock(mutex_);
  machines_.emplace(machine.get(), machine);
  task(*machine);
  Schedule(machine);
}

void SimDriver::Schedule(const std::shared_ptr<SimMachine>& machine) {
  SimMachine* key = machine.get();
  const auto next = machine->NextDue();
  if (const auto it = scheduled_.find(key); it != scheduled_.end()) {
    if (next && it->second == *next) return;
    due_.erase({it->second, key});
    scheduled_.erase(it);
  }
  if (!next) return;
  scheduled_.emplace(key, *next);
  due_.emplace(*next, key);
  if (due_.begin()->second == key) wake_.notify_one();
}

void SimDriver::Run() {
  std::unique_lock lock(mutex_);
  while (!quit_) {
    if (due_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const Now now = RealNow();
    const auto [when, machine] = *due_.begin();
    if (when > now.mono) {
      wake_.wait_for(lock, when - now.mono);
      continue;
    }
    machine->Advance(now);
    Schedule(machines_.at(machine));
  }
}

}  // namespace cube::engine
