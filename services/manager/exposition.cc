#include "services/manager/exposition.h"

#include <utility>
#include <variant>

#include "shared/base/version.h"
#include "shared/cluster/status.h"

namespace cube::manager {
namespace {

using telemetry::AddCounter;
using telemetry::AddFamily;
using telemetry::AddGauge;
using telemetry::Families;
using telemetry::Family;
using telemetry::Kind;

// From a round trip on one machine to the time after which an append is given up.
const std::vector<double> kAppendBounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                        0.1,    0.25,  0.5,    1,     2.5,  5};

double Number(std::uint64_t value) { return static_cast<double>(value); }

}  // namespace

Meter::Meter(wire::Subjects subjects)
    : decisions_(subjects.Decisions()), append_seconds_(kAppendBounds) {
  for (auto i = static_cast<int>(Status::kPending); i <= static_cast<int>(Status::kLost); ++i) {
    tasks_[std::string(StatusName(static_cast<Status>(i)))] = 0;
  }
}

void Meter::Sees(const bus::Operation& operation, MonoTime now) {
  const auto* append = std::get_if<bus::Append>(&operation);
  if (append != nullptr && append->request.subject == decisions_) {
    appends_[append->request.op] = now;
  }
}

void Meter::Sees(const bus::Event& event, MonoTime now) {
  if (std::holds_alternative<bus::Connected>(event)) ++connects_;
  if (const auto* done = std::get_if<bus::Appended>(&event)) {
    if (const auto sent = appends_.extract(done->op); !sent.empty()) {
      append_seconds_.Observe(std::chrono::duration<double>(now - sent.mapped()).count());
    }
  }
  if (const auto* failed = std::get_if<bus::AppendFailed>(&event)) {
    appends_failed_ += appends_.erase(failed->op);
  }
}

void Meter::Count(const View& view, MonoTime now) {
  const bool fresh = counted_at_ != MonoTime{} && now - counted_at_ < kRecountAfter;
  if (fresh && view.tasks.size() > kCountAlwaysMax) return;
  counted_at_ = now;
  for (auto& [status, count] : tasks_) count = 0;
  for (const Task& task : view.tasks) ++tasks_[std::string(StatusName(StatusOf(task)))];
}

void Meter::AddTerm(Families& to, const ManagerLoop& loop) const {
  const View& view = loop.view();
  const LoopFigures loop_figures = loop.figures();
  AddGauge(to, "cube_manager_leading", "1 while this manager leads.", loop.leading() ? 1 : 0);
  AddGauge(to, "cube_manager_epoch", "Number of the term of office that the log is in.",
           Number(view.term.epoch));
  AddGauge(to, "cube_manager_decision_sequence", "Sequence of the last decision folded.",
           Number(view.valid_seq));
  AddCounter(to, "cube_manager_cycles_total", "Cycles that this manager has got into the log.",
             Number(loop_figures.cycles));
  AddCounter(to, "cube_manager_decisions_total", "Decisions in those cycles.",
             Number(loop_figures.decisions));
  AddFamily(to, "cube_manager_append_seconds",
            "Time from sending a cycle's message to its acknowledgement.", Kind::kHistogram)
      .series.push_back({{}, 0, {append_seconds_}});
  AddCounter(to, "cube_manager_append_failures_total",
             "Messages of cycles that were refused, or not acknowledged in time.",
             Number(appends_failed_));
  AddCounter(to, "cube_manager_foreign_messages_total",
             "Decision messages that did not belong to the log and were skipped.",
             Number(view.foreign_messages));
  AddCounter(to, "cube_manager_stale_facts_total",
             "Facts that were repeated, illegal or of a worker that is not the node's.",
             Number(view.stale_facts));
}

void Meter::AddView(Families& to, const ManagerLoop& loop) const {
  const View& view = loop.view();
  Family& tasks = AddFamily(to, "cube_manager_tasks", "Tasks of the view.", Kind::kGauge);
  for (const auto& [status, count] : tasks_) {
    tasks.series.push_back({{{"status", status}}, Number(count), {}});
  }
  std::map<std::string, std::size_t> nodes{{"ready", 0}, {"joining", 0}, {"down", 0}};
  Resources capacity;
  Resources promised;
  for (const auto& [name, node] : view.nodes) {
    const bool joining = node.incarnation == 0 || !node.reported;
    ++nodes[node.down ? "down" : joining ? "joining" : "ready"];
    if (!node.down) capacity += node.description.capacity;
    promised += node.allocated;
  }
  Family& by_state = AddFamily(to, "cube_manager_nodes", "Nodes of the view.", Kind::kGauge);
  for (const auto& [state, count] : nodes) {
    by_state.series.push_back({{{"state", state}}, Number(count), {}});
  }
  constexpr double kMillis = 1000.0;
  const auto resources = [&](const char* what, const Resources& amount) {
    const std::string prefix = std::string("cube_manager_") + what;
    AddGauge(to, prefix + "_cpus", std::string("Cpus, ") + what + ".",
             static_cast<double>(amount.cpu_millis) / kMillis);
    AddGauge(to, prefix + "_memory_bytes", std::string("Memory, ") + what + ".",
             static_cast<double>(amount.memory_bytes));
    AddGauge(to, prefix + "_disk_bytes", std::string("Disk, ") + what + ".",
             static_cast<double>(amount.disk_bytes));
  };
  resources("capacity", capacity);
  resources("promised", promised);
}

Families Meter::Expose(const std::string& name, const ManagerLoop& loop, const Figures& figures,
                       MonoTime now) {
  Count(loop.view(), now);
  Families to;
  AddGauge(to, "cube_manager_info", "Always 1; who this is.", 1,
           {{"manager", name}, {"version", std::string(kVersion)}});
  AddTerm(to, loop);
  const LoopFigures loop_figures = loop.figures();
  Family& queues =
      AddFamily(to, "cube_manager_queue_size", "What waits to be taken.", Kind::kGauge);
  const std::map<std::string, std::size_t> sizes{{"inbox", figures.inbox_size},
                                                 {"intents", loop_figures.intents},
                                                 {"facts", loop_figures.facts},
                                                 {"queries", loop_figures.queries}};
  for (const auto& [queue, size] : sizes) {
    queues.series.push_back({{{"queue", queue}}, Number(size), {}});
  }
  AddCounter(to, "cube_manager_inbox_dropped_total", "Core messages dropped at a full inbox.",
             Number(figures.inbox_dropped));
  AddCounter(to, "cube_manager_reconnects_total", "Connections to NATS after the first.",
             connects_ > 0 ? Number(connects_ - 1) : 0);
  const Retention::Figures& kept = loop_figures.retention;
  AddCounter(to, "cube_manager_snapshots_total", "Snapshots of the view, written and read back.",
             Number(kept.snapshots));
  AddCounter(to, "cube_manager_trims_total", "Purges of streams of the log.", Number(kept.trims));
  AddGauge(to, "cube_manager_log_fullest_ratio",
           "How full the fullest of the log's streams was at the last look.",
           static_cast<double>(kept.fullest_percent) / 100);
  AddGauge(to, "cube_manager_store_bytes", "Size of the view's file.", Number(figures.store_bytes));
  AddView(to, loop);
  return to;
}

}  // namespace cube::manager
