#include "services/manager/core/jobs.h"

#include <algorithm>

#include "services/manager/core/filters.h"
#include "shared/cluster/fold.h"
#include "shared/cluster/job.h"
#include "shared/cluster/status.h"
#include "shared/domain/text.h"

namespace cube::manager {
namespace {

// A bound above an item's encoded size without its names and sentences.
constexpr std::size_t kItemBytes = 128;

// Of a sentence that a message carries; the leader folds what the log will hold.
constexpr std::size_t kFailureLengthMax = 1024;

// What is decided in one cycle about one job after the other.
class Decider {
 public:
  explicit Decider(const Jobs::Cycle& cycle) : cycle_(cycle), view_(cycle.view) {}

  // Everything was looked at; false: the rest follows in the next cycle.
  [[nodiscard]] bool complete() const { return !full_ && budget_ > 0; }

  void Decide(const Job& job) {
    const std::uint32_t wanted = SlotsWanted(job);
    if (job.filled > wanted) Shrink(job, wanted);
    if (job.stop_wanted) {
      if (job.filled == 0 && CountsOf(job).unfinished == 0) {
        Add(EndJob{job.name, JobEnd::kStopped, ""}, kItemBytes);
      }
      return;
    }
    if (job.filled < wanted) Grow(job, wanted);
    if (IsUpdating(job)) {
      Update(job, std::min(job.filled, wanted));
    } else if (!job.open.empty()) {
      Refill(job);
    } else if (job.type == JobType::kBatch && job.filled == wanted) {
      EndBatch(job);
    }
  }

  // Nodes that have no task of a system job, and should.
  void DecideNodes(const Job& job) {
    // The view does not say yet that an update has failed: the next cycle knows what nodes get.
    if (job.stop_wanted || failed_.contains(job.name)) return;
    std::map<NodeName, std::uint32_t> slots;
    for (std::uint32_t slot = 0; slot < job.nodes.size(); ++slot) slots[job.nodes[slot]] = slot;
    std::uint32_t next = job.filled;
    std::map<std::uint32_t, Filters> filters;  // by version
    for (const auto& [name, node] : view_.nodes) {
      if (cycle_.silent.contains(name)) continue;
      const auto slot = slots.find(name);
      const bool is_new = slot == slots.end();
      if (!is_new && !IsDue(job, slot->second)) continue;
      const std::uint32_t version = is_new            ? VersionOfNewSlots(job)
                                    : IsUpdating(job) ? job.version
                                                      : VersionOfSlot(job, slot->second);
      const Filters& fits =
          filters.try_emplace(version, *job.versions.at(version).spec).first->second;
      if (fits.RuledOut(node) != kFits) continue;
      if (!Fill(job, version, is_new ? next++ : slot->second, 1, name)) return;
    }
  }

 private:
  bool Add(DecisionItem item, std::size_t size) {
    full_ = full_ || !cycle_.add(std::move(item), size);
    return !full_;
  }

  bool Fill(const Job& job, std::uint32_t version, std::uint32_t first, std::uint32_t count,
            const NodeName& node = {}, bool vacant = false) {
    if (budget_ == 0 || (!vacant && room_ < count)) return false;
    budget_ -= std::min(budget_, count);
    if (!vacant) room_ -= count;
    return Add(FillSlots{job.name, version, first, count, node, vacant},
               kItemBytes + node.str().size());
  }

  bool Empty(const Job& job, std::uint32_t version, std::uint32_t first, std::uint32_t count,
             bool release) {
    if (budget_ == 0) return false;
    budget_ -= std::min(budget_, count);
    for (std::uint32_t i = 0; i < count; ++i) {
      cycle_.emptied.insert({job.versions.at(version).intent, first + i});
    }
    return Add(EmptySlots{job.name, version, first, count,
                          release ? job.stop_grace : std::optional<Duration>(), release},
               kItemBytes);
  }

  // Gives up the last slots.
  void Shrink(const Job& job, std::uint32_t wanted) {
    std::uint32_t end = job.filled;
    while (end > wanted && budget_ > 0) {
      const std::uint32_t version = VersionOfSlot(job, end - 1);
      std::uint32_t first = end - 1;
      while (first > wanted && end - first < budget_ && VersionOfSlot(job, first - 1) == version) {
        --first;
      }
      if (!Empty(job, version, first, end - first, true)) return;
      end = first;
    }
  }

  // What there was in the slot before, of whatever version, must have ended.
  [[nodiscard]] bool MayFill(const Job& job, std::uint32_t slot) const {
    return std::all_of(job.versions.begin(), job.versions.end(), [&](const auto& version) {
      const Task* task = FindSlotTask(view_, job, version.first, slot);
      return task == nullptr || IsFinished(*task);
    });
  }

  void Grow(const Job& job, std::uint32_t wanted) {
    const std::uint32_t version = VersionOfNewSlots(job);
    const std::size_t room = std::min<std::size_t>(budget_, room_);
    const auto most = static_cast<std::uint32_t>(std::min<std::size_t>(wanted - job.filled, room));
    std::uint32_t count = 0;
    while (count < most && MayFill(job, job.filled + count)) ++count;
    if (count > 0) Fill(job, version, job.filled, count);
  }

  // The next slots of an older version pass to the wanted one, at most `parallel` at a time.
  void Update(const Job& job, std::uint32_t slots) {
    const JobVersion& wanted = job.versions.at(job.version);
    if (wanted.counts.failed > 0 || wanted.counts.crashing > 0) {
      return Fail(job, WhyFailed(job, wanted));
    }
    std::uint32_t slot = NextOldSlot(job, 0);
    if (slot >= slots) {
      if (wanted.counts.rising == 0 && job.filled == SlotsWanted(job)) {
        Add(EndUpdate{job.name, job.version, ""}, kItemBytes);
      } else if (TooLong(job)) {
        Fail(job, WhyNotUp(job, wanted));
      }
      return;
    }
    auto down = wanted.counts.rising + static_cast<std::uint32_t>(job.open.size());
    if (down > 0 && TooLong(job)) return Fail(job, WhyNotUp(job, wanted));
    // First those that an update, perhaps an earlier one, has taken down already.
    for (const std::uint32_t open : job.open) {
      if (open >= slots) break;
      std::uint32_t counted = 0;
      if (!Replace(job, open, counted)) return;
    }
    for (; slot < slots && down < job.update.parallel; slot = NextOldSlot(job, slot + 1)) {
      if (std::binary_search(job.open.begin(), job.open.end(), slot)) continue;
      if (!Replace(job, slot, down)) return;
    }
  }

  // `down` grows if the slot is not up afterwards.
  bool Replace(const Job& job, std::uint32_t slot, std::uint32_t& down) {
    const std::uint32_t version = VersionOfSlot(job, slot);
    const Task* old = FindSlotTask(view_, job, version, slot);
    if (old != nullptr && !IsFinished(*old)) {
      ++down;
      // Nothing is taken down for which there is no room afterwards.
      return old->stop_wanted || (room_ > 0 && Empty(job, version, slot, 1, false));
    }
    if (!MayFill(job, slot)) {
      ++down;
      return true;
    }
    if (job.type != JobType::kSystem) {
      ++down;
      return Fill(job, job.version, slot, 1);
    }
    const auto node = view_.nodes.find(job.nodes[slot]);
    const bool vacant = node == view_.nodes.end() || cycle_.silent.contains(node->first) ||
                        Filters(*job.versions.at(job.version).spec).RuledOut(node->second) != kFits;
    if (!vacant) ++down;
    return Fill(job, job.version, slot, 1, job.nodes[slot], vacant);
  }

  // What a failed update had stopped starts again as it was.
  void Refill(const Job& job) {
    for (const std::uint32_t slot : job.open) {
      const std::uint32_t version = VersionOfSlot(job, slot);
      if (!MayFill(job, slot)) continue;
      const NodeName node = job.type == JobType::kSystem ? job.nodes[slot] : NodeName();
      if (!Fill(job, version, slot, 1, node)) return;
    }
  }

  [[nodiscard]] bool TooLong(const Job& job) const {
    // What a term before has decided may have been carried on by nobody until now.
    const WallTime since = std::max(job.progress_at, view_.term_began);
    return IsSet(job.progress_at) && cycle_.now - since > job.update.timeout;
  }

  void Fail(const Job& job, std::string why) {
    why = CleanText(why, kFailureLengthMax);
    failed_.insert(job.name);
    const std::size_t size = kItemBytes + why.size();
    Add(EndUpdate{job.name, job.version, std::move(why)}, size);
  }

  template <class Fits>
  [[nodiscard]] const Task* FirstTask(const JobVersion& version, const Fits& fits) const {
    for (auto it = view_.tasks.From({version.intent, 0});
         it != view_.tasks.end() && it->number.intent == version.intent; ++it) {
      if (!it->stop_wanted && fits(*it)) return &*it;
    }
    return nullptr;
  }

  [[nodiscard]] std::string WhyFailed(const Job&, const JobVersion& version) const {
    const Task* task = FirstTask(version, [](const Task& t) {
      const Status status = StatusOf(t);
      return status == Status::kFailed || IsCrashing(t);
    });
    if (task == nullptr) return "a task failed";
    return IdOf(*task).str() + (IsFinished(*task) ? " failed: " : " does not come up: ") +
           ReasonOf(*task);
  }

  [[nodiscard]] std::string WhyNotUp(const Job& job, const JobVersion& version) const {
    const Task* task =
        FirstTask(version, [](const Task& t) { return !IsFinished(t) && !IsHealthy(t); });
    const std::string time = " after " + FormatDuration(job.update.timeout);
    if (task == nullptr) return "the next task has not ended" + time;
    const std::string reason = ReasonOf(*task);
    const Status status = StatusOf(*task);
    const std::string is = status == Status::kRunning  // it has a check, or it would be healthy
                               ? " runs and is not healthy"
                               : " is " + std::string(StatusName(status));
    return IdOf(*task).str() + is + time + (reason.empty() ? "" : ": " + reason);
  }

  // All tasks of a batch job have ended.
  void EndBatch(const Job& job) {
    if (CountsOf(job).unfinished > 0) return;
    std::uint32_t bad = 0;
    for (const auto& [number, version] : job.versions) {
      if (!IsCurrent(job, number)) continue;
      bad += version.counts.failed + version.counts.lost + version.forgotten_bad;
    }
    EndJob end{job.name, bad == 0 ? JobEnd::kCompleted : JobEnd::kFailed, ""};
    if (bad > 0) {
      end.reason =
          std::to_string(bad) + " of " + std::to_string(job.filled) + " tasks did not complete";
    }
    const std::size_t size = kItemBytes + end.reason.size();
    Add(std::move(end), size);
  }

  // The task of a system job's slot is missing, or ended only since its node was away.
  [[nodiscard]] bool IsDue(const Job& job, std::uint32_t slot) const {
    const std::uint32_t version = VersionOfSlot(job, slot);
    const Task* task = FindSlotTask(view_, job, version, slot);
    if (task == nullptr) return true;
    if (!IsFinished(*task)) return false;
    if (task->stop_wanted) return false;  // it is about to be replaced
    return StatusOf(*task) == Status::kLost || IsEvicted(*task);
  }

  const Jobs::Cycle& cycle_;
  const View& view_;
  std::set<TaskName> failed_;  // whose update this cycle ends
  std::uint32_t budget_ = kSlotsPerCycle;
  // Records that the cluster may have more. A slot whose task is there already is counted too.
  std::size_t room_ = kTasksMax - std::min(kTasksMax, view_.tasks.size());
  bool full_ = false;
};

}  // namespace

void Jobs::Decide(const Cycle& cycle) {
  Decider decider(cycle);
  for (const TaskName& name : cycle.view.jobs_due) decider.Decide(cycle.view.jobs.at(name));
  if (system_seen_ == cycle.view.system_version) return;
  for (const TaskName& name : cycle.view.system_jobs) decider.DecideNodes(cycle.view.jobs.at(name));
  // A silent node may be heard again without a change of the view.
  if (decider.complete() && cycle.silent.empty()) system_seen_ = cycle.view.system_version;
}

}  // namespace cube::manager
