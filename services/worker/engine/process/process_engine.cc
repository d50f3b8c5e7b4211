#include "services/worker/engine/process/process_engine.h"

#include "services/worker/engine/process/event_loop.h"
#include "services/worker/engine/process/launches.h"

namespace cube::engine {

class ProcessEngine::Thread {
 public:
  Thread(ProcessEngineOptions options, Sink sink)
      : sink_(std::move(sink)), launches_(std::move(options), sink_, loop_) {}
  // The loop ends before what it calls does.
  ~Thread() { loop_.Join(); }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  void Start(Owner owner) {
    if (auto runs = loop_.Run([this] { return launches_.Idle(); }); !runs) {
      sink_(Down{runs.error().Text()});
    }
    Post([owner = std::move(owner)](process::Launches& l) mutable { l.Start(std::move(owner)); });
  }
  template <class Call>
  void Post(Call call) {
    loop_.Post([this, call = std::move(call)]() mutable { call(launches_); });
  }

 private:
  const Sink sink_;
  process::EventLoop loop_;
  process::Launches launches_;
};

ProcessEngine::ProcessEngine(ProcessEngineOptions options, Sink sink)
    : thread_(std::make_unique<Thread>(std::move(options), std::move(sink))) {}
ProcessEngine::~ProcessEngine() = default;

void ProcessEngine::Start(Owner owner) { thread_->Start(std::move(owner)); }

void ProcessEngine::Launch(LaunchRequest request) {
  thread_->Post([request = std::move(request)](process::Launches& l) mutable {
    l.Launch(std::move(request));
  });
}

void ProcessEngine::Stop(LaunchKey key, std::string signal, Duration grace) {
  thread_->Post([key = std::move(key), signal = std::move(signal), grace](process::Launches& l) {
    l.Stop(key, signal, grace);
  });
}

void ProcessEngine::Remove(LaunchKey key, std::string save_output_to, std::size_t save_bytes) {
  thread_->Post([key = std::move(key), path = std::move(save_output_to),
                 save_bytes](process::Launches& l) { l.Remove(key, path, save_bytes); });
}

void ProcessEngine::List() {
  thread_->Post([](process::Launches& l) { l.List(); });
}

void ProcessEngine::OpenLogs(std::uint64_t stream, LaunchKey key, LogOptions options) {
  thread_->Post([stream, key = std::move(key), options](process::Launches& l) {
    l.OpenLogs(stream, key, options);
  });
}

void ProcessEngine::LogCredit(std::uint64_t stream, std::size_t bytes) {
  thread_->Post([stream, bytes](process::Launches& l) { l.LogCredit(stream, bytes); });
}

void ProcessEngine::CloseLogs(std::uint64_t stream) {
  thread_->Post([stream](process::Launches& l) { l.CloseLogs(stream); });
}

void ProcessEngine::Exec(std::uint64_t exec, LaunchKey key, ExecRequest request) {
  thread_->Post([exec, key = std::move(key), request = std::move(request)](process::Launches& l) {
    l.Exec(exec, key, request);
  });
}

void ProcessEngine::ExecCredit(std::uint64_t exec, std::size_t bytes) {
  thread_->Post([exec, bytes](process::Launches& l) { l.ExecCredit(exec, bytes); });
}

void ProcessEngine::ExecInput(std::uint64_t exec, std::string bytes, bool last) {
  thread_->Post([exec, bytes = std::move(bytes), last](process::Launches& l) {
    l.ExecInput(exec, bytes, last);
  });
}

void ProcessEngine::CancelExec(std::uint64_t exec) {
  thread_->Post([exec](process::Launches& l) { l.CancelExec(exec); });
}

void ProcessEngine::Usage() {
  thread_->Post([](process::Launches& l) { l.Usage(); });
}

}  // namespace cube::engine
