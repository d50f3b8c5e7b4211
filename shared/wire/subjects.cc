#include "shared/wire/subjects.h"

#include "shared/base/check.h"

namespace cube::wire {
namespace {

// A stream's name and each subject repeat it: short keeps both short.
constexpr std::size_t kRootLengthMax = 16;

std::string UpperCase(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

std::string Join(std::initializer_list<std::string_view> tokens) {
  std::string subject;
  std::size_t size = 0;
  for (std::string_view token : tokens) size += token.size() + 1;
  subject.reserve(size);
  for (std::string_view token : tokens) {
    if (!subject.empty()) subject += '.';
    subject += token;
  }
  return subject;
}

bus::StreamConfig Stream(std::string name, std::string description,
                         std::vector<std::string> subjects, std::int32_t replicas) {
  bus::StreamConfig config;
  config.name = std::move(name);
  config.description = std::move(description);
  config.subjects = std::move(subjects);
  config.replicas = replicas;
  return config;
}

}  // namespace

Result<Subjects> Subjects::Make(std::string_view root) {
  if (root.empty()) return Fail(Code::kInvalid, "is required", "root");
  bool good = root.size() <= kRootLengthMax;
  for (char c : root) good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
  if (!good) {
    return Fail(Code::kInvalid,
                "must be 1 to " + std::to_string(kRootLengthMax) + " lower-case letters and digits",
                "root");
  }
  return Subjects(std::string(root));
}

Subjects::Subjects() : Subjects(std::string(kRootDefault)) {}
Subjects::Subjects(std::string root)
    : root_(std::move(root)), stream_prefix_(UpperCase(root_) + "_") {}

std::string Subjects::TasksSubmit() const { return Join({root_, "tasks", "submit"}); }
std::string Subjects::TasksStop() const { return Join({root_, "tasks", "stop"}); }
std::string Subjects::Jobs(std::string_view verb) const { return Join({root_, "jobs", verb}); }
std::string Subjects::Nodes(std::string_view verb) const { return Join({root_, "nodes", verb}); }
std::string Subjects::Decisions() const { return Join({root_, "decisions"}); }
std::string Subjects::Facts(std::string_view node) const { return Join({root_, "facts", node}); }
std::string Subjects::Desired(std::string_view node, std::uint32_t page) const {
  return Join({root_, "desired", node, std::to_string(page)});
}
std::string Subjects::DesiredAll(std::string_view node) const {
  return Join({root_, "desired", node, "*"});
}
std::string Subjects::Heartbeat(std::string_view node) const {
  return Join({root_, "heartbeats", node});
}
std::string Subjects::HeartbeatAll() const { return Join({root_, "heartbeats", "*"}); }
std::string Subjects::MetricsAll() const { return Join({root_, "metrics", "*"}); }
std::string Subjects::Metrics(std::string_view node) const {
  return Join({root_, "metrics", node});
}
std::string Subjects::Assign(std::string_view node) const { return Join({root_, "assign", node}); }
std::string Subjects::Event(std::string_view name, std::string_view task,
                            std::string_view status) const {
  return Join({root_, "events", name, task, status});
}
std::string Subjects::EventsOfTask(std::string_view task) const {
  return Join({root_, "events", "*", task, "*"});
}
std::string Subjects::EventsOfName(std::string_view name) const {
  return Join({root_, "events", name, "*", "*"});
}
std::string Subjects::EventsAll() const { return Join({root_, "events", ">"}); }
std::string Subjects::Outcome(std::string_view token) const {
  return Join({root_, "outcome", token});
}
std::string Subjects::Query(std::string_view what) const { return Join({root_, "query", what}); }
std::string Subjects::QueryAll() const { return Join({root_, "query", "*"}); }
std::string Subjects::Logs(std::string_view node) const { return Join({root_, "logs", node}); }
std::string Subjects::Exec(std::string_view node) const { return Join({root_, "exec", node}); }
std::string Subjects::VerifyManagers() const { return Join({root_, "verify", "managers"}); }
std::string Subjects::VerifyNode(std::string_view node) const {
  return Join({root_, "verify", "node", node});
}
std::string Subjects::SnapshotChunks() const { return Join({root_, "snapshots", "chunks"}); }
std::string Subjects::SnapshotManifest() const { return Join({root_, "snapshots", "manifest"}); }
std::string Subjects::StreamInfoPrefix() const { return Join({root_, "streams."}); }
std::string Subjects::LeaseKey() const { return "$KV." + stream_prefix_ + "LEADER.leader"; }

std::string_view Subjects::LastToken(std::string_view subject) {
  return subject.substr(subject.rfind('.') + 1);  // npos + 1 = 0: no dot, the whole
}

std::string Subjects::IntentsStream() const { return stream_prefix_ + "INTENTS"; }
std::string Subjects::DecisionsStream() const { return stream_prefix_ + "DECISIONS"; }
std::string Subjects::FactsStream() const { return stream_prefix_ + "FACTS"; }
std::string Subjects::SnapshotsStream() const { return stream_prefix_ + "SNAPSHOTS"; }
std::string Subjects::DesiredStream() const { return stream_prefix_ + "DESIRED"; }
std::string Subjects::HeartbeatsStream() const { return stream_prefix_ + "HEARTBEATS"; }
std::string Subjects::MetricsStream() const { return stream_prefix_ + "METRICS"; }
std::string Subjects::LeaseStream() const { return "KV_" + stream_prefix_ + "LEADER"; }

std::vector<bus::StreamConfig> Subjects::Streams(const StreamLimits& limits) const {
  CUBE_CHECK(limits.lease > Duration(0) && limits.replicas >= 1);
  std::vector<bus::StreamConfig> streams;

  // The three logs: nobody may take a single message out of their middle; trimming is a purge.
  bus::StreamConfig intents =
      Stream(IntentsStream(), "Cube: what users ask for. Do not purge it by hand.",
             {Join({root_, "tasks", "*"}), Join({root_, "jobs", "*"}), Join({root_, "nodes", "*"})},
             limits.replicas);
  intents.bytes_max = limits.intents_bytes_max;
  intents.deny_delete = true;
  streams.push_back(std::move(intents));

  bus::StreamConfig decisions =
      Stream(DecisionsStream(), "Cube: what the leading manager decides. Do not purge it by hand.",
             {Decisions()}, limits.replicas);
  decisions.bytes_max = limits.decisions_bytes_max;
  decisions.deny_delete = true;
  streams.push_back(std::move(decisions));

  bus::StreamConfig facts =
      Stream(FactsStream(), "Cube: what workers have seen. Do not purge it by hand.", {Facts("*")},
             limits.replicas);
  facts.bytes_max = limits.facts_bytes_max;
  facts.deny_delete = true;
  streams.push_back(std::move(facts));

  // Two snapshots of the view and the one that is being written: as large as the view is.
  bus::StreamConfig snapshots =
      Stream(SnapshotsStream(), "Cube: the managers' view of the log, so that it can be trimmed",
             {SnapshotChunks(), SnapshotManifest()}, limits.replicas);
  snapshots.deny_delete = true;
  streams.push_back(std::move(snapshots));

  // Newest of each subject: their size is bounded by the number of nodes.
  bus::StreamConfig desired =
      Stream(DesiredStream(), "Cube: each node's newest complete set of tasks",
             {Join({root_, "desired", "*", "*"})}, limits.replicas);
  desired.messages_per_subject_max = 1;
  streams.push_back(std::move(desired));

  bus::StreamConfig heartbeats =
      Stream(HeartbeatsStream(), "Cube: the newest heartbeat of each node", {HeartbeatAll()},
             limits.replicas);
  heartbeats.messages_per_subject_max = 1;
  streams.push_back(std::move(heartbeats));

  bus::StreamConfig metrics = Stream(MetricsStream(), "Cube: each node's newest measurements",
                                     {Metrics("*")}, limits.replicas);
  metrics.messages_per_subject_max = 1;
  streams.push_back(std::move(metrics));

  // A key-value bucket is a stream of this shape (NATS ADR-8), so that its tools show it.
  bus::StreamConfig lease = Stream(LeaseStream(), "Cube: which manager leads",
                                   {"$KV." + stream_prefix_ + "LEADER.>"}, limits.replicas);
  lease.messages_per_subject_max = 1;
  lease.age_max = limits.lease;
  lease.deny_delete = true;
  streams.push_back(std::move(lease));
  return streams;
}

}  // namespace cube::wire
