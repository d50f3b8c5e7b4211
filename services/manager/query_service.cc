#include "services/manager/query_service.h"

#include <cube/v1/queries.pb.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <utility>

#include "services/manager/job_queries.h"
#include "services/manager/task_page.h"
#include "shared/base/version.h"
#include "shared/cluster/status.h"
#include "shared/wire/convert.h"

namespace cube::manager {
namespace {

using wire::ToProto;

constexpr std::size_t kCandidatesMax = 20;

// Takes from what is left of a step's work; never below 0.
void Spend(std::size_t& work, std::size_t cost) { work -= std::min(work, cost); }

// Why pending tasks wait, asked once for each shape: the answer is a look at every node. Only a
// task that has moved too often has a reason of its own, which costs nothing.
class Reasons {
 public:
  Reasons(const View& view, Planner& planner, std::size_t& work)
      : view_(view), planner_(planner), work_(work) {}

  // Empty if it is not pending.
  std::string Why(const Task& task) {
    if (StatusOf(task) != Status::kPending) return "";
    if (MovesAt(task) > view_.decided_at) return planner_.WhyPending(view_, task);
    const auto [it, is_new] = known_.try_emplace(ShapeOf(*task.spec));
    if (is_new) {
      it->second = planner_.WhyPending(view_, task);
      Spend(work_, view_.nodes.size());
    }
    return it->second;
  }

 private:
  const View& view_;
  Planner& planner_;
  std::size_t& work_;
  std::map<std::string, std::string> known_;
};

std::string_view NodeStatus(const Node& node) {
  if (node.incarnation == 0) return "joining";
  if (node.down) return "down";
  if (node.left || node.leaving) return "leaving";
  if (!node.reported) return "joining";
  if (node.drain) return node.attempts.empty() ? "drained" : "draining";
  return "ready";
}

// Why a welcome node takes no work yet. One whose engines are all silent cannot know what they run.
std::string WhyJoining(const NodeDescription& description) {
  std::string silent;
  for (const EngineDescription& engine : description.engines) {
    if (engine.up) return "has not reported yet what runs there";
    silent += (silent.empty() ? "" : ", ") + engine.kind;
  }
  return "cannot say yet what runs there: no answer from engine " + silent;
}

void FillNode(const View& view, const Node& node, v1::NodeView& out) {
  out.set_name(node.name.str());
  out.set_status(std::string(NodeStatus(node)));
  out.set_eligible(IsEligible(node));
  out.set_cordoned(node.cordoned);
  out.set_drain_deadline_ns(ToNanos(DrainDeadline(node)));
  if (const auto moving = view.moving.find(node.name); moving != view.moving.end()) {
    out.set_tasks_moving(static_cast<std::uint32_t>(moving->second.size()));
  }
  ToProto(node.incarnation == 0 ? node.joining : node.description, *out.mutable_description());
  ToProto(node.allocated, *out.mutable_allocated());
  out.set_tasks(static_cast<std::uint32_t>(node.attempts.size()));
  out.set_incarnation(node.incarnation);
  out.set_joined_at_ns(ToNanos(node.joined_at));
  if (node.load != NodeLoad{}) ToProto(node.load, *out.mutable_load());
  if (node.down) {
    out.set_reason(node.down_reason);
  } else if (node.incarnation == 0) {
    out.set_reason("waiting for the leader's welcome");
  } else if (!node.reported) {
    out.set_reason(WhyJoining(node.description));
  } else if (node.left) {
    out.set_reason("its worker has ended");
  } else if (node.leaving) {
    out.set_reason("its worker ends and hands its tasks over");
  }
}

void Fail(Code code, std::string message, std::string field, v1::QueryReply& reply) {
  ToProto(Error{code, std::move(message), std::move(field)}, *reply.mutable_failure());
}

// A page token is the number behind which the next page begins.
std::string PageAfter(TaskNumber number) {
  return std::to_string(number.intent) + "." + std::to_string(number.index);
}

bool ParsePage(std::string_view text, TaskNumber& out) {
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos) return false;
  const char* end = text.data() + text.size();
  const auto [intent_end, intent_bad] = std::from_chars(text.data(), text.data() + dot, out.intent);
  const auto [index_end, index_bad] = std::from_chars(text.data() + dot + 1, end, out.index);
  return intent_bad == std::errc() && index_bad == std::errc() && intent_end == text.data() + dot &&
         index_end == end;
}

bool Wanted(const Task& task, const v1::QueryRequest& request) {
  if (!request.include_finished() && IsFinished(task)) return false;
  if (!request.job().empty() && (task.job == nullptr || task.job->name.str() != request.job())) {
    return false;
  }
  if (!request.node().empty() &&
      (task.node.str() != request.node() || StatusOf(task) == Status::kPending)) {
    return false;
  }
  if (!request.match().empty() && task.spec->name.str() != request.match() &&
      !TaskIdText(task).view().starts_with(request.match())) {
    return false;
  }
  if (request.statuses_size() > 0 &&
      std::find(request.statuses().begin(), request.statuses().end(), StatusName(StatusOf(task))) ==
          request.statuses().end()) {
    return false;
  }
  for (const auto& [key, value] : request.labels()) {
    const auto it = task.spec->labels.find(key);
    if (it == task.spec->labels.end() || it->second != value) return false;
  }
  return true;
}

void AnswerTasks(const View& view, Planner& planner, const v1::QueryRequest& request,
                 std::size_t& work, TaskPage& page, v1::QueryReply& reply) {
  auto it = view.tasks.begin();
  if (!request.page().empty()) {
    TaskNumber after;
    if (!ParsePage(request.page(), after)) {
      Fail(Code::kInvalid, "is not a page that a reply named", "page", reply);
      return;
    }
    it = view.tasks.Behind(after);
  }
  const std::size_t count_max =
      request.page_size() == 0 ? std::numeric_limits<std::size_t>::max() : request.page_size();
  std::size_t left = kQueryWorkMax;  // a page of its own, however little is left of the step
  Reasons reasons(view, planner, left);
  TaskNumber last;
  for (; it != view.tasks.end(); ++it) {
    bool full = left == 0;
    if (!full && Wanted(*it, request)) {
      full =
          page.count() >= count_max || !page.Add(view, *it, reasons.Why(*it), kQueryPageBytesMax);
      Spend(left, kQueryWorkPerItem);
    }
    if (full) {
      reply.set_next_page(PageAfter(last));
      break;
    }
    Spend(left, 1);
    last = it->number;
  }
  Spend(work, kQueryWorkMax - left);
}

void AnswerNodes(const View& view, const v1::QueryRequest& request, std::size_t& work,
                 v1::QueryReply& reply) {
  std::size_t bytes = 0;
  for (auto it = view.nodes.upper_bound(NodeName::Trusted(request.page())); it != view.nodes.end();
       ++it) {
    v1::NodeView node;
    FillNode(view, it->second, node);
    const std::size_t size = node.ByteSizeLong() + 8;
    if (reply.nodes_size() > 0 && bytes + size > kQueryPageBytesMax) {
      reply.set_next_page(reply.nodes(reply.nodes_size() - 1).name());
      return;
    }
    bytes += size;
    Spend(work, kQueryWorkPerItem);
    *reply.add_nodes() = std::move(node);
  }
}

}  // namespace

// What one question adds to its reply.
class Question::Reply {
 public:
  Reply(Question& question, const View& view, Planner& planner, const v1::QueryRequest& request,
        std::size_t& work, TaskPage& tasks, v1::QueryReply& reply)
      : question_(question),
        view_(view),
        planner_(planner),
        request_(request),
        work_(work),
        tasks_(tasks),
        reply_(reply) {}

  // -> whether the reply is whole.
  bool Fill() {
    const std::string& what = question_.what_;
    if (request_.min_intent() > view_.intents.seq) {
      Fail(Code::kTimedOut,
           "this manager has not seen intent " + std::to_string(request_.min_intent()) +
               " yet; ask again",
           "min_intent", reply_);
    } else if (what == "tasks") {
      AnswerTasks(view_, planner_, request_, work_, tasks_, reply_);
    } else if (what == "task") {
      return Task();
    } else if (what == "jobs") {
      AnswerJobs(view_, request_, reply_);
      Spend(work_, view_.jobs.size());
    } else if (what == "nodes") {
      AnswerNodes(view_, request_, work_, reply_);
    } else if (what == "cluster") {
      return Cluster();
    } else {
      Fail(Code::kNotFound,
           "there is no question '" + what + "'; ask tasks, task, jobs, nodes or cluster", "",
           reply_);
    }
    return true;
  }

 private:
  // Shows each task that has not been seen yet. -> whether all have been.
  template <class See>
  bool WalkAll(const See& see) {
    auto it =
        question_.walked_to_ ? view_.tasks.Behind(*question_.walked_to_) : view_.tasks.begin();
    for (; it != view_.tasks.end(); ++it) {
      if (work_ == 0) return false;
      Spend(work_, 1);
      see(*it);
      question_.walked_to_ = it->number;
    }
    return true;
  }

  void Show(const cube::Task& task) {
    Reasons reasons(view_, planner_, work_);
    tasks_.Add(view_, task, reasons.Why(task), kQueryPageBytesMax);
  }

  // An exact id wins; then a name that only one task has; then a unique prefix of an id.
  bool Task() {
    const std::string& match = request_.match();
    if (match.empty()) {
      Fail(Code::kInvalid, "is required", "match", reply_);
      return true;
    }
    if (const cube::Task* exact = view_.Find(TaskId::Trusted(match))) {
      Show(*exact);
      return true;
    }
    const bool whole = WalkAll([&](const cube::Task& task) {
      if (TaskIdText(task).view().starts_with(match) && question_.prefixes_++ < kCandidatesMax) {
        question_.by_prefix_.push_back(task.number);
      }
      if (task.spec->name.str() == match && question_.names_++ < kCandidatesMax) {
        question_.by_name_.push_back(task.number);
      }
    });
    if (!whole) return false;
    if (question_.names_ == 1 || question_.prefixes_ == 0) {
      Found(question_.by_name_, question_.names_);
    } else {
      Found(question_.by_prefix_, question_.prefixes_);
    }
    return true;
  }

  void Found(const std::vector<TaskNumber>& numbers, std::size_t count) {
    const std::string& match = request_.match();
    if (count > 1) {
      for (const TaskNumber& number : numbers) {
        const cube::Task* task = view_.tasks.Find(number);
        if (task != nullptr) reply_.add_candidates(IdOf(*task).str());
      }
      Fail(Code::kConflict, "'" + match + "' could mean " + std::to_string(count) + " tasks", "",
           reply_);
      return;
    }
    // It may have been forgotten since the walk met it.
    const cube::Task* task = count == 1 ? view_.tasks.Find(numbers.front()) : nullptr;
    if (task == nullptr) {
      Fail(Code::kNotFound, "there is no task '" + match + "'", "", reply_);
    } else {
      Show(*task);
    }
  }

  bool Cluster() {
    const bool whole = WalkAll([&](const cube::Task& task) {
      const auto status = static_cast<std::size_t>(StatusOf(task));
      if (question_.counts_.size() <= status) question_.counts_.resize(status + 1);
      ++question_.counts_[status];
    });
    if (!whole) return false;
    v1::ClusterView& cluster = *reply_.mutable_cluster();
    if (view_.term_start) {
      cluster.set_cluster(view_.term_start->cluster);
      cluster.set_leader(view_.term_start->manager);
    }
    ToProto(view_.term, *cluster.mutable_term());
    for (std::size_t i = 0; i < question_.counts_.size(); ++i) {
      const std::uint32_t count = question_.counts_[i];
      if (count == 0) continue;
      (*cluster.mutable_tasks())[std::string(StatusName(static_cast<Status>(i)))] = count;
    }
    for (const auto& [name, job] : view_.jobs) {
      if (IsLive(job)) ++(*cluster.mutable_jobs())[std::string(JobStatusOf(job))];
    }
    Resources capacity;
    Resources allocated;
    for (const auto& [name, node] : view_.nodes) {
      ++(*cluster.mutable_nodes())[std::string(NodeStatus(node))];
      if (!node.down) capacity += node.description.capacity;
      allocated += node.allocated;
    }
    Spend(work_, view_.nodes.size());
    ToProto(capacity, *cluster.mutable_capacity());
    ToProto(allocated, *cluster.mutable_allocated());
    cluster.set_version(std::string(kVersion));
    cluster.set_foreign_messages(view_.foreign_messages);
    return true;
  }

  Question& question_;
  const View& view_;
  Planner& planner_;
  const v1::QueryRequest& request_;
  std::size_t& work_;
  TaskPage& tasks_;
  v1::QueryReply& reply_;
};

Question::Question(std::string what, std::string request)
    : what_(std::move(what)), request_(std::move(request)) {
  v1::QueryRequest parsed;
  if (parsed.ParseFromString(request_)) min_intent_ = parsed.min_intent();
}

std::optional<std::string> Question::Answer(const View& view, Planner& planner,
                                            const Answerer& answerer, std::size_t& work) {
  v1::QueryReply reply;
  reply.set_manager(answerer.manager);
  reply.set_leading(answerer.leading);
  reply.set_decision_seq(view.valid_seq);
  reply.set_intent_seq(view.intents.seq);
  reply.set_behind(answerer.behind);
  TaskPage tasks;
  v1::QueryRequest parsed;
  if (!parsed.ParseFromString(request_)) {
    Fail(Code::kInvalid, "the request is not a cube.v1.QueryRequest", "", reply);
  } else if (answerer.incomplete) {
    Fail(Code::kUnavailable,
         "manager " + answerer.manager + " is still reading the log, at decision " +
             std::to_string(view.decision_seq) + " of " +
             std::to_string(view.decision_seq + answerer.behind) + "; ask again",
         "", reply);
  } else if (!Reply(*this, view, planner, parsed, work, tasks, reply).Fill()) {
    return std::nullopt;
  }
  Spend(work, kQueryWorkPerItem);
  std::string bytes = reply.SerializeAsString();
  bytes += tasks.bytes();
  return bytes;
}

}  // namespace cube::manager
