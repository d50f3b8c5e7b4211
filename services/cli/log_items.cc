#include "services/cli/log_items.h"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "services/cli/render/values.h"
#include "shared/domain/rules.h"
#include "shared/wire/codec.h"
#include "shared/wire/subjects.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;

// An ambiguous prefix lists at most so many ids (as queries.proto does).
constexpr std::size_t kCandidatesMax = 20;

std::string ProgramOf(const TaskSpec& spec) {
  if (!spec.image.empty()) return spec.image;
  return spec.command.empty() ? "a command" : spec.command.front();
}

Json PortsJson(const std::vector<BoundPort>& ports) {
  Json json = Json::array();
  for (const auto& port : ports) {
    json.push_back({{"port", port.port},
                    {"host_port", port.host_port},
                    {"protocol", port.protocol == Protocol::kUdp ? "udp" : "tcp"}});
  }
  return json;
}

void Describe(LogItem& item, const SubmitTask& submit) {
  item.kind = "submit";
  item.name = submit.spec->name.str();
  item.task = submit.id.empty() ? GeneratedTaskId(submit.spec->name, {item.seq, item.index}).str()
                                : submit.id.str();
  item.text = fmt::format("run {}", ProgramOf(*submit.spec));
  item.details["image"] = submit.spec->image.empty() ? Json(nullptr) : Json(submit.spec->image);
}

void Describe(LogItem& item, const StopTask& stop) {
  item.kind = "stop";
  item.task = stop.id.str();
  item.text = "stop";
  if (stop.grace) {
    item.text += fmt::format(" within {}", FormatDuration(*stop.grace));
    item.details["grace"] = FormatDuration(*stop.grace);
  }
}

void Describe(LogItem& item, const CordonNode& cordon) {
  item.kind = cordon.cordon ? "cordon" : "uncordon";
  item.node = cordon.node.str();
  item.text = cordon.cordon ? "no new tasks" : "tasks may be placed there again";
}

void Describe(LogItem& item, const DrainNode& drain) {
  const std::string deadline = FormatDuration(drain.deadline.value_or(kDrainDeadlineDefault));
  item.kind = "drain";
  item.node = drain.node.str();
  item.text = fmt::format("drain: what fits nowhere else is stopped after {}", deadline);
  item.details["deadline"] = deadline;
}

void Describe(LogItem& item, const SubmitJob& submit) {
  const JobSpec& spec = submit.spec;
  item.kind = "submit_job";
  item.name = spec.name.str();
  item.text = spec.type == JobType::kSystem
                  ? fmt::format("system job: {} on each node", ProgramOf(*spec.task))
                  : fmt::format("{} job: {} of {}", JobTypeName(spec.type), spec.replicas,
                                ProgramOf(*spec.task));
  item.details["type"] = JobTypeName(spec.type);
  item.details["replicas"] = spec.replicas;
  item.details["image"] = spec.task->image.empty() ? Json(nullptr) : Json(spec.task->image);
}

void Describe(LogItem& item, const ScaleJob& scale) {
  item.kind = "scale_job";
  item.name = scale.name.str();
  item.text = fmt::format("job: {} tasks from now on", scale.replicas);
  item.details["replicas"] = scale.replicas;
}

void Describe(LogItem& item, const StopJob& stop) {
  item.kind = "stop_job";
  item.name = stop.name.str();
  item.text = "stop the job";
  if (stop.grace) {
    item.text += fmt::format(" within {}", FormatDuration(*stop.grace));
    item.details["grace"] = FormatDuration(*stop.grace);
  }
}

void Describe(LogItem& item, const InvalidItem& invalid) {
  item.kind = "invalid";
  item.task = invalid.task;
  item.name = invalid.name;
  item.text = "not acceptable: " + invalid.error.Text();
  item.details["code"] = CodeName(invalid.error.code);
  item.details["field"] = invalid.error.field;
  item.details["reason"] = invalid.error.message;
}

// A score as people read it; in the log its unit is 2^-32.
double AsNumber(std::int64_t score) { return std::ldexp(static_cast<double>(score), -32); }

void Describe(LogItem& item, const StartAttempt& start) {
  item.kind = "start";
  item.task = start.task.str();
  item.node = start.node.str();
  if (start.spec) item.name = start.spec->name.str();
  item.details["attempt"] = start.attempt;
  const Explanation& why = *start.explanation;
  std::string ruled_out;
  Json filtered = Json::object();
  for (const auto& filter : why.filtered) {
    ruled_out += fmt::format(", {} {}", filter.filter, filter.nodes);
    filtered[filter.filter] = filter.nodes;
  }
  std::string scores;
  if (!why.runner_up.empty()) {
    scores = fmt::format("; score {:.4f}, next {} with {:.4f}", AsNumber(why.score),
                         why.runner_up.str(), AsNumber(why.runner_up_score));
  }
  item.text = fmt::format("attempt {} goes to {} ", start.attempt, start.node.str());
  item.text += why.scheduler == kPinned ? "(the only node for it)"
                                        : fmt::format("({} of {} node{}{}{}{})", why.scheduler,
                                                      why.nodes, why.nodes == 1 ? "" : "s", scores,
                                                      ruled_out.empty() ? "" : "; ruled out: ",
                                                      ruled_out.empty() ? "" : ruled_out.substr(2));
  item.details["scheduler"] = why.scheduler;
  item.details["nodes"] = why.nodes;
  item.details["feasible"] = why.feasible;
  item.details["filtered"] = std::move(filtered);
  item.details["score"] = AsNumber(why.score);
  if (!why.runner_up.empty()) {
    item.details["runner_up"] = why.runner_up.str();
    item.details["runner_up_score"] = AsNumber(why.runner_up_score);
  }
}

void Describe(LogItem& item, const StopAttempt& stop) {
  item.kind = "stop";
  item.task = stop.task.str();
  item.node = stop.node.str();
  item.details["attempt"] = stop.attempt;
  item.details["grace"] = FormatDuration(stop.grace);
  item.text = stop.attempt == 0 ? "stopped while no node had it"
                                : fmt::format("attempt {} on {} has to end within {}", stop.attempt,
                                              stop.node.str(), FormatDuration(stop.grace));
}

void Describe(LogItem& item, const EvictAttempt& evict) {
  item.kind = "evict";
  item.task = evict.task.str();
  item.node = evict.node.str();
  item.details["attempt"] = evict.attempt;
  item.details["grace"] = FormatDuration(evict.grace);
  item.details["reason"] = evict.reason;
  item.details["ends"] = evict.ends;
  item.text = fmt::format("attempt {} has to leave {}{}: {}", evict.attempt, evict.node.str(),
                          evict.ends ? " and is the last" : "", evict.reason);
}

// "slot 3", "slots 3 to 7".
std::string SlotsText(std::uint32_t first, std::uint32_t count) {
  return count == 1 ? fmt::format("slot {}", first)
                    : fmt::format("slots {} to {}", first, first + count - 1);
}

void Describe(LogItem& item, const FillSlots& fill) {
  item.kind = "fill_slots";
  item.name = fill.job.str();
  item.node = fill.node.str();
  item.text = fmt::format("job: {} {} of version {}", SlotsText(fill.first, fill.count),
                          fill.vacant ? "without a task" : "with a task", fill.version);
  item.details["version"] = fill.version;
  item.details["first"] = fill.first;
  item.details["count"] = fill.count;
}

void Describe(LogItem& item, const EmptySlots& empty) {
  item.kind = "empty_slots";
  item.name = empty.job.str();
  item.text =
      fmt::format("job: the tasks of version {} in {} have to end{}", empty.version,
                  SlotsText(empty.first, empty.count), empty.release ? "" : ", to be replaced");
  item.details["version"] = empty.version;
  item.details["first"] = empty.first;
  item.details["count"] = empty.count;
}

void Describe(LogItem& item, const EndUpdate& end) {
  item.kind = end.failure.empty() ? "updated" : "update_failed";
  item.name = end.job.str();
  item.text = end.failure.empty() ? fmt::format("job: all tasks are of version {}", end.version)
                                  : fmt::format("job: the update to version {} failed: {}",
                                                end.version, end.failure);
  item.details["version"] = end.version;
  if (!end.failure.empty()) item.details["reason"] = end.failure;
}

void Describe(LogItem& item, const EndJob& end) {
  item.kind = "end_job";
  item.name = end.job.str();
  const std::string how = end.end == JobEnd::kCompleted ? "completed"
                          : end.end == JobEnd::kFailed  ? "failed"
                                                        : "stopped";
  item.text = fmt::format("job has {}{}{}", how == "stopped" ? "been stopped" : how,
                          end.reason.empty() ? "" : ": ", end.reason);
  item.details["end"] = how;
  if (!end.reason.empty()) item.details["reason"] = end.reason;
}

void Describe(LogItem& item, const RefuseIntent& refuse) {
  item.kind = "refuse";
  item.task = refuse.task;
  item.text = "refused: " + refuse.error.Text();
  item.details["intent"] = refuse.intent;
  item.details["item"] = refuse.index;
  item.details["code"] = CodeName(refuse.error.code);
  item.details["field"] = refuse.error.field;
  item.details["reason"] = refuse.error.message;
}

void Describe(LogItem& item, const NodeDown& down) {
  item.kind = "node_down";
  item.node = down.node.str();
  item.text = "node is down: " + down.reason;
  item.details["reason"] = down.reason;
}

void Describe(LogItem& item, const NodeUp& up) {
  item.kind = "node_up";
  item.node = up.node.str();
  item.text = "node is back";
}

void Describe(LogItem& item, const WelcomeNode& welcome) {
  item.kind = "welcome";
  item.node = welcome.node.str();
  item.text = fmt::format("node is welcome (incarnation {})", welcome.incarnation);
  item.details["incarnation"] = welcome.incarnation;
}

void Describe(LogItem& item, const ReadoptAttempt& readopt) {
  item.kind = "readopt";
  item.task = readopt.task.str();
  item.node = readopt.node.str();
  item.details["attempt"] = readopt.attempt;
  item.text =
      fmt::format("attempt {} on {} counts again: the log had lost {}", readopt.attempt,
                  readopt.node.str(), readopt.spec == nullptr ? "its placement" : "its task");
}

void Describe(LogItem& item, const DropAttempt& drop) {
  item.kind = "drop";
  item.task = drop.task.str();
  item.node = drop.node.str();
  item.details["attempt"] = drop.attempt;
  item.details["reason"] = drop.reason;
  item.text = fmt::format("attempt {} on {} ends: {}", drop.attempt, drop.node.str(), drop.reason);
}

void Describe(LogItem& item, const SettleNode& settle) {
  item.kind = "settle";
  item.node = settle.node.str();
  item.text = "what the node has was decided on";
}

void Describe(LogItem& item, const RefuseNode& refuse) {
  item.kind = "refuse_node";
  item.node = refuse.node.str();
  item.text = "node is not let in: " + refuse.reason;
  item.details["reason"] = refuse.reason;
}

void Describe(LogItem& item, const ForgetTask& forget) {
  item.kind = "forget";
  item.task = forget.task.str();
  item.text = "forgotten";
}

void Describe(LogItem& item, const SetLoad& set) {
  item.kind = "load";
  item.node = set.node.str();
  item.text = fmt::format("load is now cpu {}/16, memory {}/16, disk {}/16", set.load.cpu,
                          set.load.memory, set.load.disk);
  item.details["cpu"] = set.load.cpu;
  item.details["memory"] = set.load.memory;
  item.details["disk"] = set.load.disk;
}

std::string CapacityText(const NodeDescription& node) {
  return fmt::format("{}, {} of memory, {} tasks at most", CpusText(node.capacity.cpu_millis),
                     FormatSize(node.capacity.memory_bytes), node.tasks_max);
}

void Describe(LogItem& item, const NodeJoined& joined) {
  item.kind = "joined";
  item.text = "asks to join: " + CapacityText(joined.description);
  item.details["version"] = joined.description.version;
}

void Describe(LogItem& item, const NodeDescribed& described) {
  item.kind = "described";
  item.text = "is now: " + CapacityText(described.description);
  item.details["version"] = described.description.version;
}

void Describe(LogItem& item, const NodeReported&) {
  item.kind = "reported";
  item.text = "has reported all that runs";
}

void Describe(LogItem& item, const NodeLeft&) {
  item.kind = "left";
  item.text = "worker ends; what runs there runs on";
}

void Describe(LogItem& item, const NodeLeaving& leaving) {
  item.kind = "leaving";
  item.text = leaving.deadline == Duration(0)
                  ? "worker ends: its tasks are stopped and start elsewhere"
                  : fmt::format("worker ends: its tasks move elsewhere within {}",
                                FormatDuration(leaving.deadline));
  item.details["deadline"] = FormatDuration(leaving.deadline);
}

void Describe(LogItem& item, const AttemptHeld& held) {
  item.kind = "held";
  item.task = held.task.str();
  item.details["attempt"] = held.attempt;
  item.text = fmt::format("the worker {} attempt {}", held.spec != nullptr ? "has" : "has had",
                          held.attempt);
}

void Describe(LogItem& item, const AllHeld&) {
  item.kind = "all_held";
  item.text = "worker has told all that it has";
}

void Describe(LogItem& item, const LaunchFact& fact) {
  item.kind = LaunchStateName(fact.state);
  item.task = fact.key.task.str();
  item.details["attempt"] = fact.key.attempt;
  item.details["launch"] = fact.key.launch;
  item.text = item.kind;
  if (fact.key.launch > 0) item.text += fmt::format(" (launch {})", fact.key.launch);
  if (fact.state == LaunchState::kExited) {
    item.text += ": " + DescribeEnd(fact);
    const bool has_code = fact.cause == ExitCause::kExited || fact.cause == ExitCause::kSignaled;
    item.details["exit_code"] = has_code ? Json(fact.exit_code) : Json(nullptr);
    item.details["final"] = fact.final;
    item.details["stop_asked"] = fact.stop_asked;
  }
  if (!fact.detail.empty()) {
    if (fact.state != LaunchState::kExited) item.text += ": " + fact.detail;
    item.details["reason"] = fact.detail;
  }
  if (!fact.ports.empty()) item.details["ports"] = PortsJson(fact.ports);
  if (!fact.container_id.empty()) item.details["container_id"] = fact.container_id;
}

void Describe(LogItem& item, const HealthFact& fact) {
  item.kind = fact.healthy ? "healthy" : "unhealthy";
  item.task = fact.key.task.str();
  item.text = item.kind;
  if (fact.key.launch > 0) item.text += fmt::format(" (launch {})", fact.key.launch);
  item.details["attempt"] = fact.key.attempt;
  item.details["launch"] = fact.key.launch;
  if (fact.reason.empty()) return;
  item.text += ": " + fact.reason;
  item.details["reason"] = fact.reason;
}

LogItem NewItem(Source source, const bus::StreamMessage& message, std::uint32_t index) {
  LogItem item;
  item.source = source;
  item.seq = message.seq;
  item.index = index;
  item.time = message.time;
  return item;
}

LogItem Unreadable(Source source, const bus::StreamMessage& message, const Error& error) {
  LogItem item = NewItem(source, message, 0);
  item.kind = "unreadable";
  item.text = fmt::format("cannot be read: {}", error.Text());
  item.details["reason"] = error.Text();
  return item;
}

std::vector<LogItem> IntentItems(const bus::StreamMessage& message) {
  std::vector<LogItem> items;
  const IntentBatch batch = wire::DecodeIntents(message.subject, message.headers, message.payload);
  for (std::uint32_t i = 0; i < batch.items.size(); ++i) {
    LogItem item = NewItem(Source::kIntents, message, i);
    std::visit([&](const auto& what) { Describe(item, what); }, batch.items[i]);
    items.push_back(std::move(item));
  }
  return items;
}

std::vector<LogItem> FactItems(const bus::StreamMessage& message) {
  const auto node = wire::Subjects::LastToken(message.subject);
  const auto batch = wire::DecodeFacts(node, message.payload);
  if (!batch) return {Unreadable(Source::kFacts, message, batch.error())};
  std::vector<LogItem> items;
  for (std::uint32_t i = 0; i < batch->facts.size(); ++i) {
    LogItem item = NewItem(Source::kFacts, message, i);
    item.node = batch->node.str();
    std::visit([&](const auto& what) { Describe(item, what); }, batch->facts[i].what);
    item.happened_at = batch->facts[i].at;
    item.details["happened_at"] = FormatRfc3339(item.happened_at);
    items.push_back(std::move(item));
  }
  return items;
}

std::vector<LogItem> DecisionItems(const bus::StreamMessage& message, DecisionOrder* order) {
  const auto batch = wire::DecodeDecisions(message.payload);
  if (!batch) return {Unreadable(Source::kDecisions, message, batch.error())};
  if (order != nullptr) {
    *order = {batch->stamp(), batch->prev, batch->intents.seq, batch->facts.seq};
  }
  std::vector<LogItem> items;
  if (batch->term_start) {
    LogItem item = NewItem(Source::kDecisions, message, 0);
    item.kind = "term";
    item.text = fmt::format("{} leads from now on (epoch {})", batch->term_start->manager,
                            batch->term.epoch);
    item.details["manager"] = batch->term_start->manager;
    if (!batch->term_start->reset.empty()) {
      item.text += ", since the log has lost messages: " + batch->term_start->reset;
      item.details["reset"] = batch->term_start->reset;
    }
    item.details["epoch"] = batch->term.epoch;
    items.push_back(std::move(item));
  }
  for (std::uint32_t i = 0; i < batch->items.size(); ++i) {
    LogItem item = NewItem(Source::kDecisions, message, i);
    item.details["decided_at"] = FormatRfc3339(batch->decided_at);
    std::visit([&](const auto& what) { Describe(item, what); }, batch->items[i]);
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace

Json LogItem::ToJson() const {
  auto or_null = [](const std::string& value) {
    return value.empty() ? Json(nullptr) : Json(value);
  };
  Json json = {{"time", FormatRfc3339(time)},
               {"stream", SourceName(source)},
               {"seq", seq},
               {"index", index},
               {"kind", kind},
               {"task", or_null(task)},
               {"name", or_null(name)},
               {"node", or_null(node)}};
  for (const auto& [key, value] : details.items()) json[key] = value;
  if (foreign) json["foreign"] = true;
  json["text"] = text;
  return json;
}

std::string_view SourceName(Source source) {
  switch (source) {
    case Source::kIntents:
      return "intents";
    case Source::kFacts:
      return "facts";
    case Source::kDecisions:
      return "decisions";
  }
  return "";
}

std::vector<LogItem> ItemsOf(Source source, const bus::StreamMessage& message,
                             DecisionOrder* order) {
  switch (source) {
    case Source::kIntents:
      return IntentItems(message);
    case Source::kFacts:
      return FactItems(message);
    case Source::kDecisions:
      return DecisionItems(message, order);
  }
  return {};
}

bool LogFilter::Matches(const LogItem& item) {
  if (!name.empty() && item.name == name) {
    if (item.task.empty()) return true;  // it is about the job itself
    tasks.insert(item.task);
  }
  if (tasks.contains(item.task)) return true;
  return !node.empty() && item.node == node;
}

Result<LogFilter> FilterFor(const std::string& text, const std::vector<LogItem>& items) {
  std::set<std::string> prefixed;
  std::set<std::string> nodes_prefixed;
  bool is_name = false;
  for (const auto& item : items) {
    if (item.task == text) return LogFilter{.tasks = {text}};
    is_name = is_name || item.name == text;
    if (item.task.starts_with(text)) prefixed.insert(item.task);
    if (item.node.starts_with(text)) nodes_prefixed.insert(item.node);
  }
  if (nodes_prefixed.contains(text)) return LogFilter{.node = text};
  if (is_name) return LogFilter{.name = text};
  const auto& fitting = prefixed.empty() ? nodes_prefixed : prefixed;
  if (fitting.empty()) {
    return Fail(Code::kNotFound,
                fmt::format("the log says nothing about a task or node '{}'", text));
  }
  if (fitting.size() > 1) {
    std::vector<std::string> shown(fitting.begin(), fitting.end());
    if (shown.size() > kCandidatesMax) shown.resize(kCandidatesMax);
    return Fail(Code::kConflict, fmt::format("'{}' could be any of {}: {}", text, fitting.size(),
                                             fmt::join(shown, ", ")));
  }
  if (prefixed.empty()) return LogFilter{.node = *fitting.begin()};
  return LogFilter{.tasks = {*fitting.begin()}};
}

}  // namespace cube::cli
