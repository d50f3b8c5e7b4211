#include "services/cli/watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "services/cli/render/values.h"
#include "services/cli/views.h"

namespace cube::cli {
namespace {

// Up to so many tasks are listened to one by one; for more, the whole feed is taken.
constexpr std::size_t kListenersMax = 16;
// The feed may be lost, so everything is asked for again at this interval; with many tasks less
// often, since each is a question.
constexpr Duration kRefreshInterval = std::chrono::seconds(1);
constexpr Duration kRefreshIntervalMany = std::chrono::seconds(5);
// The line of progress moves.
constexpr Duration kFrame = std::chrono::milliseconds(120);

// How far an attempt has come. Waiting for another placement is after all else of an attempt.
int Rank(const Step& step) {
  static const std::map<std::string, int, std::less<>> kRanks = {
      {"scheduled", 1}, {"pulling", 2},    {"starting", 3}, {"running", 4},
      {"unhealthy", 4}, {"restarting", 5}, {"stopping", 6}, {"completed", 7},
      {"failed", 7},    {"stopped", 7},    {"refused", 7},  {"lost", 7}};
  if (step.status == "pending") return step.attempt == 0 ? 0 : 8;
  const auto known = kRanks.find(step.status);
  return known == kRanks.end() ? 4 : known->second;
}

}  // namespace

bool IsNews(const Step& last, const Step& next) {
  const auto was = std::tuple(last.attempt, last.launch, Rank(last));
  const auto is = std::tuple(next.attempt, next.launch, Rank(next));
  if (is != was) return is > was;
  if (last.status != next.status) return true;
  return last.reason != next.reason && !next.reason.empty();
}

bool Reached(Goal goal, const v1::TaskView& task) {
  if (IsFinished(task.status())) return true;
  if (goal == Goal::kEnded) return false;
  return task.status() == "running" && (task.healthy() || !task.spec().has_health());
}

std::string_view MissedGoal(const v1::TaskView& task) {
  return task.status() == "running" || task.status() == "unhealthy" ? "healthy" : "running";
}

TaskWatch::TaskWatch(Client& client, Progress& progress, Goal goal, std::vector<std::string> ids)
    : client_(client),
      progress_(progress),
      goal_(goal),
      count_(ids.size()),
      waiting_(ids.begin(), ids.end()) {
  const auto& subjects = client_.subjects();
  if (ids.size() > kListenersMax) {
    listeners_.push_back(client_.Listen(subjects.EventsAll()));
  } else {
    for (const auto& id : ids) listeners_.push_back(client_.Listen(subjects.EventsOfTask(id)));
  }
}

TaskWatch::~TaskWatch() {
  for (const auto id : listeners_) client_.StopListening(id);
}

Result<bool> TaskWatch::Wait(MonoTime deadline, std::uint64_t min_intent) {
  const MonoTime started = client_.Mono();
  const Duration interval =
      waiting_.size() > kListenersMax ? kRefreshIntervalMany : kRefreshInterval;
  MonoTime refresh_at = started;
  while (!waiting_.empty()) {
    if (client_.Mono() >= refresh_at) {
      dirty_ = waiting_;
      refresh_at = client_.In(interval);
    }
    CUBE_TRY_VOID(Refresh(min_intent));
    if (waiting_.empty()) break;
    const MonoTime now = client_.Mono();
    if (now >= deadline) return false;
    ShowWaiting(started);
    CUBE_TRY(const auto message, client_.Next(std::min({deadline, refresh_at, now + kFrame})));
    if (message && std::ranges::find(listeners_, message->subscription) != listeners_.end()) {
      OnFeed(*message);
    }
  }
  progress_.Clear();
  return true;
}

Result<void> TaskWatch::Refresh(std::uint64_t min_intent) {
  const std::set<std::string> asked = std::move(dirty_);
  dirty_.clear();
  for (const auto& id : asked) {
    if (!waiting_.contains(id)) continue;
    auto task = client_.Task(id, min_intent);
    if (!task) {
      const Code code = task.error().code;
      if (code == Code::kUnavailable || code == Code::kTimedOut) {
        if (!manager_missed_) progress_.Step("no manager answers; waiting for one");
        manager_missed_ = true;
        return {};
      }
      return std::unexpected(task.error());
    }
    manager_missed_ = false;
    // The step behind running, where a check exists.
    const bool checked = task->status() == "running" && task->spec().has_health();
    Show(id,
         {task->attempt(), task->launch(), checked && task->healthy() ? "healthy" : task->status(),
          task->node(), task->reason()});
    if (Reached(goal_, *task)) waiting_.erase(id);
    tasks_[id] = std::move(*task);
  }
  return {};
}

void TaskWatch::OnFeed(const bus::Message& message) {
  const auto event = ParseFeedEvent(message.payload);
  if (!event || !waiting_.contains(event->task)) return;
  Show(event->task, {event->attempt, event->launch, event->status, event->node, event->reason});
  dirty_.insert(event->task);
}

void TaskWatch::Show(const std::string& id, const Step& step) {
  const auto last = shown_.find(id);
  if (quiet_ || (last != shown_.end() && !IsNews(last->second, step))) return;
  shown_[id] = step;
  // Who waits for a task to come up says itself what kept it from that.
  if (goal_ == Goal::kUp && IsFinished(step.status) && step.status != "completed") return;
  std::string text = fmt::format("{}: {}", id, step.status);
  // A place that it has lost is not where it waits.
  if (!step.node.empty() && step.status != "pending") text += " on " + step.node;
  if (step.attempt > 1) text += fmt::format(", attempt {}", step.attempt);
  if (step.launch > 0) text += fmt::format(", restart {}", step.launch);
  if (!step.reason.empty()) text += ": " + step.reason;
  progress_.Step(text);
}

void TaskWatch::ShowWaiting(MonoTime started) {
  if (quiet_) return;
  const std::string& first = *waiting_.begin();
  const auto known = tasks_.find(first);
  const std::string state = known == tasks_.end() ? "waiting" : StatusSentence(known->second);
  const std::string elapsed = FormatSpan(client_.Mono() - started);
  if (count_ == 1) {
    progress_.Waiting(fmt::format("{}: {} ({})", first, state, elapsed));
    return;
  }
  progress_.Waiting(fmt::format("{}/{} {}, {}: {} ({})", count_ - waiting_.size(), count_,
                                goal_ == Goal::kUp ? "up" : "ended", first, state, elapsed));
}

}  // namespace cube::cli
