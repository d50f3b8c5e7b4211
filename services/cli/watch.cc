#include "services/cli/watch.h"

#include <fmt/format.h>

#include <algorithm>

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

}  // namespace

bool Reached(Goal goal, const v1::TaskView& task) {
  if (IsFinished(task.status())) return true;
  if (goal == Goal::kEnded) return false;
  return task.status() == "running" && (task.healthy() || !task.spec().has_health());
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
    Show(id, task->status(), task->node(), task->reason(), task->attempt(), task->launch());
    if (Reached(goal_, *task)) waiting_.erase(id);
    tasks_[id] = std::move(*task);
  }
  return {};
}

void TaskWatch::OnFeed(const bus::Message& message) {
  const auto event = ParseFeedEvent(message.payload);
  if (!event || !waiting_.contains(event->task)) return;
  Show(event->task, event->status, event->node, event->reason, event->attempt, event->launch);
  dirty_.insert(event->task);
}

void TaskWatch::Show(const std::string& id, const std::string& status, const std::string& node,
                     const std::string& reason, std::uint32_t attempt, std::uint32_t launch) {
  if (quiet_) return;
  std::string text = fmt::format("{}: {}", id, status);
  if (!node.empty()) text += " on " + node;
  if (attempt > 1) text += fmt::format(", attempt {}", attempt);
  if (launch > 0) text += fmt::format(", restart {}", launch);
  if (!reason.empty()) text += ": " + reason;
  if (shown_[id] == text) return;
  shown_[id] = text;
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
