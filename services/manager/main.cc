// cube-manager: builds the adapters, joins them with the loop, and waits. Everything else is in
// the loop.
#include <csignal>
#include <memory>
#include <thread>

#include "services/manager/exposition.h"
#include "services/manager/manager_loop.h"
#include "services/manager/store_thread.h"
#include "services/manager/view_store.h"
#include "services/manager/work_ahead.h"
#include "shared/base/base32.h"
#include "shared/bus/nats_bus.h"
#include "shared/domain/rules.h"
#include "shared/logging/logging.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/entropy.h"
#include "shared/runtime/files.h"
#include "shared/runtime/heap.h"
#include "shared/runtime/inbox.h"
#include "shared/runtime/lock_file.h"
#include "shared/runtime/signals.h"
#include "shared/service/flag_parser.h"
#include "shared/service/service_flags.h"
#include "shared/store/lmdb_store.h"
#include "shared/store/memory_store.h"
#include "shared/telemetry/listener.h"
#include "shared/wire/codec.h"
#include "shared/wire/human.h"

namespace cube::manager {
namespace {

using logging::Level;
using logging::Log;

// Core messages that may wait; beyond it they are dropped, as NATS itself does with slow readers.
constexpr std::size_t kInboxMessagesMax = 65'536;
// Events handled in one step: bounds the time until the next look at the clock.
constexpr std::size_t kEventsPerStep = 1024;
// The view is a cache, but one that is costly to rebuild: on disk at the latest so long after.
constexpr Duration kSyncEvery = std::chrono::seconds(5);

struct Told {
  int signal = 0;
};
// Somebody scrapes: the figures are wanted.
struct Scrape {};
// The view's store takes nothing any more.
struct StoreFailed {};
using Rows = StoreThread::Rows;
using Item = std::variant<bus::Event, Rows, Told, Scrape, StoreFailed>;

struct Flags {
  service::ServiceFlags service;
  std::string name;
  std::string stream_bytes = "2Gi";
  std::uint32_t replicas = 1;
  std::string keep_finished = FormatDuration(Settings{}.finished_age_max);
  Settings settings;
};

class Process {
 public:
  Process(Flags flags, std::string dir, runtime::LockFile lock)
      : flags_(std::move(flags)),
        dir_(std::move(dir)),
        lock_(std::move(lock)),
        inbox_(kInboxMessagesMax) {}

  Result<void> Open();
  // Runs until a signal or the loop ends it. -> exit code.
  int Run();

 private:
  Result<void> OpenStore();
  Result<View> Load(ViewRecords& records);
  Result<std::string> Identity() const;
  Result<void> Listen();
  void PutFigures();
  bool Execute(std::vector<Operation> operations);
  int EndStore();
  void Write(const LogLine& line) const;

  Flags flags_;
  std::string dir_;
  runtime::LockFile lock_;
  SystemClock clock_;
  Inbox<Item> inbox_;
  std::unique_ptr<store::Store> store_;
  // As OpenStore found them, until the loop takes them: reading many records takes seconds.
  std::optional<std::pair<ViewRecords, View>> loaded_;
  std::optional<StoreThread> store_thread_;
  std::optional<WorkAhead> ahead_;  // nullopt: there is one core, so nobody is ahead
  std::unique_ptr<ManagerLoop> loop_;
  std::unique_ptr<bus::NatsBus> bus_;
  std::unique_ptr<runtime::SignalWatch> signals_;
  std::string name_;
  std::optional<Meter> meter_;
  std::shared_ptr<telemetry::Snapshot> snapshot_;
  std::unique_ptr<telemetry::Listener> listener_;  // null = none
  int exit_code_ = 0;
};

Result<void> Process::OpenStore() {
  if (flags_.service.store == "memory") {
    store_ = std::make_unique<store::MemoryStore>(ViewSchema());
    return {};
  }
  const std::string view_dir = dir_ + "/view";
  store::LmdbOptions options;
  options.durability = store::Durability::kRelaxed;
  CUBE_TRY(store::LmdbStore::Opened opened,
           store::LmdbStore::Open(view_dir, ViewSchema(), options));
  store_ = std::move(opened.store);
  if (!opened.opening.reason.empty()) {
    Log(Level::kWarning, "the view is rebuilt from the log",
        {{"reason", opened.opening.reason}, {"set_aside", opened.opening.set_aside}});
  }
  ViewRecords records;
  Result<View> view = records.Load(*store_);
  if (view) loaded_.emplace(std::move(records), std::move(*view));
  if (view || view.error().code != Code::kDataLoss) return {};
  store_.reset();
  CUBE_TRY(const std::string aside, store::LmdbStore::SetAside(view_dir));
  Log(Level::kWarning, "the view is rebuilt from the log",
      {{"reason", view.error().Text()}, {"set_aside", aside}});
  CUBE_TRY(opened, store::LmdbStore::Open(view_dir, ViewSchema(), options));
  store_ = std::move(opened.store);
  return {};
}

Result<wire::StreamLimits> LimitsOf(const Flags& flags) {
  constexpr std::int64_t kStreamBytesMin = std::int64_t{16} << 20;  // some cycles under load
  Result<std::int64_t> bytes = wire::ParseBytes(flags.stream_bytes);
  if (!bytes) return Fail(Code::kInvalid, bytes.error().message, "--stream-bytes");
  if (*bytes < kStreamBytesMin)
    return Fail(Code::kInvalid, "must be at least 16Mi", "--stream-bytes");
  wire::StreamLimits limits;
  limits.intents_bytes_max = limits.decisions_bytes_max = limits.facts_bytes_max = *bytes;
  limits.replicas = static_cast<std::int32_t>(flags.replicas);
  return limits;
}

Result<Settings> SettingsOf(const Flags& flags) {
  Settings settings = flags.settings;
  CUBE_TRY(settings.scheduler, ParsePolicy(flags.settings.scheduler, "--scheduler"));
  Result<Duration> age = ParseDuration(flags.keep_finished);
  if (!age) return Fail(Code::kInvalid, age.error().message, "--keep-finished");
  settings.finished_age_max = *age;
  return settings;
}

// Beside the view, not in it: the view may be set aside, this stays.
Result<std::string> Process::Identity() const {
  constexpr std::size_t kIdentityBytesMax = 256;
  const std::string path = dir_ + "/identity";
  if (runtime::Exists(path)) {
    CUBE_TRY(std::string text, runtime::ReadFile(path, kIdentityBytesMax));
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    if (!text.empty()) return text;
  }
  std::string identity = Base32(runtime::RandomU64(), 13);
  CUBE_TRY_VOID(runtime::WriteFileAtomic(path, identity + "\n"));
  return identity;
}

// What the store holds.
Result<View> Process::Load(ViewRecords& records) {
  if (!loaded_) {
    Result<View> view;
    CUBE_TRY_VOID(
        store_thread_->Read([&](const store::Store& store) { view = records.Load(store); }));
    return view;
  }
  records = std::move(loaded_->first);
  View view = std::move(loaded_->second);
  loaded_.reset();
  return view;
}

Result<void> Process::Open() {
  CUBE_TRY(bus::NatsBusOptions nats, service::BusOptions(flags_.service));
  CUBE_TRY_VOID(OpenStore());
  store_thread_.emplace(
      *store_, kSyncEvery,
      StoreThread::Events{[this](Rows rows) { inbox_.PushAlways(std::move(rows)); },
                          [this] { inbox_.PushAlways(StoreFailed{}); }});
  ManagerOptions options;
  CUBE_TRY(options.subjects, service::SubjectsOf(flags_.service));
  CUBE_TRY(options.limits, LimitsOf(flags_));
  CUBE_TRY(options.owner, Identity());
  options.name = flags_.name.empty() ? "manager-" + options.owner.substr(0, 6) : flags_.name;
  CUBE_TRY(options.settings, SettingsOf(flags_));
  options.seed = runtime::RandomU64();
  if (std::thread::hardware_concurrency() > 1) {
    options.ahead = [&ahead = ahead_.emplace()](const auto& work) { ahead.Offer(work); };
  }
  name_ = options.name;
  meter_.emplace(options.subjects);
  CUBE_TRY_VOID(Listen());
  nats.name = "cube-manager " + name_;
  CUBE_TRY(loop_, ManagerLoop::Make(std::move(options),
                                    [this](ViewRecords& records) { return Load(records); }));
  CUBE_TRY(signals_,
           runtime::SignalWatch::Start([this](int signal) { inbox_.PushAlways(Told{signal}); }));
  bus_ = std::make_unique<bus::NatsBus>(std::move(nats), [this](bus::Event event) {
    // Core messages may be lost; completions and what we gave
    // credit for may not.
    if (std::holds_alternative<bus::Message>(event)) {
      inbox_.Push(std::move(event));
    } else {
      inbox_.PushAlways(std::move(event));
    }
  });
  return {};
}

Result<void> Process::Listen() {
  if (flags_.service.metrics_listen.empty()) return {};
  snapshot_ = std::make_shared<telemetry::Snapshot>([this] { inbox_.PushAlways(Scrape{}); });
  CUBE_TRY(listener_, telemetry::Listener::Open(flags_.service.metrics_listen, snapshot_));
  Log(Level::kInfo, "metrics for Prometheus",
      {{"url", "http://" + listener_->address() + "/metrics"}});
  return {};
}

void Process::PutFigures() {
  Meter::Figures figures;
  figures.store_bytes = service::FileBytes(dir_ + "/view/data.mdb");
  figures.inbox_size = inbox_.size();
  figures.inbox_dropped = inbox_.dropped();
  snapshot_->Put(meter_->Expose(name_, *loop_, figures, clock_.now().mono));
}

void Process::Write(const LogLine& line) const {
  constexpr Level kLevels[] = {Level::kInfo, Level::kWarning, Level::kError};
  Log(kLevels[static_cast<std::size_t>(line.level)], line.text);
}

// -> false when the process should end.
bool Process::Execute(std::vector<Operation> operations) {
  for (Operation& operation : operations) {
    if (auto* call = std::get_if<bus::Operation>(&operation)) {
      meter_->Sees(*call, clock_.now().mono);
      bus::Execute(*bus_, std::move(*call));
    } else if (auto* commit = std::get_if<Commit>(&operation)) {
      store_thread_->Commit(std::move(*commit));
    } else if (std::holds_alternative<Freeze>(operation)) {
      store_thread_->Freeze();
    } else if (const auto* read = std::get_if<ReadFrozen>(&operation)) {
      store_thread_->ReadFrozen(read->bytes_max);
    } else if (std::holds_alternative<Thaw>(operation)) {
      store_thread_->Thaw();
    } else if (const auto* line = std::get_if<LogLine>(&operation)) {
      Write(*line);
    } else if (const auto* exit = std::get_if<Exit>(&operation)) {
      if (exit->code != 0) Log(Level::kError, exit->reason);
      exit_code_ = exit->code;
      return false;
    }
  }
  return true;
}

// Nothing is lost when the view cannot be written: the log is the truth, and the next start reads
// it again. -> exit code.
int Process::EndStore() {
  const Result<void> ended = store_thread_->End();
  if (ended) return exit_code_;
  logging::LogError(Level::kError, "the view cannot be written", ended.error());
  return 1;
}

int Process::Run() {
  std::vector<Item> items;
  std::vector<Input> inputs;
  for (;;) {
    items.clear();
    inputs.clear();
    inbox_.TakeUntil(items, kEventsPerStep, loop_->NextDeadline());
    int signal = 0;
    for (Item& item : items) {
      if (const auto* told = std::get_if<Told>(&item)) {
        signal = told->signal;
      } else if (std::holds_alternative<Scrape>(item)) {
        PutFigures();
      } else if (std::holds_alternative<StoreFailed>(item)) {
        return EndStore();
      } else if (auto* rows = std::get_if<Rows>(&item)) {
        inputs.push_back({{}, std::move(*rows)});
      } else {
        meter_->Sees(std::get<bus::Event>(item), clock_.now().mono);
        inputs.push_back({std::move(std::get<bus::Event>(item)), {}});
      }
    }
    const bool more = items.size() == kEventsPerStep;
    if (!Execute(loop_->Step(inputs, clock_.now(), more))) return EndStore();
    if (signal != 0) {
      Log(Level::kInfo, "told to end");
      if (snapshot_) snapshot_->Close();
      Execute(loop_->Shutdown());
      return EndStore();
    }
  }
}

Result<int> RunManager(Flags flags) {
  CUBE_TRY_VOID(service::ConfigureLogging(flags.service));
  CUBE_TRY(const std::string state, service::StateDirOf(flags.service));
  const std::string dir = state + "/manager";
  CUBE_TRY_VOID(runtime::MakeDirectories(dir));
  CUBE_TRY(runtime::LockFile lock, runtime::LockFile::Acquire(dir + "/lock"));
  Process process(std::move(flags), dir, std::move(lock));
  CUBE_TRY_VOID(process.Open());
  Log(Level::kInfo, "cube-manager started", {{"state", dir}});
  return process.Run();
}

}  // namespace
}  // namespace cube::manager

int main(int argc, char** argv) {
  cube::runtime::ReturnFreedMemory();
  cube::wire::QuietProtobuf();
  cube::manager::Flags flags;
  CLI::App app{
      "Reads what users ask for from NATS JetStream and decides which worker runs it.\n"
      "Several may run; one leads, the others follow and take over.",
      "cube-manager"};
  cube::service::AddServiceFlags(app, flags.service, "/etc/cube/manager.toml");
  app.add_option("--name", flags.name, "what people see (default manager-<random>)")
      ->envname("CUBE_NAME");
  app.add_option("--scheduler", flags.settings.scheduler,
                 "placement policy of tasks that name none: round-robin, spread, binpack, epvm, "
                 "epvm-book or greedy")
      ->envname("CUBE_SCHEDULER")
      ->capture_default_str();
  app.add_option("--keep-finished", flags.keep_finished,
                 "how long `cube ps -a` knows a finished task; `cube why` and `cube events` go on "
                 "as long as the log")
      ->envname("CUBE_KEEP_FINISHED")
      ->capture_default_str();
  app.add_option("--keep-finished-max", flags.settings.finished_count_max,
                 "finished tasks known at one time; beyond it the oldest are forgotten")
      ->envname("CUBE_KEEP_FINISHED_MAX")
      ->check(CLI::Range(0U, 10'000'000U))
      ->capture_default_str();
  app.add_option("--stream-bytes", flags.stream_bytes,
                 "size of each of the three streams of the log; a full one refuses messages. "
                 "Existing streams are only enlarged")
      ->envname("CUBE_STREAM_BYTES")
      ->capture_default_str();
  app.add_option("--replicas", flags.replicas, "copies of each stream in a NATS cluster")
      ->envname("CUBE_REPLICAS")
      ->check(CLI::IsMember({1, 3, 5}))
      ->capture_default_str();
  app.footer(
      "Examples:\n"
      "  cube-manager --server nats://10.0.0.5:4222\n"
      "  cube-manager --state-dir /srv/cube --log-format json\n\n"
      "Exit codes: 0 told to end; 1 cannot go on; 64 usage.");
  cube::service::FlagParser parser(app);
  if (const auto code = parser.Parse(argc, argv)) return *code;
  cube::runtime::IgnoreSigpipe();
  const cube::Result<int> code = cube::manager::RunManager(std::move(flags));
  return code ? *code : parser.Report(code.error());
}
