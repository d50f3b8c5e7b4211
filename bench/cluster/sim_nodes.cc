#include "bench/cluster/sim_nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <queue>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "services/worker/engine/sim/sim_engine.h"
#include "services/worker/worker_loop.h"
#include "services/worker/worker_store.h"
#include "shared/bus/nats_bus.h"
#include "shared/domain/validate.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/inbox.h"
#include "shared/runtime/signals.h"
#include "shared/store/memory_store.h"

namespace cube::bench {
namespace {

using worker::Input;

constexpr const char* kKind = "sim";
constexpr std::size_t kEventsPerLook = 16384;
// As many threads as there are cores, up to so many: real workers are processes of their own.
constexpr std::size_t kThreadsMax = 4;
// Each node has its own numbers of operations; on the shared connection its index is in front.
constexpr int kOpBits = 40;
// As the worker's loop numbers its own subscriptions.
enum Lane : bus::SubId { kAssign = 1, kDesired = 2 };

std::uint64_t Joined(std::size_t node, std::uint64_t id) {
  return (static_cast<std::uint64_t>(node) << kOpBits) | id;
}

struct Counts {
  std::uint64_t assigns = 0, pages = 0, fact_messages = 0, beats = 0, steps = 0;
  Counts& operator+=(const Counts& o) {
    assigns += o.assigns;
    pages += o.pages;
    fact_messages += o.fact_messages;
    beats += o.beats;
    steps += o.steps;
    return *this;
  }
};

struct SimNode {
  NodeName name;
  std::shared_ptr<engine::SimMachine> machine = std::make_shared<engine::SimMachine>();
  store::MemoryStore store{worker::WorkerSchema()};
  std::vector<Input> inputs;
  std::unique_ptr<engine::SimEngine> engine;
  std::unique_ptr<worker::WorkerLoop> loop;
  MonoTime due;
  MonoTime queued = MonoTime::max();  // the earliest at which due_ has it
  bool touched = false;
};

struct ForNode {
  std::size_t index = 0;
  bus::Event event;
};
struct ForAll {
  bus::Event event;
};
struct FromBeats {};
struct Told {};
using Item = std::variant<ForNode, ForAll, FromBeats, Told>;

// The nodes of one thread, in its own order. Only Push is for other threads.
class Shard {
 public:
  // `number` of `shards`: has each node whose index modulo `shards` is that.
  Shard(const SimNodesOptions& options, std::size_t number, std::size_t shards);

  void Push(Item item) { inbox_.PushAlways(std::move(item)); }
  // Until it is told, or a node fails. -> whether none did. Both live until it returns.
  bool Run(bus::NatsBus& bus, bus::NatsBus& beats);

  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  void AddNode(std::size_t index, std::uint32_t tasks_max);
  void Take(Item& item);
  void Touch(std::size_t index);
  void Give(std::size_t index, Input input);
  void Queue(std::size_t index);
  void TouchDue(MonoTime now);
  void Step(std::size_t index, Now now);
  bool Execute(std::size_t index, worker::Operations& operations);
  void Send(std::size_t index, bus::Operation& operation);
  static void Call(engine::SimEngine& engine, worker::EngineCall& call);
  // Places in nodes_, and indexes in all.
  [[nodiscard]] std::size_t LocalOf(std::size_t index) const { return index / shards_; }
  [[nodiscard]] std::size_t GlobalOf(std::size_t local) const { return local * shards_ + number_; }

  const std::size_t number_, shards_;
  const SystemClock clock_;
  Counts counts_;
  Inbox<Item> inbox_{1};
  std::vector<std::unique_ptr<SimNode>> nodes_;
  // A node is looked at when it was due once, though it may have become due later since.
  std::priority_queue<std::pair<MonoTime, std::size_t>,
                      std::vector<std::pair<MonoTime, std::size_t>>, std::greater<>>
      due_;
  std::vector<std::size_t> touched_;  // in the order in which they step
  std::vector<Input> inputs_;         // of the node that steps
  bool ending_ = false;
  bool failed_ = false;
  bus::NatsBus* bus_ = nullptr;
  bus::NatsBus* beats_ = nullptr;
};

class SimNodes {
 public:
  explicit SimNodes(const SimNodesOptions& options);
  Result<void> Run();

 private:
  // On a thread of the bus.
  void Route(bus::Event& event);
  template <class What>
  void ToAll(const What& what) {
    for (const auto& shard : shards_) shard->Push(what);
  }

  const wire::Subjects subjects_;
  std::unordered_map<std::string, std::size_t> index_;  // by name
  std::vector<std::unique_ptr<Shard>> shards_;
  std::unique_ptr<bus::NatsBus> bus_;
  std::unique_ptr<bus::NatsBus> beats_;
};

NodeName NameOf(std::size_t index) { return NodeName::Trusted(fmt::format("sim-{:05}", index)); }

SimNodes::SimNodes(const SimNodesOptions& options) {
  for (std::size_t i = 0; i < options.nodes; ++i) index_.emplace(NameOf(i).str(), i);
  const std::size_t shards = std::clamp<std::size_t>(
      std::thread::hardware_concurrency(), 1, std::min<std::size_t>(kThreadsMax, options.nodes));
  for (std::size_t i = 0; i < shards; ++i) {
    shards_.push_back(std::make_unique<Shard>(options, i, shards));
  }
  bus::NatsBusOptions bus_options;
  bus_options.urls = {options.url};
  bus_options.name = "cube-bench nodes";
  bus_ = std::make_unique<bus::NatsBus>(bus_options, [this](bus::Event event) { Route(event); });
  bus_options.name = "cube-bench nodes, heartbeats";
  beats_ = std::make_unique<bus::NatsBus>(bus_options, [this](const bus::Event& event) {
    if (std::holds_alternative<bus::Connected>(event)) ToAll(FromBeats{});
  });
  // One subscription for all: a node's own subjects differ in one token.
  bus_->Subscribe(kAssign, subjects_.Assign("*"), "");
  bus_->Subscribe(kDesired, subjects_.DesiredAll("*"), "");
}

void SimNodes::Route(bus::Event& event) {
  const auto give = [this](std::size_t index, bus::Event own) {
    shards_[index % shards_.size()]->Push(ForNode{index, std::move(own)});
  };
  if (auto* message = std::get_if<bus::Message>(&event)) {
    std::string_view token = message->subject;
    if (message->subscription != kAssign) token = token.substr(0, token.rfind('.'));
    token = wire::Subjects::LastToken(token);
    if (const auto it = index_.find(std::string(token)); it != index_.end()) {
      give(it->second, std::move(event));
    }
    return;
  }
  const auto own = [&give](auto& e) {
    const auto index = static_cast<std::size_t>(e.op >> kOpBits);
    e.op &= (std::uint64_t{1} << kOpBits) - 1;
    give(index, std::move(e));
  };
  if (auto* appended = std::get_if<bus::Appended>(&event)) {
    own(*appended);
  } else if (auto* refused = std::get_if<bus::AppendFailed>(&event)) {
    own(*refused);
  } else if (auto* got = std::get_if<bus::Got>(&event)) {
    own(*got);
  } else if (auto* failed = std::get_if<bus::OpFailed>(&event)) {
    own(*failed);
  } else {
    ToAll(ForAll{event});
  }
}

Result<void> SimNodes::Run() {
  CUBE_TRY(const auto signals, runtime::SignalWatch::Start([this](int) { ToAll(Told{}); }));
  std::atomic<bool> failed = false;
  const auto run = [this, &failed](Shard& shard) {
    if (shard.Run(*bus_, *beats_)) return;
    failed = true;
    ToAll(Told{});
  };
  std::vector<std::jthread> threads;
  for (std::size_t i = 1; i < shards_.size(); ++i) threads.emplace_back(run, std::ref(*shards_[i]));
  run(*shards_.front());
  threads.clear();
  Counts sum;
  for (const auto& shard : shards_) sum += shard->counts();
  fmt::print(
      "  nodes: {} live copies, {} pages of sets, {} fact messages, {} heartbeats, {} steps\n",
      sum.assigns, sum.pages, sum.fact_messages, sum.beats, sum.steps);
  if (failed) return Fail(Code::kInternal, "a node has ended");
  return {};
}

// ---- the nodes of one thread ------------------------------------------------------------------

Shard::Shard(const SimNodesOptions& options, std::size_t number, std::size_t shards)
    : number_(number), shards_(shards) {
  for (std::size_t i = number; i < options.nodes; i += shards) AddNode(i, options.tasks_max);
}

void Shard::AddNode(std::size_t index, std::uint32_t tasks_max) {
  auto node = std::make_unique<SimNode>();
  node->name = NameOf(index);
  const Now now = clock_.now();
  worker::LoopOptions options;
  options.node = node->name;
  options.engines = {kKind};
  // Room for any number of tasks: what is measured is the way, not a full cluster.
  options.description.capacity = {kCpuMillisMax, kBytesMax, kBytesMax};
  options.description.tasks_max = tasks_max;
  options.description.version = "bench";
  options.description.labels = {{"zone", std::string(1, static_cast<char>('a' + index % 3))}};
  options.metrics = false;
  options.seed = index + 1;
  worker::StoredState fresh;
  fresh.meta.instance = index + 1;
  node->loop = std::make_unique<worker::WorkerLoop>(std::move(options), std::move(fresh), now);
  node->engine = std::make_unique<engine::SimEngine>(
      node->machine, [inputs = &node->inputs](engine::Event event) {
        inputs->emplace_back(worker::FromEngine{kKind, std::move(event)});
      });
  node->due = now.mono;
  nodes_.push_back(std::move(node));
  Queue(nodes_.size() - 1);
}

void Shard::Touch(std::size_t index) {
  if (!std::exchange(nodes_[index]->touched, true)) touched_.push_back(index);
}

void Shard::Give(std::size_t index, Input input) {
  nodes_[index]->inputs.push_back(std::move(input));
  Touch(index);
}

void Shard::Take(Item& item) {
  if (auto* own = std::get_if<ForNode>(&item)) {
    if (const auto* message = std::get_if<bus::Message>(&own->event)) {
      ++(message->subscription == kAssign ? counts_.assigns : counts_.pages);
    }
    Give(LocalOf(own->index), worker::FromBus{std::move(own->event)});
  } else if (const auto* all = std::get_if<ForAll>(&item)) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) Give(i, worker::FromBus{all->event});
  } else if (std::holds_alternative<FromBeats>(item)) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) Give(i, worker::BeatsConnected{});
  } else {
    ending_ = true;
  }
}

void Shard::Call(engine::SimEngine& engine, worker::EngineCall& call) {
  if (auto* start = std::get_if<worker::StartEngine>(&call)) {
    engine.Start(std::move(start->owner));
  } else if (auto* launch = std::get_if<worker::LaunchCall>(&call)) {
    engine.Launch(std::move(launch->request));
  } else if (auto* stop = std::get_if<worker::StopCall>(&call)) {
    engine.Stop(std::move(stop->key), std::move(stop->signal), stop->grace);
  } else if (auto* remove = std::get_if<worker::RemoveCall>(&call)) {
    engine.Remove(std::move(remove->key), "", 0);
  } else {
    engine.List();
  }
}

void Shard::Send(std::size_t index, bus::Operation& operation) {
  if (std::holds_alternative<bus::Subscribe>(operation)) return;  // made once for all
  if (auto* append = std::get_if<bus::Append>(&operation)) {
    append->request.op = Joined(GlobalOf(index), append->request.op);
    ++counts_.fact_messages;
  } else if (auto* get = std::get_if<bus::Get>(&operation)) {
    get->op = Joined(GlobalOf(index), get->op);
  } else if (auto* last = std::get_if<bus::GetLast>(&operation)) {
    last->op = Joined(GlobalOf(index), last->op);
  }
  bus::Execute(*bus_, std::move(operation));
}

bool Shard::Execute(std::size_t index, worker::Operations& operations) {
  SimNode& node = *nodes_[index];
  for (worker::Operation& operation : operations) {
    if (auto* call = std::get_if<bus::Operation>(&operation)) {
      Send(index, *call);
    } else if (auto* commit = std::get_if<worker::Commit>(&operation)) {
      if (!node.store.Commit(commit->batch)) return false;
    } else if (auto* beat = std::get_if<worker::Beat>(&operation)) {
      ++counts_.beats;
      beats_->Publish(std::move(beat->subject), {}, std::move(beat->payload));
    } else if (auto* engine_call = std::get_if<worker::EngineCall>(&operation)) {
      Call(*node.engine, *engine_call);
    } else if (const auto* read = std::get_if<worker::ReadOutbox>(&operation)) {
      auto facts = worker::ReadOutboxFrom(node.store, node.name, read->from, read->facts_max);
      if (!facts) return false;
      node.inputs.emplace_back(worker::OutboxRead{*std::move(facts)});
    } else if (const auto* line = std::get_if<worker::LogLine>(&operation)) {
      if (line->level >= worker::LogLine::Level::kWarning) {
        fmt::print(stderr, "{}: {}\n", node.name.str(), line->text);
      }
    } else if (const auto* exit = std::get_if<worker::Exit>(&operation)) {
      fmt::print(stderr, "{} has ended: {}\n", node.name.str(), exit->reason);
      return false;
    }
  }
  return true;
}

void Shard::Step(std::size_t index, Now now) {
  SimNode& node = *nodes_[index];
  do {
    node.machine->Advance(now);
    inputs_.clear();
    inputs_.swap(node.inputs);
    ++counts_.steps;
    worker::Operations operations = node.loop->Step(inputs_, now);
    if (!Execute(index, operations)) failed_ = true;
    if (node.machine->NextDue().value_or(MonoTime::max()) <= now.mono) node.machine->Advance(now);
  } while (!node.inputs.empty());
  node.due = std::min(node.loop->NextDeadline(), node.machine->NextDue().value_or(MonoTime::max()));
  Queue(index);
}

void Shard::Queue(std::size_t index) {
  SimNode& node = *nodes_[index];
  if (node.due >= node.queued) return;
  node.queued = node.due;
  due_.emplace(node.due, index);
}

void Shard::TouchDue(MonoTime now) {
  while (!due_.empty() && due_.top().first <= now) {
    const auto [at, index] = due_.top();
    due_.pop();
    SimNode& node = *nodes_[index];
    if (at != node.queued) continue;  // it became due earlier meanwhile
    node.queued = MonoTime::max();
    if (node.due <= now) {
      Touch(index);
    } else {
      Queue(index);
    }
  }
}

bool Shard::Run(bus::NatsBus& bus, bus::NatsBus& beats) {
  bus_ = &bus;
  beats_ = &beats;
  std::vector<Item> items;
  while (!ending_ && !failed_) {
    items.clear();
    inbox_.TakeUntil(items, kEventsPerLook, due_.empty() ? MonoTime::max() : due_.top().first);
    for (Item& item : items) Take(item);
    const Now now = clock_.now();
    TouchDue(now.mono);
    for (const std::size_t index : touched_) {
      nodes_[index]->touched = false;
      Step(index, now);
    }
    touched_.clear();
  }
  return !failed_;
}

}  // namespace

Result<void> RunSimNodes(const SimNodesOptions& options) { return SimNodes(options).Run(); }

}  // namespace cube::bench
