#include "bench/cluster/driver.h"

#include <cube/v1/decisions.pb.h>
#include <cube/v1/facts.pb.h>
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "shared/domain/job.h"
#include "shared/wire/codec.h"
#include "shared/wire/scratch.h"

namespace cube::bench {
namespace {

constexpr std::size_t kEventsPerLook = 10'000;
constexpr std::uint32_t kReadCredit = 512;
constexpr Duration kLookEvery = std::chrono::milliseconds(5);
constexpr Duration kStandsStill = std::chrono::milliseconds(300);
constexpr bus::SubId kDecisions = 1;
constexpr bus::SubId kFacts = 2;

bus::NatsBusOptions BusOptions(const std::string& url) {
  bus::NatsBusOptions options;
  options.urls = {url};
  options.name = "cube-bench client";
  return options;
}

}  // namespace

std::vector<TaskSpec> MixedSpecs() {
  TaskSpec spec;
  spec.name = TaskName::Trusted("c1m");
  spec.engine = "sim";
  spec.command = {"serve", "--port", "8080"};
  spec.env = {{"MODE", "bench"}};
  spec.resources = {1, 6 << 20, 0};
  std::vector<TaskSpec> specs(4, spec);
  specs[1].resources = {10, 64 << 20, 0};
  specs[1].constraints = {{"zone", Constraint::Op::kEquals, {"a"}}};
  specs[2].resources = {100, 256 << 20, 1 << 20};
  specs[2].constraints = {{"zone", Constraint::Op::kNotEquals, {"c"}}};
  specs[3].resources = {250, 512 << 20, 0};
  specs[3].constraints = {{"zone", Constraint::Op::kIn, {"b", "c"}}};
  return specs;
}

Driver::Driver(DriverOptions options, const std::string& url)
    : options_(options),
      bus_(BusOptions(url), [this](bus::Event event) { inbox_.PushAlways(std::move(event)); }) {
  for (TaskSpec& spec : MixedSpecs()) {
    specs_.push_back(std::make_shared<const TaskSpec>(std::move(spec)));
  }
}

Result<void> Driver::Take() {
  events_.clear();
  if (inbox_.TakeUntil(events_, kEventsPerLook, clock_.now().mono + kPatience) == 0) {
    return Fail(
        Code::kTimedOut,
        fmt::format("nothing comes from the server for {}: {} of {} stored, {} of them read "
                    "as scheduled, {} as running",
                    FormatDuration(kPatience), stored_, options_.tasks, progress_.scheduled(),
                    progress_.running()));
  }
  for (bus::Event& event : events_) {
    if (const auto* read = std::get_if<bus::Read>(&event)) {
      CUBE_TRY_VOID(OnRead(*read));
    } else if (const auto* state = std::get_if<bus::GotState>(&event)) {
      end_ = state->state.last_seq;
    } else if (const auto* unanswered = std::get_if<bus::OpFailed>(&event)) {
      return std::unexpected(unanswered->error);
    } else if (const auto* done = std::get_if<bus::Appended>(&event)) {
      --in_flight_;
      stored_ += sizes_.extract(done->op).mapped();
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
  if (read.reader != reading_) return {};  // one that has been closed
  bus_.Pull(read.reader, 1);
  read_to_ = read.message.seq;
  return read.reader == kDecisions ? OnDecisions(read.message) : OnFacts(read.message);
}

Result<void> Driver::OnDecisions(const bus::StreamMessage& message) {
  wire::Scratch<v1::Decisions> batch;
  if (!batch->ParseFromString(message.payload))
    return Fail(Code::kInternal, "a decision is unreadable");
  steps_ += static_cast<std::uint64_t>(batch->items_size());
  const std::uint64_t before = progress_.scheduled();
  for (const v1::DecisionItem& item : batch->items()) {
    if (item.has_start()) progress_.Placed(item.start().task(), item.start().attempt());
    if (item.has_node_down()) ++downs_;
  }
  folded_.emplace_back(batch->facts().seq(), message.time);
  ++cycles_;
  const std::uint64_t scheduled = progress_.scheduled();
  if (scheduled > before) ++full_cycles_;
  if (scheduled > before && scheduled == options_.tasks) times_.scheduled = Since(message.time);
  return {};
}

Result<void> Driver::OnFacts(const bus::StreamMessage& message) {
  wire::Scratch<v1::Facts> batch;
  if (!batch->ParseFromString(message.payload))
    return Fail(Code::kInternal, "facts are unreadable");
  if (batch->incarnation() == 0) return {};
  steps_ += static_cast<std::uint64_t>(batch->facts_size());
  std::uint64_t& last = last_fact_[batch->node()];
  std::uint64_t number = batch->first_number();
  for (const v1::Fact& fact : batch->facts()) {
    if (number > last && fact.has_launch()) {
      const v1::LaunchFact& launch = fact.launch();
      if (launch.state() == v1::LAUNCH_STATE_RUNNING) {
        progress_.Runs(launch.task(), launch.attempt());
      } else if (launch.state() == v1::LAUNCH_STATE_EXITED) {
        progress_.Ended(launch.task(), launch.attempt());
      }
    }
    last = std::max(last, number++);
  }
  if (progress_.running() == options_.tasks && times_.running == 0) {
    times_.running = Since(message.time);
    last_running_ = message.seq;
  }
  return {};
}

bus::AppendRequest Driver::Next(const wire::Subjects& subjects, std::uint64_t count) const {
  bus::AppendRequest request;
  if (options_.shape == Shape::kJobs) {
    const std::uint64_t number = op_;
    TaskSpec task = *specs_[number % specs_.size()];
    JobSpec job;
    job.name = task.name = TaskName::Trusted(fmt::format("c1m-{}", number));
    job.replicas = static_cast<std::uint32_t>(count);
    job.task = std::make_shared<const TaskSpec>(std::move(task));
    request.subject = subjects.Jobs("submit");
    request.payload = wire::EncodeSubmitJob(job);
    return request;
  }
  std::vector<SubmitTask> tasks;
  for (std::uint64_t i = 0; i < count; ++i) {
    tasks.push_back({TaskId(), specs_[(submitted_ + i) % specs_.size()]});
  }
  request.subject = subjects.TasksSubmit();
  request.payload = wire::EncodeSubmit(tasks);
  return request;
}

void Driver::Submit(const wire::Subjects& subjects) {
  const std::uint64_t batch = options_.shape == Shape::kSingle ? 1 : options_.batch;
  while (submitted_ < options_.tasks && in_flight_ < options_.window) {
    const std::uint64_t count = std::min<std::uint64_t>(batch, options_.tasks - submitted_);
    ++op_;
    bus::AppendRequest request = Next(subjects, count);
    request.op = op_;
    sizes_[request.op] = count;
    bus_.Append(std::move(request));
    submitted_ += count;
    ++in_flight_;
  }
}

Result<void> Driver::Run(Stage& stage) {
  while (!connected_) {
    CUBE_TRY_VOID(Take());
  }
  begin_ = clock_.now();
  while (stored_ < options_.tasks) {
    Submit(stage.subjects());
    CUBE_TRY_VOID(Take());
  }
  // The manager counts all its tasks when it is asked: so not while facts still come.
  std::uint64_t before = 0;
  MonoTime moved = clock_.now().mono;
  while (clock_.now().mono - moved < kPatience) {
    CUBE_TRY(const std::uint64_t end, EndOf(stage.subjects().FactsStream()));
    if (end > before) {
      moved = clock_.now().mono;
    } else if (Result<ClusterCounts> counts = stage.Counts();
               counts && counts->tasks["running"] == options_.tasks) {
      return {};
    }
    before = end;
    std::this_thread::sleep_for(kStandsStill);
  }
  return Fail(Code::kTimedOut, fmt::format("no facts come for {}, and not all tasks run",
                                           FormatDuration(kPatience)));
}

Result<std::uint64_t> Driver::EndOf(const std::string& stream) {
  end_.reset();
  bus_.GetState(++op_, stream);
  while (!end_) {
    CUBE_TRY_VOID(Take());
  }
  return *end_;
}

// Facts behind all decisions: which attempt of a task is its newest is known then.
Result<void> Driver::ReadLog(const wire::Subjects& subjects) {
  CUBE_TRY(const std::uint64_t decisions_end, EndOf(subjects.DecisionsStream()));
  CUBE_TRY(const std::uint64_t facts_end, EndOf(subjects.FactsStream()));
  CUBE_TRY_VOID(ReadStream(kDecisions, subjects.DecisionsStream(), decisions_end));
  CUBE_TRY_VOID(ReadStream(kFacts, subjects.FactsStream(), facts_end));
  const auto folded =
      std::ranges::find_if(folded_, [this](const auto& at) { return at.first >= last_running_; });
  if (times_.scheduled == 0 || times_.running == 0 || folded == folded_.end()) {
    return Fail(Code::kInternal,
                fmt::format("the manager says that all {} tasks run, the log that {} are scheduled "
                            "and {} run",
                            options_.tasks, progress_.scheduled(), progress_.running()));
  }
  times_.folded = Since(folded->second);
  return {};
}

Result<void> Driver::ReadStream(bus::SubId reader, const std::string& stream, std::uint64_t end) {
  read_to_ = 0;
  reading_ = reader;
  bus_.OpenReader(reader, stream, 1);
  bus_.Pull(reader, kReadCredit);
  while (read_to_ < end) {
    CUBE_TRY_VOID(Take());
  }
  bus_.CloseReader(reader);
  return {};
}

Result<void> WaitUntilFolded(Stage& stage, std::uint64_t tasks) {
  const MonoTime begin = stage.clock().now().mono;
  while (stage.clock().now().mono - begin < kPatience) {
    if (Result<ClusterCounts> counts = stage.Counts();
        counts && counts->tasks["running"] == tasks) {
      return {};
    }
    std::this_thread::sleep_for(kLookEvery);
  }
  return Fail(Code::kTimedOut, "the manager does not see all tasks running");
}

Result<Filled> StartSimulated(const std::string& bin_dir, std::uint32_t nodes) {
  Filled filled;
  CUBE_TRY(filled.stage, Stage::Open(bin_dir));
  CUBE_TRY(filled.manager, filled.stage->StartManager());
  CUBE_TRY(filled.nodes, filled.stage->Start({OwnPath(), "nodes", "--server", filled.stage->url(),
                                              "--nodes", std::to_string(nodes)},
                                             ""));
  CUBE_TRY_VOID(filled.stage->WaitForNodes(nodes));
  return filled;
}

Result<Filled> Fill(const std::string& bin_dir, std::uint64_t tasks, std::uint32_t nodes) {
  CUBE_TRY(Filled filled, StartSimulated(bin_dir, nodes));
  DriverOptions options;
  options.tasks = tasks;
  Driver driver(options, filled.stage->url());
  CUBE_TRY_VOID(driver.Run(*filled.stage));
  CUBE_TRY_VOID(driver.ReadLog(filled.stage->subjects()));
  filled.steps = driver.steps();
  return filled;
}

}  // namespace cube::bench
