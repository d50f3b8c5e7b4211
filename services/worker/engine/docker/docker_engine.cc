#include "services/worker/engine/docker/docker_engine.h"

#include <csignal>
#include <optional>
#include <thread>
#include <utility>

#include "services/worker/engine/docker/core.h"
#include "services/worker/engine/docker/http_loop.h"
#include "shared/base/check.h"

namespace cube::engine {

class DockerEngine::Impl {
 public:
  Impl(docker::Endpoint endpoint, docker::Allowances allowances, Sink sink)
      : endpoint_(std::move(endpoint)),
        allowances_(std::move(allowances)),
        sink_(std::move(sink)),
        loop_(endpoint_) {}

  ~Impl() {
    loop_.Quit();
    if (thread_.joinable()) thread_.join();
    core_.reset();  // before the loop that it uses
  }

  void Start(Owner owner) {
    CUBE_CHECK(!core_);
    core_.emplace(loop_, endpoint_, allowances_, std::move(owner), sink_);
    loop_.Post([this] { core_->Connect(); });
    // Signals belong to the main thread; the new one inherits a full mask.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { loop_.Run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  template <class Task>
  void Post(Task task) {
    CUBE_CHECK(core_);
    loop_.Post([this, task = std::move(task)]() mutable { task(*core_); });
  }

 private:
  const docker::Endpoint endpoint_;
  const docker::Allowances allowances_;
  const Sink sink_;
  docker::HttpLoop loop_;
  std::optional<docker::Core> core_;
  std::thread thread_;
};

DockerEngine::DockerEngine(docker::Endpoint endpoint, docker::Allowances allowances, Sink sink)
    : impl_(std::make_unique<Impl>(std::move(endpoint), std::move(allowances), std::move(sink))) {}
DockerEngine::~DockerEngine() = default;

void DockerEngine::Start(Owner owner) { impl_->Start(std::move(owner)); }

void DockerEngine::Launch(LaunchRequest request) {
  impl_->Post([request = std::move(request)](docker::Core& core) { core.Launch(request); });
}

void DockerEngine::Stop(LaunchKey key, std::string signal, Duration grace) {
  impl_->Post([key = std::move(key), signal = std::move(signal), grace](docker::Core& core) {
    core.Stop(key, signal, grace);
  });
}

void DockerEngine::Remove(LaunchKey key, std::string save_output_to, std::size_t save_bytes) {
  impl_->Post([key = std::move(key), path = std::move(save_output_to),
               save_bytes](docker::Core& core) { core.Remove(key, path, save_bytes); });
}

void DockerEngine::List() {
  impl_->Post([](docker::Core& core) { core.List(); });
}

void DockerEngine::OpenLogs(std::uint64_t stream, LaunchKey key, LogOptions options) {
  impl_->Post([stream, key = std::move(key), options](docker::Core& core) {
    core.OpenLogs(stream, key, options);
  });
}

void DockerEngine::LogCredit(std::uint64_t stream, std::size_t bytes) {
  impl_->Post([stream, bytes](docker::Core& core) { core.LogCredit(stream, bytes); });
}

void DockerEngine::CloseLogs(std::uint64_t stream) {
  impl_->Post([stream](docker::Core& core) { core.CloseLogs(stream); });
}

void DockerEngine::Exec(std::uint64_t exec, LaunchKey key, ExecRequest request) {
  impl_->Post([exec, key = std::move(key), request = std::move(request)](docker::Core& core) {
    core.Exec(exec, key, request);
  });
}

void DockerEngine::ExecCredit(std::uint64_t exec, std::size_t bytes) {
  impl_->Post([exec, bytes](docker::Core& core) { core.ExecCredit(exec, bytes); });
}

void DockerEngine::ExecInput(std::uint64_t exec, std::string bytes, bool last) {
  impl_->Post([exec, bytes = std::move(bytes), last](docker::Core& core) {
    core.ExecInput(exec, bytes, last);
  });
}

void DockerEngine::CancelExec(std::uint64_t exec) {
  impl_->Post([exec](docker::Core& core) { core.CancelExec(exec); });
}

void DockerEngine::Usage() {
  impl_->Post([](docker::Core& core) { core.Usage(); });
}

}  // namespace cube::engine
