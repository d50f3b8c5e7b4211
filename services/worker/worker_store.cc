#include "services/worker/worker_store.h"

#include <cube/v1/records.pb.h>

#include <algorithm>
#include <utility>

#include "shared/base/check.h"
#include "shared/wire/codec.h"
#include "shared/wire/convert.h"
#include "shared/wire/scratch.h"
#include "shared/wire/spec_texts.h"

namespace cube::worker {
namespace {

constexpr std::uint32_t kSchemaVersion = 1;
constexpr std::string_view kMetaKey = "meta";

// Big-endian, so that the order of bytes is the order of numbers.
template <class Number>
void AppendNumber(std::string& key, Number number) {
  for (std::size_t i = sizeof(Number); i > 0; --i) {
    key += static_cast<char>((number >> (8 * (i - 1))) & 0xff);
  }
}

template <class Number>
std::string NumberKey(Number number) {
  std::string key;
  AppendNumber(key, number);
  return key;
}

std::uint64_t NumberOf(std::string_view key) {
  std::uint64_t number = 0;
  for (const char c : key) number = number << 8 | static_cast<unsigned char>(c);
  return number;
}

std::string KeyOf(const AttemptKey& attempt) {
  std::string key;
  key.reserve(attempt.task.str().size() + 1 + sizeof(attempt.attempt));
  key += attempt.task.str();
  key += '\0';
  AppendNumber(key, attempt.attempt);
  return key;
}

Result<Meta> DecodeMeta(std::string_view value) {
  v1::WorkerMeta r;
  if (!r.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return Fail(Code::kDataLoss, "the worker's store: its meta record is damaged");
  }
  Meta meta;
  meta.instance = r.instance();
  meta.incarnation = r.incarnation();
  meta.position = r.position();
  meta.term = wire::FromProto(r.term());
  meta.last_fact = r.last_fact();
  meta.cluster = r.cluster();
  meta.report = wire::FromProto(r.report());
  meta.forgotten_fact = r.forgotten_fact();
  meta.held_told = r.held_told();
  meta.welcome_epoch = r.welcome_epoch() != 0 ? r.welcome_epoch() : meta.term.epoch;
  return meta;
}

// A value that no message could bring is damage, too.
std::unexpected<Error> DamagedAttempt(const std::string& why) {
  return Fail(Code::kDataLoss, "the worker's store: an assignment record is wrong: " + why);
}

Result<Attempt> DecodeAttempt(std::string_view value) {
  v1::AssignmentRecord r;
  if (!r.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return Fail(Code::kDataLoss, "the worker's store: an assignment record is damaged");
  }
  Attempt a;
  auto task = TaskId::Parse(r.task(), "task");
  if (!task) return DamagedAttempt(task.error().Text());
  a.key = {*std::move(task), r.attempt()};
  a.placement = wire::FromProto(r.placement());
  if (r.has_spec()) {
    auto spec = wire::FromProto(r.spec());
    if (!spec) return DamagedAttempt(spec.error().Text());
    a.spec = std::make_shared<const TaskSpec>(*std::move(spec));
  }
  a.stop = r.stop();
  a.grace = Duration(r.grace_ns());
  a.launch = r.launch();
  a.launch_min = r.launch_min();
  a.done = r.done();
  for (const std::int64_t at : r.launches_at_ns()) a.launches_at.push_back(WallFromNanos(at));
  a.restart_at = WallFromNanos(r.restart_at_ns());
  a.restarts_in_row = r.restarts_in_row();
  if (r.has_last_fact()) {
    auto fact = wire::FromProto(r.last_fact());
    if (!fact) return DamagedAttempt(fact.error().Text());
    a.last_fact = *std::move(fact);
  }
  if (r.has_health()) {
    auto health = wire::FromProto(r.health());
    if (!health) return DamagedAttempt(health.error().Text());
    a.health = *std::move(health);
  }
  a.final_fact = r.final_fact();
  if (!a.done && a.spec == nullptr) {
    return Fail(Code::kDataLoss, "the worker's store: the assignment of task '" + r.task() +
                                     "' has no specification");
  }
  return a;
}

Result<NumberedFact> DecodeOutbox(const NodeName& node, std::string_view key,
                                  std::string_view value) {
  auto batch = wire::DecodeFacts(node.str(), value);
  if (!batch || batch->facts.size() != 1) {
    return Fail(Code::kDataLoss, "the worker's store: fact " + std::to_string(NumberOf(key)) +
                                     " of the outbox is damaged");
  }
  return NumberedFact{NumberOf(key), std::move(batch->facts.front())};
}

// Calls `take` for each entry from `from` on until it says false; its error ends the scan.
template <class Take>
Result<void> ScanAll(const store::Store& store, store::TableId table, std::string_view from,
                     Take take) {
  std::optional<Error> failed;
  CUBE_TRY_VOID(store.Scan(table, from, [&](std::string_view key, std::string_view value) {
    Result<bool> more = take(key, value);
    if (more) return *more;
    failed = std::move(more).error();
    return false;
  }));
  if (failed) return std::unexpected(std::move(*failed));
  return {};
}

}  // namespace

store::Schema WorkerSchema() {
  return {.version = kSchemaVersion, .table_names = {"meta", "assignments", "outbox"}};
}

Result<StoredState> LoadState(const store::Store& store, const NodeName& node) {
  StoredState state;
  CUBE_TRY(const auto meta, store.Get(kMetaTable, kMetaKey));
  if (!meta) return state;
  CUBE_TRY(state.meta, DecodeMeta(*meta));
  CUBE_TRY_VOID(ScanAll(store, kAssignmentsTable, "",
                        [&](std::string_view, std::string_view value) -> Result<bool> {
                          CUBE_TRY(Attempt attempt, DecodeAttempt(value));
                          state.attempts.push_back(std::move(attempt));
                          return true;
                        }));
  state.acked = state.meta.last_fact;
  bool first = true;
  CUBE_TRY_VOID(ScanAll(store, kOutboxTable, "",
                        [&](std::string_view key, std::string_view value) -> Result<bool> {
                          CUBE_TRY(const NumberedFact fact, DecodeOutbox(node, key, value));
                          if (std::exchange(first, false)) state.acked = fact.number - 1;
                          const auto* launch = std::get_if<LaunchFact>(&fact.fact.what);
                          if (launch && launch->state == LaunchState::kExited) {
                            state.exits_unacked[launch->key] = fact.number;
                          }
                          return true;
                        }));
  return state;
}

void PutMeta(store::WriteBatch& batch, const Meta& meta) {
  wire::Scratch<v1::WorkerMeta> scratch;
  v1::WorkerMeta& r = *scratch;
  r.set_instance(meta.instance);
  r.set_incarnation(meta.incarnation);
  r.set_position(meta.position);
  wire::ToProto(meta.term, *r.mutable_term());
  r.set_last_fact(meta.last_fact);
  r.set_cluster(meta.cluster);
  if (meta.report != Stamp{}) wire::ToProto(meta.report, *r.mutable_report());
  r.set_forgotten_fact(meta.forgotten_fact);
  r.set_held_told(meta.held_told);
  r.set_welcome_epoch(meta.welcome_epoch);
  batch.Put(kMetaTable, kMetaKey, r.SerializeAsString());
}

const std::string& SpecBytes::Of(const TaskSpecPtr& spec) {
  const auto known = std::ranges::find(entries_, spec, &Entry::spec);
  if (known != entries_.end()) return known->bytes;
  wire::Scratch<v1::AssignmentRecord> r;
  wire::ToProto(*spec, *r->mutable_spec());
  Add({spec, r->SerializeAsString()});
  return entries_.back().bytes;
}

void SpecBytes::Keep(const TaskSpecPtr& spec, std::string_view bytes) {
  if (std::ranges::find(entries_, spec, &Entry::spec) != entries_.end()) return;
  Add({spec, wire::AsField(v1::AssignmentRecord::kSpecFieldNumber, bytes)});
}

void SpecBytes::Add(Entry entry) {
  // Their attempts have ended before they were up.
  std::erase_if(entries_, [](const Entry& known) { return known.spec.use_count() == 1; });
  if (entries_.size() >= kSpecBytesMax) entries_.erase(entries_.begin());
  entries_.push_back(std::move(entry));
}

void SpecBytes::Forget(const TaskSpecPtr& spec) {
  std::erase_if(entries_, [&spec](const Entry& entry) { return entry.spec == spec; });
}

void PutAttempt(store::WriteBatch& batch, const Attempt& a, SpecBytes& specs) {
  wire::Scratch<v1::AssignmentRecord> scratch;
  v1::AssignmentRecord& r = *scratch;
  r.set_task(a.key.task.str());
  r.set_attempt(a.key.attempt);
  wire::ToProto(a.placement, *r.mutable_placement());
  r.set_stop(a.stop);
  r.set_grace_ns(a.grace.count());
  r.set_launch(a.launch);
  r.set_launch_min(a.launch_min);
  r.set_done(a.done);
  for (const WallTime at : a.launches_at) r.add_launches_at_ns(ToNanos(at));
  r.set_restart_at_ns(ToNanos(a.restart_at));
  r.set_restarts_in_row(a.restarts_in_row);
  if (a.last_fact) wire::ToProto(*a.last_fact, *r.mutable_last_fact());
  if (a.health) wire::ToProto(*a.health, *r.mutable_health());
  r.set_final_fact(a.final_fact);
  // Fields may come in any order, and one behind the other they are the message.
  const std::string_view spec = a.spec == nullptr ? std::string_view() : specs.Of(a.spec);
  const std::size_t bytes = r.ByteSizeLong();
  const std::span<char> value = batch.PutRoom(kAssignmentsTable, KeyOf(a.key), bytes + spec.size());
  CUBE_CHECK(r.SerializeToArray(value.data(), static_cast<int>(bytes)));
  std::ranges::copy(spec, value.subspan(bytes).begin());
  if (a.spec != nullptr) {
    const bool has_come_up = a.last_fact && a.last_fact->state >= LaunchState::kRunning &&
                             static_cast<std::int64_t>(a.last_fact->key.launch) == a.launch;
    if (has_come_up) specs.Forget(a.spec);
  }
}

void DeleteAttempt(store::WriteBatch& batch, const AttemptKey& key) {
  batch.Delete(kAssignmentsTable, KeyOf(key));
}

void PutOutbox(store::WriteBatch& batch, const NodeName& node, const Meta& meta,
               const EncodedFact& fact) {
  FactBatch one;
  one.node = node;
  one.instance = meta.instance;
  one.incarnation = meta.incarnation;
  one.first_number = fact.number;
  const std::string_view bytes = fact.bytes;
  batch.Put(kOutboxTable, NumberKey(fact.number), wire::JoinFacts(one, {&bytes, 1}));
}

void DeleteOutbox(store::WriteBatch& batch, std::uint64_t number) {
  batch.Delete(kOutboxTable, NumberKey(number));
}

Result<std::vector<NumberedFact>> ReadOutboxFrom(const store::Store& store, const NodeName& node,
                                                 std::uint64_t from, std::size_t facts_max) {
  std::vector<NumberedFact> facts;
  CUBE_TRY_VOID(ScanAll(store, kOutboxTable, NumberKey(from),
                        [&](std::string_view key, std::string_view value) -> Result<bool> {
                          CUBE_TRY(NumberedFact fact, DecodeOutbox(node, key, value));
                          facts.push_back(std::move(fact));
                          return facts.size() < facts_max;
                        }));
  return facts;
}

}  // namespace cube::worker
