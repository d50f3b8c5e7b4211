// Writes a log message by message and folds it: what tests of the view and of deciding start from.
// After each decision every index is the one that the records give.
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "shared/base/check.h"
#include "shared/cluster/fold.h"
#include "shared/cluster/status.h"
#include "shared/cluster/view.h"
#include "test/support/cluster/indexes.h"

namespace cube::test {

inline Explanation By(const std::string& scheduler) {
  Explanation why;
  why.scheduler = scheduler;
  return why;
}

inline TaskSpec Spec(const std::string& name) {
  TaskSpec spec;
  spec.name = TaskName::Trusted(name);
  spec.image = "image";
  return spec;
}

// Of some 60 KB, nearly all of it volumes.
inline TaskSpec BulkySpec(const std::string& name) {
  TaskSpec spec = Spec(name);
  for (int i = 0; i < 64; ++i) {
    spec.volumes.push_back(
        {"v" + std::to_string(i), "/" + std::to_string(i) + std::string(940, 'x'), false});
  }
  return spec;
}

inline JobSpec JobOf(const std::string& name, JobType type, std::uint32_t replicas,
                     const std::string& image) {
  TaskSpec task = Spec(name);
  task.image = image;
  task.restart = DefaultRestart(type);
  JobSpec job;
  job.name = task.name;
  job.type = type;
  job.replicas = replicas;
  job.task = std::make_shared<const TaskSpec>(std::move(task));
  return job;
}

class LogWriter {
 public:
  LogWriter() {
    DecisionBatch first = Next({});
    first.term = {1, 11};
    first.cycle = 1;
    first.term_start = TermStart{"cluster", "test", kValidationVersion, {}, {}};
    Append(first);
  }

  View& view() { return view_; }
  Stamp told;  // goes into the next decision

  std::vector<IntentResult> Submit(const std::string& id, const TaskSpec& spec) {
    IntentBatch batch;
    batch.items.emplace_back(
        SubmitTask{TaskId::Trusted(id), std::make_shared<const TaskSpec>(spec)});
    return Intend(batch);
  }
  std::vector<IntentResult> Stop(const std::string& id) {
    IntentBatch batch;
    batch.items.emplace_back(StopTask{TaskId::Trusted(id), std::nullopt});
    return Intend(batch);
  }
  std::vector<IntentResult> Cordon(const std::string& node, bool cordon) {
    IntentBatch batch;
    batch.items.emplace_back(CordonNode{NodeName::Trusted(node), cordon});
    return Intend(batch);
  }
  std::vector<IntentResult> Drain(const std::string& node, std::optional<Duration> deadline = {}) {
    IntentBatch batch;
    batch.items.emplace_back(DrainNode{NodeName::Trusted(node), deadline});
    return Intend(batch);
  }
  std::vector<IntentResult> SubmitJob(const JobSpec& spec) {
    IntentBatch batch;
    batch.items.emplace_back(cube::SubmitJob{spec});
    return Intend(batch);
  }
  std::vector<IntentResult> ScaleJob(const std::string& name, std::uint32_t replicas) {
    IntentBatch batch;
    batch.items.emplace_back(cube::ScaleJob{TaskName::Trusted(name), replicas});
    return Intend(batch);
  }
  std::vector<IntentResult> StopJob(const std::string& name) {
    IntentBatch batch;
    batch.items.emplace_back(cube::StopJob{TaskName::Trusted(name), std::nullopt});
    return Intend(batch);
  }
  std::vector<IntentResult> Intend(const IntentBatch& batch) {
    const Position at{++intents_, Time(), 0};
    Keep([this, at, batch] { FoldIntents(view_, at, batch); });
    return FoldIntents(view_, at, batch);
  }

  void SayJoined(const std::string& node, std::uint64_t instance, Resources capacity) {
    NodeDescription description;
    description.capacity = capacity;
    description.tasks_max = 500;
    description.engines = {{"docker", "test", true, true}};
    FactBatch batch{
        NodeName::Trusted(node), instance, 0, 0, {cube::Fact{{}, NodeJoined{description}}}};
    FoldBatch(batch);
  }
  // Joined, welcomed and looked over.
  void Join(const std::string& node, Resources capacity) {
    const NodeName name = NodeName::Trusted(node);
    SayJoined(node, 100 + view_.nodes.size(), capacity);
    Node& record = view_.nodes.at(name);
    Decide({WelcomeNode{name, record.joining_instance, record.incarnation + 1}});
    Fact(node, NodeReported{record.up});
  }

  template <class What>
  void Fact(const std::string& node, What what) {
    FactNumbered(node, view_.nodes.at(NodeName::Trusted(node)).last_fact + 1, std::move(what));
  }
  template <class What>
  void FactNumbered(const std::string& node, std::uint64_t number, What what) {
    const Node& record = view_.nodes.at(NodeName::Trusted(node));
    FoldBatch({record.name,
               record.instance,
               record.incarnation,
               number,
               {cube::Fact{{}, std::move(what)}}});
  }
  LaunchFact FactOf(const std::string& id, LaunchState state, std::uint32_t launch = 0) {
    const Task& task = *view_.Find(TaskId::Trusted(id));
    LaunchFact fact;
    fact.key = {IdOf(task), task.attempt, launch};
    fact.placement = task.placement;
    fact.state = state;
    return fact;
  }
  void Launch(const std::string& id, LaunchState state, std::uint32_t launch = 0) {
    Fact(view_.Find(TaskId::Trusted(id))->node.str(), FactOf(id, state, launch));
  }
  void Exit(const std::string& id, int code, bool final, bool stop_asked = false) {
    LaunchFact fact = FactOf(id, LaunchState::kExited);
    fact.cause = ExitCause::kExited;
    fact.exit_code = code;
    fact.final = final;
    fact.stop_asked = stop_asked;
    Fact(view_.Find(TaskId::Trusted(id))->node.str(), fact);
  }

  StartAttempt Start(const std::string& id, const std::string& node) {
    const Task& task = *view_.Find(TaskId::Trusted(id));
    return {IdOf(task), task.attempt + 1, NodeName::Trusted(node), task.spec, {}};
  }
  DecisionBatch Next(std::vector<DecisionItem> items) {
    DecisionBatch batch;
    batch.term = view_.term;
    batch.cycle = view_.stamp.cycle + 1;
    batch.prev = view_.stamp;
    batch.intents = view_.intents;
    batch.facts = view_.facts;
    batch.decided_at = Time();
    batch.told = told;
    batch.items = std::move(items);
    return batch;
  }
  void Decide(std::vector<DecisionItem> items) { Append(Next(std::move(items))); }

  void Append(const DecisionBatch& batch) {
    const std::uint64_t seq = ++decisions_;
    FoldDecisions(view_, seq, batch);
    if (const std::string wrong = WrongIndex(view_); !wrong.empty()) {
      std::fprintf(stderr, "the records do not give the view's index %s\n", wrong.c_str());
      CUBE_CHECK(false);
    }
    Keep([this, batch, seq] {
      if (IsNext(view_, batch)) FoldDecisions(view_, seq, batch);
    });
  }

  Status StatusOf(const std::string& id) {
    return cube::StatusOf(*view_.Find(TaskId::Trusted(id)));
  }
  // Every message once more, as a reader that lost its place would see them.
  void RepeatEverything() {
    for (const auto& fold : kept_) fold();
  }

 private:
  WallTime Time() { return WallFromNanos(1'000'000'000 * ++seconds_); }
  void FoldBatch(const FactBatch& batch) {
    const Position at{++facts_, Time(), 0};
    FoldFacts(view_, at, batch);
    Keep([this, at, batch] { FoldFacts(view_, at, batch); });
  }
  void Keep(std::function<void()> fold) { kept_.push_back(std::move(fold)); }

  View view_;
  std::uint64_t intents_ = 0;
  std::uint64_t facts_ = 0;
  std::uint64_t decisions_ = 0;
  std::int64_t seconds_ = 0;
  std::vector<std::function<void()>> kept_;
};

}  // namespace cube::test
