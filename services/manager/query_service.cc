#include "services/manager/query_service.h"

#include <cube/v1/queries.pb.h>

#include <algorithm>
#include <charconv>

#include "shared/base/version.h"
#include "shared/cluster/status.h"
#include "shared/wire/convert.h"

namespace cube::manager {
namespace {

using wire::FromProto;
using wire::ToProto;

constexpr std::size_t kCandidatesMax = 20;

void FillTask(const View& view, Planner& planner, const Task& task, v1::TaskView& out) {
  out.set_id(task.id.str());
  ToProto(*task.spec, *out.mutable_spec());
  const Status status = StatusOf(task);
  out.set_status(std::string(StatusName(status)));
  out.set_node(task.node.str());
  out.set_attempt(task.attempt);
  std::string reason = ReasonOf(task);
  if (status == Status::kPending) {
    const std::string waits = planner.WhyPending(view, task);
    reason = reason.empty() ? waits : waits + " (" + reason + ")";
  }
  out.set_reason(std::move(reason));
  out.set_created_at_ns(ToNanos(task.submitted_at));
  out.set_healthy(IsHealthy(task));
  out.mutable_number()->set_intent(task.number.intent);
  out.mutable_number()->set_index(task.number.index);
  if (const auto node = view.nodes.find(task.node); node != view.nodes.end()) {
    out.set_node_address(node->second.description.address);
  }
  if (!task.observed) {
    if (IsFinished(task)) out.set_finished_at_ns(ToNanos(task.ended_at));
    return;
  }
  const LaunchFact& fact = *task.observed;
  out.set_launch(fact.key.launch);
  if (fact.cause == ExitCause::kExited || fact.cause == ExitCause::kSignaled) {
    out.set_exit_code(fact.exit_code);
  }
  for (const BoundPort& port : fact.ports) ToProto(port, *out.add_ports());
  out.set_started_at_ns(ToNanos(fact.started_at));
  out.set_finished_at_ns(ToNanos(IsSet(fact.finished_at) ? fact.finished_at : task.ended_at));
  out.set_container_id(fact.container_id);
}

std::string_view NodeStatus(const Node& node) {
  if (node.incarnation == 0) return "joining";
  if (node.down) return "down";
  return node.reported ? "ready" : "joining";
}

void FillNode(const Node& node, v1::NodeView& out) {
  out.set_name(node.name.str());
  out.set_status(std::string(NodeStatus(node)));
  out.set_eligible(IsReady(node));
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
    out.set_reason("has not reported yet what runs there");
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
  if (!request.node().empty() && task.node.str() != request.node()) return false;
  if (!request.match().empty() && task.spec->name.str() != request.match() &&
      !task.id.str().starts_with(request.match())) {
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
                 v1::QueryReply& reply) {
  auto it = view.tasks.begin();
  if (!request.page().empty()) {
    TaskNumber after;
    if (!ParsePage(request.page(), after)) {
      Fail(Code::kInvalid, "is not a page that a reply named", "page", reply);
      return;
    }
    it = view.tasks.upper_bound(after);
  }
  std::size_t bytes = 0;
  for (; it != view.tasks.end(); ++it) {
    if (!Wanted(it->second, request)) continue;
    v1::TaskView task;
    FillTask(view, planner, it->second, task);
    const std::size_t size = task.ByteSizeLong() + 8;
    const bool full = request.page_size() != 0 &&
                      static_cast<std::uint32_t>(reply.tasks_size()) >= request.page_size();
    if (full || (reply.tasks_size() > 0 && bytes + size > kQueryPageBytesMax)) {
      const v1::TaskNumber& last = reply.tasks(reply.tasks_size() - 1).number();
      reply.set_next_page(PageAfter({last.intent(), last.index()}));
      return;
    }
    bytes += size;
    *reply.add_tasks() = std::move(task);
  }
}

// An exact id wins; then a unique prefix of an id; then a name that only one task has.
void AnswerTask(const View& view, Planner& planner, const v1::QueryRequest& request,
                v1::QueryReply& reply) {
  const std::string& match = request.match();
  if (match.empty()) {
    Fail(Code::kInvalid, "is required", "match", reply);
    return;
  }
  if (const Task* exact = view.Find(TaskId::Trusted(match))) {
    FillTask(view, planner, *exact, *reply.add_tasks());
    return;
  }
  std::vector<const Task*> by_prefix;
  std::vector<const Task*> by_name;
  for (const auto& [number, task] : view.tasks) {
    if (task.id.str().starts_with(match)) by_prefix.push_back(&task);
    if (task.spec->name.str() == match) by_name.push_back(&task);
  }
  const std::vector<const Task*>& found = by_name.size() == 1 ? by_name : by_prefix;
  if (found.size() == 1) {
    FillTask(view, planner, *found.front(), *reply.add_tasks());
    return;
  }
  if (found.empty()) {
    Fail(Code::kNotFound, "there is no task '" + match + "'", "", reply);
    return;
  }
  for (const Task* task : found) {
    if (static_cast<std::size_t>(reply.candidates_size()) == kCandidatesMax) break;
    reply.add_candidates(task->id.str());
  }
  Fail(Code::kConflict, "'" + match + "' could mean " + std::to_string(found.size()) + " tasks", "",
       reply);
}

void AnswerNodes(const View& view, const v1::QueryRequest& request, v1::QueryReply& reply) {
  std::size_t bytes = 0;
  for (auto it = view.nodes.upper_bound(NodeName::Trusted(request.page())); it != view.nodes.end();
       ++it) {
    v1::NodeView node;
    FillNode(it->second, node);
    const std::size_t size = node.ByteSizeLong() + 8;
    if (reply.nodes_size() > 0 && bytes + size > kQueryPageBytesMax) {
      reply.set_next_page(reply.nodes(reply.nodes_size() - 1).name());
      return;
    }
    bytes += size;
    *reply.add_nodes() = std::move(node);
  }
}

void AnswerCluster(const View& view, v1::QueryReply& reply) {
  v1::ClusterView& cluster = *reply.mutable_cluster();
  if (view.term_start) {
    cluster.set_cluster(view.term_start->cluster);
    cluster.set_leader(view.term_start->manager);
  }
  ToProto(view.term, *cluster.mutable_term());
  for (const auto& [number, task] : view.tasks) {
    ++(*cluster.mutable_tasks())[std::string(StatusName(StatusOf(task)))];
  }
  Resources capacity;
  Resources allocated;
  for (const auto& [name, node] : view.nodes) {
    ++(*cluster.mutable_nodes())[std::string(NodeStatus(node))];
    if (!node.down) capacity += node.description.capacity;
    allocated += node.allocated;
  }
  ToProto(capacity, *cluster.mutable_capacity());
  ToProto(allocated, *cluster.mutable_allocated());
  cluster.set_version(std::string(kVersion));
  cluster.set_foreign_messages(view.foreign_messages);
}

}  // namespace

std::uint64_t WantedIntent(std::string_view request) {
  v1::QueryRequest parsed;
  if (!parsed.ParseFromArray(request.data(), static_cast<int>(request.size()))) return 0;
  return parsed.min_intent();
}

std::string AnswerQuery(const View& view, Planner& planner, const Answerer& answerer,
                        std::string_view what, std::string_view request) {
  v1::QueryReply reply;
  reply.set_manager(answerer.manager);
  reply.set_leading(answerer.leading);
  reply.set_decision_seq(view.valid_seq);
  reply.set_intent_seq(view.intents.seq);
  v1::QueryRequest parsed;
  if (!parsed.ParseFromArray(request.data(), static_cast<int>(request.size()))) {
    Fail(Code::kInvalid, "the request is not a cube.v1.QueryRequest", "", reply);
  } else if (parsed.min_intent() > view.intents.seq) {
    Fail(Code::kTimedOut,
         "this manager has not seen intent " + std::to_string(parsed.min_intent()) +
             " yet; ask again",
         "min_intent", reply);
  } else if (what == "tasks") {
    AnswerTasks(view, planner, parsed, reply);
  } else if (what == "task") {
    AnswerTask(view, planner, parsed, reply);
  } else if (what == "nodes") {
    AnswerNodes(view, parsed, reply);
  } else if (what == "cluster") {
    AnswerCluster(view, reply);
  } else {
    Fail(Code::kNotFound,
         "there is no question '" + std::string(what) + "'; ask tasks, task, nodes or cluster", "",
         reply);
  }
  return reply.SerializeAsString();
}

}  // namespace cube::manager
