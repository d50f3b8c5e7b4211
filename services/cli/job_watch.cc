#include "services/cli/job_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/cli/job_views.h"
#include "services/cli/render/values.h"

namespace cube::cli {
namespace {

// How often a manager is asked; the feed makes it sooner.
constexpr Duration kLookInterval = std::chrono::milliseconds(500);
// With a feed that never rests, not more often than this.
constexpr Duration kLookIntervalMin = std::chrono::milliseconds(50);
// The line of progress moves.
constexpr Duration kFrame = std::chrono::milliseconds(120);

}  // namespace

bool Reached(Goal goal, const v1::JobView& job) {
  if (JobHasEnded(job)) return true;
  if (goal == Goal::kEnded) return false;
  if (job.status() == "updating" || job.status() == "stopping") return false;
  if (job.update_failed() && goal != Goal::kScaled) return true;
  if (job.unfinished() > job.replicas()) return false;  // some have to end
  const std::uint32_t done = job.type() == v1::JOB_TYPE_BATCH ? job.completed() : 0;
  return job.up() + done + job.failed() >= job.replicas();
}

bool IsGood(Goal goal, const v1::JobView& job) {
  if (job.status() == "failed") return false;
  if (job.update_failed() && goal != Goal::kScaled) return false;
  if (goal == Goal::kEnded) return true;
  const std::uint32_t done = job.type() == v1::JOB_TYPE_BATCH ? job.completed() : 0;
  return job.status() == "completed" || job.up() + done >= job.replicas();
}

JobWatch::JobWatch(Client& client, Progress& progress, Goal goal, std::string name)
    : client_(client),
      progress_(progress),
      goal_(goal),
      name_(std::move(name)),
      feed_(client.Listen(client.subjects().EventsOfName(name_))) {}

JobWatch::~JobWatch() { client_.StopListening(feed_); }

Result<bool> JobWatch::Wait(MonoTime deadline, std::uint64_t min_intent) {
  const MonoTime started = client_.Mono();
  MonoTime looked = started - kLookInterval;
  bool dirty = true;
  for (;;) {
    const MonoTime now = client_.Mono();
    if (now >= looked + (dirty ? kLookIntervalMin : kLookInterval)) {
      CUBE_TRY_VOID(Look(min_intent));
      looked = client_.Mono();
      dirty = false;
      if (job_ && Reached(goal_, *job_)) break;
    }
    if (client_.Mono() >= deadline) return false;
    if (job_) {
      progress_.Waiting(fmt::format("{}: {} up, {} ({})", name_, ReadyText(*job_),
                                    JobSentence(*job_), FormatSpan(client_.Mono() - started)));
    }
    CUBE_TRY(const auto message, client_.Next(std::min(deadline, client_.In(kFrame))));
    if (!message || message->subscription != feed_) continue;
    OnFeed(*message);
    dirty = true;
  }
  progress_.Clear();
  return true;
}

Result<void> JobWatch::Look(std::uint64_t min_intent) {
  auto job = client_.Job(name_, min_intent);
  if (!job) {
    const Code code = job.error().code;
    if (code != Code::kUnavailable && code != Code::kTimedOut) {
      return std::unexpected(job.error());
    }
    if (!manager_missed_) progress_.Step("no manager answers; waiting for one");
    manager_missed_ = true;
    return {};
  }
  manager_missed_ = false;
  std::string now = goal_ == Goal::kEnded ? fmt::format("{}: {} left", name_, job->unfinished())
                                          : fmt::format("{}: {} up", name_, ReadyText(*job));
  if (job->status() == "updating") {
    now += fmt::format(", {}/{} replaced", job->updated(), job->replicas());
  }
  if (now != shown_) progress_.Step(now);
  shown_ = std::move(now);
  job_ = std::move(*job);
  return {};
}

// What goes wrong on the way is worth a line.
void JobWatch::OnFeed(const bus::Message& message) {
  const auto event = ParseFeedEvent(message.payload);
  if (!event) return;
  if (event->status != "failed" && event->status != "restarting" && event->status != "lost") return;
  progress_.Step(fmt::format("{}: {} on {}{}{}", event->task, event->status, event->node,
                             event->reason.empty() ? "" : ": ", event->reason));
}

}  // namespace cube::cli
