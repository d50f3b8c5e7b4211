#include "services/manager/view_store.h"

#include <cube/v1/records.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <functional>
#include <future>
#include <utility>

#include "services/manager/job_records.h"
#include "services/manager/node_records.h"
#include "services/manager/task_loader.h"
#include "services/manager/task_records.h"
#include "shared/cluster/rebuild.h"
#include "shared/wire/convert.h"

namespace cube::manager {
namespace {

using wire::FromProto;
using wire::ToProto;

constexpr std::uint32_t kSchemaVersion = 5;
enum Table : store::TableId { kMeta = kViewMetaTable, kTasks, kNodes, kSpecs, kUntold, kJobs };
constexpr std::string_view kMetaKey = "view";
// What most records of tasks and nodes take, with their keys.
constexpr std::size_t kRecordBytes = 224;
constexpr std::string_view kClusterKey = "cluster";  // its name, while there is no view

std::uint64_t NumberFrom(std::string_view key) {
  std::uint64_t number = 0;
  for (const char c : key) number = number << 8 | static_cast<unsigned char>(c);
  return number;
}

// Equal records have equal bytes: maps are written in key order. `room` is as large as the record,
// which has just been asked for its size.
void WriteBytes(const google::protobuf::MessageLite& record, std::span<char> room) {
  google::protobuf::io::ArrayOutputStream stream(room.data(), static_cast<int>(room.size()));
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  record.SerializeWithCachedSizes(&coded);
  coded.Trim();  // its last bytes are its own until then
}

std::string Bytes(const google::protobuf::MessageLite& record) {
  std::string bytes(record.ByteSizeLong(), '\0');
  WriteBytes(record, bytes);
  return bytes;
}

void Put(store::WriteBatch& batch, Table table, std::string_view key,
         const google::protobuf::MessageLite& record) {
  WriteBytes(record, batch.PutRoom(table, key, record.ByteSizeLong()));
}

std::string SpecBytes(const TaskSpec& spec) {
  v1::TaskSpec record;
  ToProto(spec, record);
  return Bytes(record);
}

v1::TransitionRecord RecordOf(const Transition& from) {
  v1::TransitionRecord to;
  ToProto(from.stamp, *to.mutable_stamp());
  to.set_time_ns(ToNanos(from.time));
  to.set_task(from.task);
  to.set_name(from.name);
  to.set_job(from.job);
  to.set_slot(from.slot);
  to.set_status(from.status);
  to.set_node(from.node.str());
  to.set_attempt(from.attempt);
  to.set_launch(from.launch);
  to.set_reason(from.reason);
  if (from.exit_code) to.set_exit_code(*from.exit_code);
  for (const BoundPort& port : from.ports) ToProto(port, *to.add_ports());
  to.set_healthy(from.healthy);
  return to;
}

Result<Transition> TransitionFrom(std::string_view bytes) {
  v1::TransitionRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return DamagedRecord("a step that was not told");
  }
  Transition step;
  step.stamp = FromProto(record.stamp());
  step.time = WallFromNanos(record.time_ns());
  step.task = record.task();
  step.name = record.name();
  step.job = record.job();
  step.slot = record.slot();
  step.status = record.status();
  step.node = NodeName::Trusted(record.node());
  step.attempt = record.attempt();
  step.launch = record.launch();
  step.reason = record.reason();
  if (record.has_exit_code()) step.exit_code = record.exit_code();
  for (const v1::BoundPort& port : record.ports()) {
    CUBE_TRY(const BoundPort bound, FromProto(port));
    step.ports.push_back(bound);
  }
  step.healthy = record.healthy();
  return step;
}

v1::ViewMeta MetaOf(const View& view) {
  v1::ViewMeta meta;
  ToProto(view.intents, *meta.mutable_intents());
  ToProto(view.facts, *meta.mutable_facts());
  meta.mutable_decisions()->set_seq(view.valid_seq);
  ToProto(view.stamp, *meta.mutable_stamp());
  ToProto(view.term, *meta.mutable_term());
  meta.set_decided_at_ns(ToNanos(view.decided_at));
  if (view.term_start) ToProto(*view.term_start, *meta.mutable_term_start());
  meta.set_term_began_at_ns(ToNanos(view.term_began));
  ToProto(view.told, *meta.mutable_told());
  meta.set_last_node(view.last_node.str());
  for (const RefuseIntent& due : view.refusals) {
    v1::RefuseIntent& record = *meta.add_refusals();
    record.set_intent(due.intent);
    record.set_index(due.index);
    record.set_task(due.task);
    ToProto(due.error, *record.mutable_failure());
  }
  meta.set_untold_first(view.untold_first);
  meta.set_reset_at_ns(ToNanos(view.reset_at));
  meta.set_reset_epoch(view.reset_epoch);
  for (const TermBegin& begin : view.terms) {
    v1::TermBegin& record = *meta.add_terms();
    ToProto(begin.term, *record.mutable_term());
    record.set_seq(begin.seq);
  }
  return meta;
}

Result<void> ReadMeta(std::string_view bytes, View& view) {
  v1::ViewMeta meta;
  if (!meta.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return DamagedRecord("its position");
  }
  view.intents = FromProto(meta.intents());
  view.facts = FromProto(meta.facts());
  // Messages behind the last valid one are read, and skipped, again.
  view.valid_seq = meta.decisions().seq();
  view.decision_seq = view.valid_seq;
  view.stamp = FromProto(meta.stamp());
  view.term = FromProto(meta.term());
  view.decided_at = WallFromNanos(meta.decided_at_ns());
  if (meta.has_term_start()) view.term_start = FromProto(meta.term_start());
  view.term_began = WallFromNanos(meta.term_began_at_ns());
  view.told = FromProto(meta.told());
  view.last_node = NodeName::Trusted(meta.last_node());
  for (const v1::RefuseIntent& record : meta.refusals()) {
    view.refusals.push_back(
        {record.intent(), record.index(), record.task(), FromProto(record.failure())});
  }
  view.untold_first = meta.untold_first();
  for (const v1::TermBegin& record : meta.terms()) {
    view.terms.push_back({FromProto(record.term()), record.seq()});
  }
  view.reset_at = WallFromNanos(meta.reset_at_ns());
  view.reset_epoch = meta.reset_epoch();
  return {};
}

// Finding tasks by their ids costs as much as all other indexes do together.
void RebuildIndexes(View& view, const LoadOptions& options) {
  if (options.helpers == 0 || view.tasks.size() < options.batch_rows) {
    cube::RebuildIndexes(view);
    return;
  }
  auto ids = std::async(std::launch::async | std::launch::deferred, [&view] { RebuildIds(view); });
  RebuildRest(view);
  ids.get();
}

// Number of the first untold step that no decision has stamped yet; behind the last if there is
// none.
std::uint64_t FirstUnstamped(const View& view) {
  std::size_t at = view.untold.size();
  while (at > 0 && view.untold[at - 1].stamp == Stamp{}) --at;
  return view.untold_first + at;
}

v1::TaskRecord WholeRecordOf(const Task& task) {
  v1::TaskRecord record;
  TaskRecordOf(task, record);
  ToProto(*task.spec, *record.mutable_spec());
  return record;
}

v1::JobRecord WholeRecordOf(const Job& job) {
  v1::JobRecord record = JobRecordOf(job);
  for (v1::JobVersionRecord& version : *record.mutable_versions()) {
    ToProto(*job.versions.at(version.version()).spec, *version.mutable_task());
  }
  return record;
}

}  // namespace

store::Schema ViewSchema() {
  return {kSchemaVersion, {"meta", "tasks", "nodes", "specs", "untold", "jobs"}};
}

void ViewRecords::Keep(std::uint64_t number, TaskSpecPtr spec, std::size_t hash) {
  numbers_.emplace(spec.get(), number);
  by_hash_.emplace(hash, number);
  specs_.emplace(number, Spec{std::move(spec), hash});
  next_number_ = std::max(next_number_, number + 1);
}

Result<void> ViewRecords::LoadSpecs(const store::Store& store) {
  *this = {};
  Result<void> result;
  CUBE_TRY_VOID(store.Scan(kSpecs, "", [&](std::string_view key, std::string_view bytes) {
    v1::TaskSpec record;
    Result<TaskSpec> spec = DamagedRecord("a specification");
    if (record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      spec = FromProto(record);
    }
    if (!spec) {
      result = std::unexpected(std::move(spec).error());
      return false;
    }
    Keep(NumberFrom(key), std::make_shared<const TaskSpec>(std::move(*spec)),
         std::hash<std::string_view>()(bytes));
    return true;
  }));
  return result;
}

Result<void> ViewRecords::LoadUntold(const store::Store& store, View& view) {
  Result<void> result;
  CUBE_TRY_VOID(store.Scan(kUntold, "", [&](std::string_view key, std::string_view bytes) {
    Result<Transition> step = TransitionFrom(bytes);
    if (step && NumberFrom(key) != view.untold_first + view.untold.size()) {
      step = DamagedRecord("the numbers of steps that were not told");
    }
    if (!step) {
      result = std::unexpected(std::move(step).error());
      return false;
    }
    view.untold.push_back(std::move(*step));
    return true;
  }));
  untold_ = {view.untold_first, FirstUnstamped(view), view.untold_first + view.untold.size()};
  return result;
}

// Under load there are very many, most of which are told by the next cycle: only what is new is
// written, and a step is new until a decision has stamped it.
void ViewRecords::SaveUntold(const View& view, store::WriteBatch& batch) {
  const std::uint64_t end = view.untold_first + view.untold.size();
  for (std::uint64_t n = untold_.from; n < std::min(view.untold_first, untold_.end); ++n) {
    batch.Delete(kUntold, RecordKey(n));
  }
  for (std::uint64_t n = std::max(view.untold_first, untold_.settled); n < end; ++n) {
    Put(batch, kUntold, RecordKey(n), RecordOf(view.untold[n - view.untold_first]));
  }
  untold_ = {view.untold_first, FirstUnstamped(view), end};
}

Result<void> ViewRecords::LoadJobs(const store::Store& store, View& view) const {
  Result<void> result;
  CUBE_TRY_VOID(store.Scan(kJobs, "", [&](std::string_view, std::string_view bytes) {
    v1::JobRecord record;
    Result<Job> job = DamagedRecord("a job");
    if (record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) job = JobFrom(record);
    for (const v1::JobVersionRecord& version : record.versions()) {
      const auto spec = specs_.find(version.spec_number());
      if (spec == specs_.end()) job = DamagedRecord("a job's specification");
      // As of a task (task_loader.cc).
      if (version.intent() > view.intents.seq) job = DamagedRecord("a job's version");
      if (!job) break;
      job->versions.at(version.version()).spec = spec->second.spec;
    }
    if (!job) {
      result = std::unexpected(std::move(job).error());
      return false;
    }
    const TaskName name = job->name;
    view.jobs.emplace(name, std::move(*job));
    return true;
  }));
  return result;
}

Result<void> ViewRecords::LoadTasks(const store::Store& store, const LoadOptions& options,
                                    View& view) const {
  const auto find_spec = [this](std::uint64_t number) {
    const auto spec = specs_.find(number);
    return spec == specs_.end() ? nullptr : spec->second.spec;
  };
  TaskLoader loader(view, find_spec, options);
  const Result<void> scanned =
      store.Scan(kTasks, "",
                 [&loader](std::string_view, std::string_view bytes) { return loader.Add(bytes); });
  CUBE_TRY(view.tasks, loader.Finish());  // its error is of a row before that of the scan
  return scanned;
}

Result<View> ViewRecords::Load(const store::Store& store, const LoadOptions& options) {
  Result<View> view = Read(store, options);
  // A value that no message could bring is damage.
  if (!view && view.error().code == Code::kInvalid) return DamagedRecord(view.error().Text());
  return view;
}

Result<View> ViewRecords::Read(const store::Store& store, const LoadOptions& options) {
  View view;
  CUBE_TRY_VOID(LoadSpecs(store));
  CUBE_TRY(const std::optional<std::string> meta, store.Get(kMeta, kMetaKey));
  CUBE_TRY(std::optional<std::string> cluster, store.Get(kMeta, kClusterKey));
  cluster_ = std::move(cluster).value_or("");
  if (!meta) return view;
  CUBE_TRY_VOID(ReadMeta(*meta, view));
  CUBE_TRY_VOID(LoadUntold(store, view));
  CUBE_TRY_VOID(LoadJobs(store, view));
  Result<void> result;
  CUBE_TRY_VOID(store.Scan(kNodes, "", [&](std::string_view, std::string_view bytes) {
    Result<Node> node = NodeFrom(bytes);
    if (!node) {
      result = std::unexpected(std::move(node).error());
      return false;
    }
    const NodeName name = node->name;
    node->ref = name;
    view.nodes.emplace(name, std::move(*node));
    return true;
  }));
  CUBE_TRY_VOID(result);
  CUBE_TRY_VOID(LoadTasks(store, options, view));
  RebuildIndexes(view, options);
  return view;
}

std::uint64_t ViewRecords::NumberOf(TaskSpecPtr& spec, store::WriteBatch& batch) {
  if (const auto known = numbers_.find(spec.get()); known != numbers_.end()) return known->second;
  std::string bytes = SpecBytes(*spec);
  const std::size_t hash = std::hash<std::string_view>()(bytes);
  const auto [begin, end] = by_hash_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const Spec& kept = specs_.at(it->second);
    if (*kept.spec != *spec) continue;
    spec = kept.spec;
    return it->second;
  }
  const std::uint64_t number = next_number_;
  Keep(number, spec, hash);
  batch.Put(kSpecs, RecordKey(number), bytes);
  return number;
}

// Each task of the view holds the value that is kept here, since Save and Load see to it: what
// nobody else holds, no record names.
void ViewRecords::Sweep(store::WriteBatch& batch) {
  forgotten_ = 0;
  for (auto it = specs_.begin(); it != specs_.end();) {
    const auto& [number, kept] = *it;
    if (kept.spec.use_count() > 1) {
      ++it;
      continue;
    }
    batch.Delete(kSpecs, RecordKey(number));
    numbers_.erase(kept.spec.get());
    const auto [begin, end] = by_hash_.equal_range(kept.hash);
    by_hash_.erase(
        std::find_if(begin, end, [&it](const auto& e) { return e.second == it->first; }));
    it = specs_.erase(it);
  }
}

void ViewRecords::SaveJobs(View& view, store::WriteBatch& batch) {
  for (const TaskName& name : view.dirty_jobs) {
    Job& job = view.jobs.at(name);
    v1::JobRecord record = JobRecordOf(job);
    for (v1::JobVersionRecord& version : *record.mutable_versions()) {
      version.set_spec_number(NumberOf(job.versions.at(version.version()).spec, batch));
    }
    Put(batch, kJobs, name.str(), record);
    ++forgotten_;  // perhaps the last user of a version's specification
  }
}

store::WriteBatch ViewRecords::Save(View& view) {
  store::WriteBatch batch;
  std::sort(view.dirty_tasks.begin(), view.dirty_tasks.end());
  const auto last = std::unique(view.dirty_tasks.begin(), view.dirty_tasks.end());
  view.dirty_tasks.erase(last, view.dirty_tasks.end());
  const std::size_t records = view.dirty_tasks.size() + view.dirty_nodes.size();
  batch.Reserve(records, records * kRecordBytes);
  v1::TaskRecord record;  // keeps its memory from task to task
  auto near = view.tasks.begin();
  for (const TaskNumber& number : view.dirty_tasks) {
    Task* task = view.tasks.FindNext(number, near);
    if (task == nullptr) {
      batch.Delete(kTasks, RecordKey(number));
      ++forgotten_;
    } else {
      TaskRecordOf(*task, record);
      record.set_spec_number(NumberOf(task->spec, batch));
      Put(batch, kTasks, RecordKey(number), record);
    }
  }
  std::vector<NodeName> nodes(view.dirty_nodes.begin(), view.dirty_nodes.end());
  std::sort(nodes.begin(), nodes.end());
  for (const NodeName& name : nodes) {
    Put(batch, kNodes, name.str(), NodeRecordOf(view.nodes.at(name)));
  }
  SaveJobs(view, batch);
  SaveUntold(view, batch);
  Put(batch, kMeta, kMetaKey, MetaOf(view));
  view.dirty_tasks.clear();
  view.dirty_nodes.clear();
  view.dirty_jobs.clear();
  if (forgotten_ >= std::max(kSpecSweepAfter, specs_.size() / 4)) Sweep(batch);
  return batch;
}

store::WriteBatch ViewRecords::Clear(const std::string& cluster) {
  *this = {};
  store::WriteBatch batch;
  for (const Table table : {kMeta, kTasks, kNodes, kSpecs, kUntold, kJobs}) batch.Clear(table);
  if (!cluster.empty()) batch.Put(kMeta, kClusterKey, cluster);
  return batch;
}

std::string RecordBytes(const View& view) { return Bytes(MetaOf(view)); }
std::string RecordBytes(const Transition& step) { return Bytes(RecordOf(step)); }
std::string RecordBytes(const Node& node) { return Bytes(NodeRecordOf(node)); }
std::string RecordBytes(const Task& task) { return Bytes(WholeRecordOf(task)); }
std::string RecordBytes(const Job& job) { return Bytes(WholeRecordOf(job)); }

}  // namespace cube::manager
