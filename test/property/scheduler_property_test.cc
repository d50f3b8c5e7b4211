// Deciding with classes and trees gives the answers of a loop over all tasks and all nodes:
// generated clusters, with everything that happens to them.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "services/manager/core/decide.h"
#include "services/manager/core/policies.h"
#include "shared/base/random.h"
#include "shared/domain/rules.h"
#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

using test::LogWriter;

// ---- the naive loop -----------------------------------------------------------------------------
// Knows only the records of tasks and nodes, none of the view's indexes.

class Naive {
 public:
  Naive(const View& view, const Settings& settings) : view_(view), settings_(settings) {
    for (const Task& task : view.tasks) {
      if (IsLive(task)) Place(task.node, *task.spec);
    }
  }

  std::vector<StartAttempt> Decide() {
    std::vector<const Task*> waiting;
    for (const Task& task : view_.tasks) {
      if (IsPending(task)) waiting.push_back(&task);
    }
    std::sort(waiting.begin(), waiting.end(), [](const Task* a, const Task* b) {
      return std::pair(-a->spec->priority, a->number) < std::pair(-b->spec->priority, b->number);
    });
    NodeName last = view_.last_node;
    std::vector<StartAttempt> starts;
    for (const Task* task : waiting) {
      Explanation why;
      const Node* node = Pick(*task->spec, last, why);
      if (node == nullptr) continue;
      starts.push_back({IdOf(*task), task->attempt + 1, node->name, task->spec, why});
      Place(node->name, *task->spec);
      last = node->name;
    }
    return starts;
  }

  const Node* Pick(const TaskSpec& spec, const NodeName& last, Explanation& why) {
    why = {};
    why.scheduler = spec.scheduler.empty() ? settings_.scheduler : spec.scheduler;
    why.nodes = static_cast<std::uint32_t>(view_.nodes.size());
    std::vector<std::pair<Rank, const Node*>> fitting;  // in the order of names
    const std::vector<std::string> order = FilterOrder(spec);
    std::map<std::string, std::uint32_t> counts;
    for (const auto& [name, node] : view_.nodes) {
      const std::string filter = RuledOutBy(node, spec);
      if (filter.empty()) {
        fitting.emplace_back(Score(why.scheduler, node, spec), &node);
      } else {
        ++counts[filter];
      }
    }
    // Most nodes first, then in the order of filters.
    std::map<std::pair<std::int64_t, std::size_t>, std::string> sorted;
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (counts[order[i]] == 0) continue;
      sorted[{-static_cast<std::int64_t>(std::exchange(counts[order[i]], 0)), i}] = order[i];
    }
    for (const auto& [key, filter] : sorted) {
      why.filtered.push_back({filter, static_cast<std::uint32_t>(-key.first)});
    }
    why.feasible = static_cast<std::uint32_t>(fitting.size());
    if (fitting.empty()) return nullptr;
    std::sort(fitting.begin(), fitting.end(), [](const auto& a, const auto& b) {
      return std::tie(a.first, a.second->name) < std::tie(b.first, b.second->name);
    });
    why.score = fitting[0].first.score;
    if (why.scheduler == "round-robin") return Next(fitting, last);
    if (fitting.size() > 1) {
      why.runner_up = fitting[1].second->name;
      why.runner_up_score = fitting[1].first.score;
    }
    return fitting[0].second;
  }

 private:
  struct Use {
    Resources promised;
    std::uint32_t tasks = 0;
    std::vector<const TaskSpec*> specs;
  };

  void Place(const NodeName& node, const TaskSpec& spec) {
    Use& use = uses_[node];
    use.promised += spec.resources;
    ++use.tasks;
    use.specs.push_back(&spec);
    for (const PortSpec& port : spec.ports) published_.emplace_back(node, port);
  }

  static const Node* Next(const std::vector<std::pair<Rank, const Node*>>& fitting,
                          const NodeName& last) {
    const Node* first = nullptr;
    for (const auto& [rank, node] : fitting) {  // equal ranks are in the order of names
      if (rank != fitting[0].first) break;
      if (first == nullptr) first = node;
      if (node->name > last) return node;
    }
    return first;
  }

  static bool LabelsFulfil(const Node& node, const Constraint& rule) {
    const auto& labels = node.description.labels;
    const std::string value = labels.contains(rule.label) ? labels.at(rule.label) : "";
    const bool there = labels.contains(rule.label);
    const bool among = std::count(rule.values.begin(), rule.values.end(), value) > 0;
    if (rule.op == Constraint::Op::kExists) return there;
    if (rule.op == Constraint::Op::kNotEquals) return !there || !among;
    return there && among;
  }

  static std::vector<std::string> FilterOrder(const TaskSpec& spec) {
    std::vector<std::string> order{"joining", "down", "no engine " + EngineOf(spec),
                                   "engine " + EngineOf(spec) + " down"};
    for (const Constraint& rule : spec.constraints) order.push_back("constraint " + rule.label);
    for (const char* what : {"cpu", "memory", "disk"}) {
      order.emplace_back(what);
      if (what != std::string("cpu")) order.push_back(std::string(what) + " in use");
    }
    order.emplace_back("task limit");
    for (const PortSpec& port : spec.ports) {
      order.push_back("port " + std::to_string(port.host_port) + " taken");
    }
    order.emplace_back("distinct");
    return order;
  }

  std::string NoRoom(const Node& node, const TaskSpec& spec) {
    struct Amount {
      const char* what;
      std::int64_t asked, capacity, promised;
      std::int64_t load;
    };
    const Resources& capacity = node.description.capacity;
    const Resources promised = uses_[node.name].promised;
    const Resources& asked = spec.resources;
    for (const Amount& a :
         {Amount{"cpu", asked.cpu_millis, capacity.cpu_millis, promised.cpu_millis, 0},
          Amount{"memory", asked.memory_bytes, capacity.memory_bytes, promised.memory_bytes,
                 node.load.memory},
          Amount{"disk", asked.disk_bytes, capacity.disk_bytes, promised.disk_bytes,
                 node.load.disk}}) {
      if (a.asked == 0) continue;
      if (a.promised + a.asked > a.capacity) return a.what;
      if (a.capacity * a.load / 16 + a.asked > a.capacity) return std::string(a.what) + " in use";
    }
    return {};
  }

  std::string RuledOutBy(const Node& node, const TaskSpec& spec) {
    if (node.incarnation == 0 || (!node.down && !node.reported)) return "joining";
    if (node.down) return "down";
    const EngineDescription* engine = nullptr;
    for (const EngineDescription& e : node.description.engines) {
      if (e.kind == EngineOf(spec)) engine = &e;
    }
    if (engine == nullptr) return "no engine " + EngineOf(spec);
    if (!engine->up) return "engine " + EngineOf(spec) + " down";
    for (const Constraint& rule : spec.constraints) {
      if (!LabelsFulfil(node, rule)) return "constraint " + rule.label;
    }
    if (std::string lacks = NoRoom(node, spec); !lacks.empty()) return lacks;
    if (uses_[node.name].tasks >= node.description.tasks_max) return "task limit";
    for (const PortSpec& port : spec.ports) {
      if (port.host_port != 0 && PortTaken(node, port)) {
        return "port " + std::to_string(port.host_port) + " taken";
      }
    }
    if (spec.distinct == 0) return {};
    std::uint32_t same = 0;
    for (const TaskSpec* other : uses_[node.name].specs) same += other->name == spec.name ? 1 : 0;
    return same >= spec.distinct ? "distinct" : "";
  }

  bool PortTaken(const Node& node, const PortSpec& port) {
    const std::string& address = node.description.address;
    return std::any_of(published_.begin(), published_.end(), [&](const auto& published) {
      const auto& [name, taken] = published;
      if (taken.host_port != port.host_port || taken.protocol != port.protocol) return false;
      if (name == node.name) return true;
      return !address.empty() && address == view_.nodes.at(name).description.address;
    });
  }

  Rank Score(const std::string& policy, Node node, const TaskSpec& spec) {
    const Use& use = uses_[node.name];
    node.allocated = use.promised;
    Standing standing = StandingOf(node);
    standing.tasks = use.tasks;
    Rank rank = FindPolicy(policy)->Score(standing, AmountsOf(spec.resources));
    std::int64_t weight = 0;
    for (const Affinity& affinity : spec.affinities) {
      if (LabelsFulfil(node, affinity.rule)) weight += affinity.weight;
    }
    rank.score -= weight * kScoreOne / 100;
    return rank;
  }

  const View& view_;
  const Settings& settings_;
  std::map<NodeName, Use> uses_;
  std::vector<std::pair<NodeName, PortSpec>> published_;
};

// ---- generated clusters -------------------------------------------------------------------------

template <std::size_t N>
std::string OneOf(Random& random, const std::array<const char*, N>& texts) {
  return texts[random.Below(N)];
}

class Cluster {
 public:
  explicit Cluster(std::uint64_t seed, std::size_t nodes_max)
      : random_(seed * 0x9e3779b97f4a7c15ULL) {
    settings_.scheduler = kPolicies[random_.Below(kPolicies.size())];
    planner_ = std::make_unique<Planner>(std::move(*Planner::Make(settings_)));
    shapes_ = 1 + random_.Below(6);
    for (std::uint64_t i = 0; i < shapes_; ++i) specs_.push_back(RandomSpec());
    for (std::uint64_t n = random_.Below(nodes_max + 1); n > 0; --n) Join();
  }

  // -> what differs from the naive loop; empty = nothing.
  std::string Step() {
    for (std::uint64_t i = random_.Below(4); i > 0; --i) Happen();
    const std::vector<StartAttempt> want = Naive(log_.view(), settings_).Decide();
    const std::vector<DecisionItem> got = planner_->Decide(log_.view(), {}, WallFromNanos(1));
    if (std::string differs = Compare(want, got); !differs.empty()) return differs;
    if (std::string differs = CompareReason(); !differs.empty()) return differs;
    if (random_.Below(8) == 0) {
      planner_->ForgetView();  // the message did not get into the log; the view is read back
    } else {
      log_.Decide(got);
    }
    return {};
  }

 private:
  Resources RandomResources(std::int64_t unit) {
    const auto amount = [&](std::int64_t of) {
      return random_.Below(2) == 0 ? 0 : of * static_cast<std::int64_t>(random_.Below(9));
    };
    return {amount(unit), amount(unit << 20), amount(unit << 22)};
  }

  Constraint RandomRule() {
    const std::string label = OneOf(random_, std::array{"zone", "disk", "gpu"});
    const std::string value = OneOf(random_, std::array{"a", "b", "c"});
    switch (random_.Below(4)) {
      case 0:
        return {label, Constraint::Op::kEquals, {value}};
      case 1:
        return {label, Constraint::Op::kNotEquals, {value}};
      case 2:
        return {label, Constraint::Op::kIn, {value, "a"}};
      default:
        return {label, Constraint::Op::kExists, {}};
    }
  }

  TaskSpec RandomSpec() {
    TaskSpec spec = test::Spec(OneOf(random_, std::array{"web", "db", "job"}));
    spec.resources = RandomResources(100);
    spec.priority = static_cast<std::int32_t>(random_.Below(3));
    for (std::uint64_t i = random_.Below(3); i > 0; --i) {
      if (random_.Below(3) == 0) spec.constraints.push_back(RandomRule());
    }
    for (std::uint64_t i = random_.Below(3); i > 0; --i) {
      const auto weight = static_cast<std::int32_t>(1 + random_.Below(100));
      spec.affinities.push_back({RandomRule(), random_.Below(2) == 0 ? weight : -weight});
    }
    if (random_.Below(3) == 0) {
      const auto port = static_cast<std::uint16_t>(8080 + random_.Below(2));
      const Protocol protocol = random_.Below(4) == 0 ? Protocol::kUdp : Protocol::kTcp;
      spec.ports.push_back({80, port, protocol, ""});
    }
    if (random_.Below(3) == 0) spec.distinct = 1 + static_cast<std::uint32_t>(random_.Below(2));
    if (random_.Below(2) == 0) spec.scheduler = kPolicies[random_.Below(kPolicies.size())];
    if (random_.Below(6) == 0) spec.engine = "sim";
    return spec;
  }

  NodeDescription RandomDescription() {
    NodeDescription description;
    description.capacity = RandomResources(300);
    description.capacity += {500, 0, 0};
    description.tasks_max = static_cast<std::uint32_t>(random_.Below(12));
    for (const char* label : {"zone", "disk", "gpu"}) {
      if (random_.Below(2) == 0) {
        description.labels[label] = OneOf(random_, std::array{"a", "b", "c"});
      }
    }
    description.engines = {{"docker", "test", true, random_.Below(8) != 0}};
    if (random_.Below(4) == 0) description.engines.push_back({"sim", "test", true, true});
    if (random_.Below(2) == 0) description.address = OneOf(random_, std::array{"h1", "h2"});
    return description;
  }

  void Join() {
    const std::string name = "n" + std::to_string(random_.Below(1'000'000));
    if (log_.view().nodes.contains(NodeName::Trusted(name))) return;
    log_.Join(name, {});
    log_.Fact(name, NodeDescribed{RandomDescription()});
  }

  const Node* AnyNode() {
    const auto& nodes = log_.view().nodes;
    if (nodes.empty()) return nullptr;
    return &std::next(nodes.begin(), static_cast<std::ptrdiff_t>(random_.Below(nodes.size())))
                ->second;
  }

  void Submit() {
    if (random_.Below(10) == 0) specs_[random_.Below(specs_.size())] = RandomSpec();
    const TaskSpec& spec = specs_[random_.Below(specs_.size())];
    for (std::uint64_t n = 1 + random_.Below(4); n > 0; --n) {
      ids_.push_back("t-" + std::to_string(ids_.size()));
      log_.Submit(ids_.back(), spec);
    }
  }

  void End() {
    if (ids_.empty()) return;
    const std::string& id = ids_[random_.Below(ids_.size())];
    const Task& task = *log_.view().Find(TaskId::Trusted(id));
    if (!IsLive(task)) {
      log_.Stop(id);
    } else if (random_.Below(3) == 0) {
      log_.Launch(id, LaunchState::kRunning);
    } else {
      log_.Exit(id, 0, /*final=*/true);
    }
  }

  void ChangeNode() {
    const Node* node = AnyNode();
    if (node == nullptr) return;
    const std::string name = node->name.str();
    switch (random_.Below(4)) {
      case 0:
        log_.Fact(name, NodeDescribed{RandomDescription()});
        return;
      case 1: {
        const auto part = [this] { return static_cast<std::uint8_t>(random_.Below(17)); };
        log_.Decide({SetLoad{node->name, {part(), part(), part()}}});
        return;
      }
      default:
        if (node->down) {
          log_.Decide({NodeUp{node->name}});
          if (random_.Below(2) == 0) log_.Fact(name, NodeReported{node->up});
        } else if (!node->reported) {
          log_.Fact(name, NodeReported{node->up});
        } else {
          log_.Decide({NodeDown{node->name, "test"}});
        }
    }
  }

  void Happen() {
    const std::uint64_t what = random_.Below(20);
    if (what < 10) {
      Submit();
    } else if (what < 14) {
      End();
    } else if (what < 19) {
      ChangeNode();
    } else {
      Join();
    }
  }

  static std::string Text(const StartAttempt& start) {
    std::string text =
        start.task.str() + "/" + std::to_string(start.attempt) + " on " + start.node.str() +
        " by " + start.explanation->scheduler + ", score " +
        std::to_string(start.explanation->score) + ", then " + start.explanation->runner_up.str() +
        " " + std::to_string(start.explanation->runner_up_score) + "; " +
        std::to_string(start.explanation->feasible) + " of " + DescribeWait(*start.explanation);
    return text;
  }

  static std::string Compare(const std::vector<StartAttempt>& want,
                             const std::vector<DecisionItem>& got) {
    std::size_t i = 0;
    for (const DecisionItem& item : got) {
      const auto* start = std::get_if<StartAttempt>(&item);
      if (start == nullptr) continue;
      if (i == want.size()) return "one too many: " + Text(*start);
      const StartAttempt& other = want[i++];
      if (start->task != other.task || start->attempt != other.attempt ||
          start->node != other.node || start->explanation != other.explanation) {
        return "got " + Text(*start) + "\nnot " + Text(other);
      }
    }
    return i == want.size() ? "" : "missing: " + Text(want[i]);
  }

  // What any task is told that waits.
  std::string CompareReason() {
    for (const auto& [shape, waiting] : log_.view().pending) {
      if (random_.Below(4) != 0) continue;
      const Task& task = log_.view().tasks.At(waiting.begin()->number);
      Explanation why;
      const Node* node = Naive(log_.view(), settings_).Pick(*task.spec, log_.view().last_node, why);
      const std::string want = node == nullptr ? DescribeWait(why) : "its turn has not come yet";
      const std::string got = planner_->WhyPending(log_.view(), task);
      if (got != want) return "reason '" + got + "', not '" + want + "'";
    }
    return {};
  }

  Random random_;
  Settings settings_;
  std::unique_ptr<Planner> planner_;
  LogWriter log_;
  std::uint64_t shapes_ = 0;
  std::vector<TaskSpec> specs_;
  std::vector<std::string> ids_;
};

// -> the first step that differs, or -1.
int RunCluster(std::uint64_t seed, std::size_t nodes_max, int steps, std::string& differs) {
  Cluster cluster(seed, nodes_max);
  for (int step = 0; step < steps; ++step) {
    differs = cluster.Step();
    if (!differs.empty()) return step;
  }
  return -1;
}

void Check(std::uint64_t first, std::uint64_t count, std::size_t nodes_max, int steps) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    std::string differs;
    const int step = RunCluster(seed, nodes_max, steps, differs);
    ASSERT_EQ(step, -1) << "seed " << seed << ", up to " << nodes_max << " nodes, step " << step
                        << ": " << differs;
  }
}

TEST(SchedulerProperty, SmallClusters) { Check(1, 9'000, 6, 12); }
TEST(SchedulerProperty, MiddlingClusters) { Check(100'001, 960, 25, 20); }
TEST(SchedulerProperty, LargeClusters) { Check(200'001, 40, 300, 25); }
TEST(SchedulerProperty, HugeClusters) { Check(300'001, 2, 10'000, 6); }

}  // namespace
}  // namespace cube::manager
