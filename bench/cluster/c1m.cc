// cube-bench c1m: many tasks at once through the real manager and the real loops of many workers on
// simulated machines, beside what the server takes of the same messages.
#include <cube/v1/queries.pb.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <map>
#include <thread>

#include "bench/cluster/commands.h"
#include "bench/cluster/meter.h"
#include "bench/cluster/stage.h"
#include "shared/bus/nats_bus.h"
#include "shared/runtime/inbox.h"
#include "shared/wire/codec.h"

namespace cube::bench {
namespace {

constexpr Duration kPatience = std::chrono::seconds(60);  // without any progress
constexpr std::size_t kEventsPerLook = 10'000;
constexpr std::uint32_t kReadCredit = 512;
constexpr Duration kLookEvery = std::chrono::milliseconds(5);
constexpr bus::SubId kDecisions = 1;
constexpr bus::SubId kFacts = 2;
constexpr double kMiB = 1 << 20;

// Submits and reads the log until all run.
class Driver {
 public:
  Driver(C1mOptions options, const std::string& url);

  Result<void> Run(const wire::Subjects& subjects);

  struct Times {
    double stored = 0, scheduled = 0, running = 0;  // s since the first submission
  };
  [[nodiscard]] const Times& times() const { return times_; }
  [[nodiscard]] std::uint64_t cycles() const { return cycles_; }
  [[nodiscard]] std::uint64_t full_cycles() const { return full_cycles_; }
  [[nodiscard]] std::uint64_t downs() const { return downs_; }
  [[nodiscard]] std::uint64_t moved() const { return moved_; }

 private:
  Result<void> Take();
  void Submit(const wire::Subjects& subjects);
  Result<void> OnRead(const bus::Read& read);
  Result<void> OnDecisions(const std::string& payload);
  Result<void> OnFacts(const std::string& subject, const std::string& payload);
  [[nodiscard]] double Since() const { return Seconds(clock_.now().mono - begin_); }

  const C1mOptions options_;
  const SystemClock clock_;
  TaskSpecPtr spec_;
  Inbox<bus::Event> inbox_{1};
  std::vector<bus::Event> events_;
  bool connected_ = false;
  MonoTime begin_;
  Times times_;
  std::uint64_t op_ = 0;
  std::uint64_t submitted_ = 0, in_flight_ = 0, stored_ = 0, scheduled_ = 0, running_ = 0;
  std::uint64_t downs_ = 0, moved_ = 0;             // nodes called down; tasks placed again
  std::uint64_t cycles_ = 0, full_cycles_ = 0;      // decision messages; those that start something
  std::map<std::uint64_t, std::uint64_t> sizes_;    // op -> tasks of that submission
  std::map<std::string, std::uint64_t> last_fact_;  // of each node
  bus::NatsBus bus_;
};

bus::NatsBusOptions BusOptions(const std::string& url) {
  bus::NatsBusOptions options;
  options.urls = {url};
  options.name = "cube-bench client";
  return options;
}

Driver::Driver(C1mOptions options, const std::string& url)
    : options_(std::move(options)),
      bus_(BusOptions(url), [this](bus::Event event) { inbox_.PushAlways(std::move(event)); }) {
  TaskSpec spec;
  spec.name = TaskName::Trusted("c1m");
  spec.engine = "sim";
  spec.command = {"serve", "--port", "8080"};
  spec.env = {{"MODE", "bench"}};
  spec.resources = {1, 6 << 20, 0};
  spec_ = std::make_shared<const TaskSpec>(std::move(spec));
}

Result<void> Driver::Take() {
  events_.clear();
  if (inbox_.TakeUntil(events_, kEventsPerLook, clock_.now().mono + kPatience) == 0) {
    return Fail(
        Code::kTimedOut,
        fmt::format("no progress for {}: {} of {} stored, {} scheduled, {} running",
                    FormatDuration(kPatience), stored_, options_.tasks, scheduled_, running_));
  }
  for (bus::Event& event : events_) {
    if (const auto* read = std::get_if<bus::Read>(&event)) {
      CUBE_TRY_VOID(OnRead(*read));
    } else if (const auto* done = std::get_if<bus::Appended>(&event)) {
      --in_flight_;
      stored_ += sizes_.at(done->op);
      if (stored_ == options_.tasks) times_.stored = Since();
    } else if (const auto* refused = std::get_if<bus::AppendFailed>(&event)) {
      return std::unexpected(refused->error);
    } else if (const auto* failed = std::get_if<bus::ReadFailed>(&event)) {
      return std::unexpected(failed->error);
    } else if (std::holds_alternative<bus::Connected>(event)) {
      connected_ = true;
    }
  }
  return {};
}

Result<void> Driver::OnRead(const bus::Read& read) {
  bus_.Pull(read.reader, 1);
  return read.reader == kDecisions ? OnDecisions(read.message.payload)
                                   : OnFacts(read.message.subject, read.message.payload);
}

Result<void> Driver::OnDecisions(const std::string& payload) {
  CUBE_TRY(const DecisionBatch batch, wire::DecodeDecisions(payload));
  const std::uint64_t before = scheduled_;
  for (const DecisionItem& item : batch.items) {
    if (const auto* start = std::get_if<StartAttempt>(&item)) {
      ++(start->attempt == 1 ? scheduled_ : moved_);
    }
    if (std::holds_alternative<NodeDown>(item)) ++downs_;
  }
  ++cycles_;
  if (scheduled_ > before) ++full_cycles_;
  if (scheduled_ > before && scheduled_ == options_.tasks) times_.scheduled = Since();
  return {};
}

Result<void> Driver::OnFacts(const std::string& subject, const std::string& payload) {
  CUBE_TRY(const FactBatch batch, wire::DecodeFacts(wire::Subjects::LastToken(subject), payload));
  if (batch.incarnation == 0) return {};
  std::uint64_t& last = last_fact_[batch.node.str()];
  std::uint64_t number = batch.first_number;
  for (const Fact& fact : batch.facts) {
    const auto* launch = std::get_if<LaunchFact>(&fact.what);
    if (number > last && launch != nullptr && launch->state == LaunchState::kRunning &&
        launch->key.attempt == 1 && launch->key.launch == 0 && ++running_ == options_.tasks) {
      times_.running = Since();
    }
    last = std::max(last, number++);
  }
  return {};
}

void Driver::Submit(const wire::Subjects& subjects) {
  while (submitted_ < options_.tasks && in_flight_ < options_.window) {
    const std::uint64_t count =
        std::min<std::uint64_t>(options_.batch, options_.tasks - submitted_);
    bus::AppendRequest request;
    request.op = ++op_;
    request.subject = subjects.TasksSubmit();
    request.payload =
        wire::EncodeSubmit(std::vector<SubmitTask>(count, SubmitTask{TaskId(), spec_}));
    sizes_[request.op] = count;
    bus_.Append(std::move(request));
    submitted_ += count;
    ++in_flight_;
  }
}

Result<void> Driver::Run(const wire::Subjects& subjects) {
  while (!connected_) {
    CUBE_TRY_VOID(Take());
  }
  bus_.OpenReader(kDecisions, subjects.DecisionsStream(), 1);
  bus_.OpenReader(kFacts, subjects.FactsStream(), 1);
  bus_.Pull(kDecisions, kReadCredit);
  bus_.Pull(kFacts, kReadCredit);
  begin_ = clock_.now().mono;
  while (running_ < options_.tasks || stored_ < options_.tasks) {
    Submit(subjects);
    CUBE_TRY_VOID(Take());
  }
  return {};
}

// ---- what is counted around the run -----------------------------------------------------------

struct Totals {
  std::map<std::string, bus::StreamState> streams;
  Usage manager, server, nodes;
  double own_cpu_s = 0;
};

double OwnCpu() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

Result<Totals> Look(Stage& stage, const Child& manager, const Child& nodes) {
  Totals totals;
  const wire::Subjects& names = stage.subjects();
  for (const std::string& stream : {names.IntentsStream(), names.DecisionsStream(),
                                    names.FactsStream(), names.DesiredStream()}) {
    CUBE_TRY(totals.streams[stream], stage.bus().GetState(stream));
  }
  CUBE_TRY(totals.manager, UsageOf(manager.pid()));
  CUBE_TRY(totals.nodes, UsageOf(nodes.pid()));
  CUBE_TRY(totals.server, UsageOf(stage.server_pid()));
  totals.own_cpu_s = OwnCpu();
  return totals;
}

struct Written {
  std::uint64_t messages = 0;
  double bytes = 0;  // of all
};

std::map<std::string, Written> Difference(const Totals& before, const Totals& after) {
  std::map<std::string, Written> written;
  for (const auto& [stream, now] : after.streams) {
    const bus::StreamState& then = before.streams.at(stream);
    // Sequences, since the newest-only streams drop what they replace; bytes of those are a guess
    // from what is left.
    const std::uint64_t messages = now.last_seq - then.last_seq;
    const double each =
        now.messages == 0 ? 0 : static_cast<double>(now.bytes) / static_cast<double>(now.messages);
    const double bytes = now.messages - then.messages == messages
                             ? static_cast<double>(now.bytes - then.bytes)
                             : each * static_cast<double>(messages);
    written[stream] = {messages, bytes};
  }
  return written;
}

// The time that the server needs for the same messages when nobody does anything else: those of
// the decisions one after the other, fenced; the others in a window.
Result<double> ServerTime(Meter& meter, const std::string& fenced,
                          const std::map<std::string, Written>& written) {
  double seconds = 0;
  for (const auto& [stream, part] : written) {
    if (part.messages == 0) continue;
    Load load;
    load.bytes = static_cast<std::size_t>(part.bytes / static_cast<double>(part.messages));
    load.window = stream == fenced ? 1 : kWindow;
    load.count = part.messages;
    CUBE_TRY(const Rate rate, meter.Append(load));
    seconds += rate.seconds;
  }
  return seconds;
}

// The manager itself says that all run: it has folded every fact.
Result<double> WaitUntilFolded(Stage& stage, std::uint64_t tasks) {
  const MonoTime begin = stage.clock().now().mono;
  while (stage.clock().now().mono - begin < kPatience) {
    if (Result<ClusterCounts> counts = stage.Counts();
        counts && counts->tasks["running"] == tasks) {
      return Seconds(stage.clock().now().mono - begin);
    }
    std::this_thread::sleep_for(kLookEvery);
  }
  return Fail(Code::kTimedOut, "the manager does not see all tasks running");
}

void PrintProcess(const char* name, double cpu_s, double wall_s, double tasks) {
  fmt::print("  {:<26} {:>7.2f} us CPU a task  {:>5.0f} % of a core\n", name, 1e6 * cpu_s / tasks,
             100 * cpu_s / wall_s);
}

void Report(const C1mOptions& options, const Driver& driver, double folded_s, const Totals& before,
            const Totals& after, const std::map<std::string, Written>& written) {
  const auto tasks = static_cast<double>(options.tasks);
  const Driver::Times& t = driver.times();
  const double wall = t.running + folded_s;
  fmt::print("c1m: {} tasks, {} nodes, {} tasks a submission, {} in flight\n", options.tasks,
             options.nodes, options.batch, options.window);
  fmt::print("  submit -> stored     {:>9.0f} tasks/s  {:>7.3f} s\n", tasks / t.stored, t.stored);
  fmt::print("  submit -> scheduled  {:>9.0f} tasks/s  {:>7.3f} s\n", tasks / t.scheduled,
             t.scheduled);
  fmt::print("  submit -> running    {:>9.0f} tasks/s  {:>7.3f} s  (fact in the log)\n",
             tasks / t.running, t.running);
  fmt::print("  submit -> folded     {:>9.0f} tasks/s  {:>7.3f} s  (the manager says so)\n",
             tasks / wall, wall);
  double messages = 0;
  double bytes = 0;
  for (const auto& [stream, part] : written) {
    messages += static_cast<double>(part.messages);
    bytes += part.bytes;
    fmt::print("  {:<18} {:>8} messages  {:>8.4f} a task  {:>7.1f} bytes a task\n", stream,
               part.messages, static_cast<double>(part.messages) / tasks, part.bytes / tasks);
  }
  fmt::print("  stored in all      {:>17.4f} messages a task  {:.1f} bytes a task\n",
             messages / tasks, bytes / tasks);
  fmt::print(
      "  cycles             {:>8}, {} of them start tasks: {:.0f} tasks a cycle, {:.1f} ms\n",
      driver.cycles(), driver.full_cycles(),
      tasks / static_cast<double>(std::max<std::uint64_t>(driver.full_cycles(), 1)),
      1e3 * t.scheduled / static_cast<double>(std::max<std::uint64_t>(driver.full_cycles(), 1)));
  if (driver.downs() > 0) {
    fmt::print("  OVERLOAD: {} nodes were called down, {} tasks were placed again\n",
               driver.downs(), driver.moved());
  }
  PrintProcess("cube-manager", after.manager.cpu_s - before.manager.cpu_s, wall, tasks);
  PrintProcess("  of it the loop", after.manager.main_cpu_s - before.manager.main_cpu_s, wall,
               tasks);
  PrintProcess("nats-server", after.server.cpu_s - before.server.cpu_s, wall, tasks);
  PrintProcess("all nodes", after.nodes.cpu_s - before.nodes.cpu_s, wall, tasks);
  PrintProcess("this client", after.own_cpu_s - before.own_cpu_s, wall, tasks);
  fmt::print(
      "  cube-manager RssAnon {:.1f} MiB, {:.0f} bytes a task; RSS {:.1f} MiB\n",
      static_cast<double>(after.manager.rss_anon_bytes) / kMiB,
      static_cast<double>(after.manager.rss_anon_bytes - before.manager.rss_anon_bytes) / tasks,
      static_cast<double>(after.manager.rss_bytes) / kMiB);
}

}  // namespace

Result<void> RunC1m(const C1mOptions& options) {
  CUBE_TRY(const auto stage, Stage::Open(options.bin_dir));
  CUBE_TRY(Child * manager, stage->StartManager());
  CUBE_TRY(Child * nodes, stage->Start({OwnPath(), "nodes", "--server", stage->url(), "--nodes",
                                        std::to_string(options.nodes)},
                                       ""));
  CUBE_TRY_VOID(stage->WaitForNodes(options.nodes));
  CUBE_TRY(const Totals before, Look(*stage, *manager, *nodes));
  Driver driver(options, stage->url());
  CUBE_TRY_VOID(driver.Run(stage->subjects()));
  CUBE_TRY(const double folded_s, WaitUntilFolded(*stage, options.tasks));
  CUBE_TRY(const Totals after, Look(*stage, *manager, *nodes));
  const auto written = Difference(before, after);
  Report(options, driver, folded_s, before, after, written);
  std::fflush(stdout);
  stage->Stop(nodes);
  stage->Stop(manager);
  CUBE_TRY(const auto meter, Meter::Open(stage->url()));
  CUBE_TRY(const double limit, ServerTime(*meter, stage->subjects().DecisionsStream(), written));
  const double wall = driver.times().running;
  fmt::print(
      "  limit: this server takes the same messages in {:.3f} s: {:.0f} tasks/s;"
      " submit -> running reaches {:.1f} % of it\n",
      limit, static_cast<double>(options.tasks) / limit, 100 * limit / wall);
  CUBE_TRY(const Rate fenced, meter->Append({kPackedBytes, 1, 0, std::chrono::seconds(1)}));
  constexpr std::size_t kEventsPacked = kPackedBytes / kEventBytes;
  const double events = fenced.per_second() * static_cast<double>(kEventsPacked);
  fmt::print(
      "  limit: 16 KiB messages, fenced, one in flight: {:.0f} events/s; submit -> scheduled"
      " reaches {:.1f} % of it\n",
      events, 100 * static_cast<double>(options.tasks) / driver.times().scheduled / events);
  return {};
}

}  // namespace cube::bench
