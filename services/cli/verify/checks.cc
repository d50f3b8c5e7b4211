#include "services/cli/verify/checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "shared/cluster/assignments.h"
#include "shared/wire/convert.h"
#include "shared/wire/digest.h"

namespace cube::cli {
namespace {

using manager::RangeDigest;
using manager::RecordKind;

constexpr std::string_view kRecord = "(record)";

std::string Text(bool value) { return value ? "true" : "false"; }
std::string Text(const Stamp& stamp) {
  return fmt::format("term {:016x} cycle {}", stamp.term_id, stamp.cycle);
}
std::string Text(const Term& term) {
  return fmt::format("epoch {} id {:016x}", term.epoch, term.id);
}
std::string Text(std::uint64_t value) { return std::to_string(value); }
std::string Hex(std::uint64_t value) { return fmt::format("{:016x}", value); }
std::string TextNs(Duration time) { return FormatDuration(time); }

// Gathers the fields of one record that differ.
class Fields {
 public:
  explicit Fields(std::string record) : record_(std::move(record)) {}
  void Compare(std::string_view field, const std::string& log, const std::string& service) {
    if (log == service) return;
    if (found_) {
      ++found_->more;
    } else {
      found_ = Difference{record_, std::string(field), log, service, 0};
    }
  }
  [[nodiscard]] std::optional<Difference> found() const { return found_; }

 private:
  std::string record_;
  std::optional<Difference> found_;
};

std::string AttemptName(const std::string& task, std::uint32_t attempt) {
  return fmt::format("task {} attempt {}", task, attempt);
}

std::string WhereNow(const View& view, const std::string& task) {
  const Task* known = view.Find(TaskId::Trusted(task));
  if (known == nullptr) return "there is no such task";
  if (!IsLive(*known)) return fmt::format("attempt {} has ended or was lost", known->attempt);
  return fmt::format("attempt {} on node {}", known->attempt, known->node.str());
}

}  // namespace

// ---- views ------------------------------------------------------------------------------------

Records RecordsIn(const View& view, RecordKind kind, const std::string& first,
                  const std::string& end) {
  Records records;
  VisitRecords(view, kind, first, [&](const std::string& key, const std::string& bytes) {
    if (!end.empty() && key >= end) return false;
    records.emplace(key, bytes);
    return true;
  });
  return records;
}

std::optional<Difference> CompareRecordLists(RecordKind kind, const Records& log,
                                             const Records& service) {
  auto ours = log.begin();
  auto theirs = service.begin();
  while (ours != log.end() || theirs != service.end()) {
    const bool only_ours =
        theirs == service.end() || (ours != log.end() && ours->first < theirs->first);
    const bool only_theirs =
        ours == log.end() || (theirs != service.end() && theirs->first < ours->first);
    if (only_ours) {
      return Difference{RecordName(kind, ours->first, ours->second), std::string(kRecord),
                        "is there", "", 0};
    }
    if (only_theirs) {
      return Difference{RecordName(kind, theirs->first, theirs->second), std::string(kRecord), "",
                        "is there", 0};
    }
    const auto fields = manager::CompareRecords(kind, ours->second, theirs->second);
    if (!fields.empty()) {
      return Difference{RecordName(kind, ours->first, ours->second), fields.front().field,
                        fields.front().left, fields.front().right, fields.size() - 1};
    }
    ++ours;
    ++theirs;
  }
  return std::nullopt;
}

std::optional<DifferentRange> FirstDifferentRange(const View& view,
                                                  const std::vector<RangeDigest>& service) {
  const std::vector<RangeDigest> log = DigestsLike(view, service);
  for (std::size_t i = 0; i < log.size(); ++i) {
    if (log[i] == service[i]) continue;
    const bool last = i + 1 == log.size() || log[i + 1].kind != log[i].kind;
    return DifferentRange{log[i].kind, log[i].first, last ? std::string() : log[i + 1].first,
                          log[i].records, service[i].records};
  }
  return std::nullopt;
}

Result<std::vector<RangeDigest>> RangesFrom(const v1::VerifyViewReply& reply) {
  std::vector<RangeDigest> ranges;
  std::vector<RecordKind> kinds;
  for (const v1::RangeDigest& from : reply.ranges()) {
    RangeDigest range{static_cast<RecordKind>(from.kind()), from.first(), from.records(),
                      from.digest()};
    const bool same_kind = !ranges.empty() && ranges.back().kind == range.kind;
    if (same_kind ? range.first <= ranges.back().first : !range.first.empty()) {
      return Fail(Code::kInvalid, "its ranges are not in order", "ranges");
    }
    if (!same_kind) kinds.push_back(range.kind);
    ranges.push_back(std::move(range));
  }
  if (!std::ranges::equal(kinds, manager::kRecordKinds)) {
    return Fail(Code::kInvalid, "it does not tell of every kind of record", "ranges");
  }
  return ranges;
}

std::optional<Difference> CompareViews(const View& log, const View& service) {
  manager::ViewDigest digest;
  digest.Begin(service);
  digest.Walk(service, service.nodes.size() + service.jobs.size() + service.tasks.size() + 1);
  const auto range = FirstDifferentRange(log, digest.Ranges(service));
  if (!range) return std::nullopt;
  return CompareRecordLists(range->kind, RecordsIn(log, range->kind, range->first, range->end),
                            RecordsIn(service, range->kind, range->first, range->end));
}

// ---- complete sets ----------------------------------------------------------------------------

std::optional<Difference> CompareSet(const View& view, const std::vector<DesiredPage>& pages) {
  const DesiredPage& head = pages.front();
  const auto it = view.nodes.find(head.node);
  const std::string name = "node " + head.node.str();
  if (it == view.nodes.end()) return Difference{name, std::string(kRecord), "", "is there", 0};
  const Node& node = it->second;
  Fields fields(name);
  fields.Compare("term", Text(view.term), Text(head.term));
  fields.Compare("instance", Hex(node.instance), Hex(head.instance));
  fields.Compare("incarnation", Text(std::uint64_t{node.incarnation}),
                 Text(std::uint64_t{head.incarnation}));
  fields.Compare("last_fact", Text(node.last_fact), Text(head.last_fact));
  fields.Compare("report", Text(node.reported ? Stamp{} : node.up), Text(head.report));
  if (fields.found()) return fields.found();

  std::map<std::string, Assignment> told;
  for (const DesiredPage& page : pages) {
    for (const Assignment& assignment : page.assignments) {
      told.emplace(assignment.task.str(), assignment);
    }
  }
  for (const TaskNumber& number : node.attempts) {
    const Assignment ours = AssignmentOf(view.tasks.At(number));
    const auto found = told.find(ours.task.str());
    Fields of(AttemptName(ours.task.str(), ours.attempt));
    if (found == told.end()) {
      of.Compare(kRecord, "is there", "");
    } else {
      const Assignment& theirs = found->second;
      of.Compare("attempt", Text(std::uint64_t{ours.attempt}), Text(std::uint64_t{theirs.attempt}));
      of.Compare("placement", Text(ours.placement), Text(theirs.placement));
      of.Compare("spec", Hex(wire::SpecDigest(*ours.spec)), Hex(wire::SpecDigest(*theirs.spec)));
      of.Compare("stop", Text(ours.stop), Text(theirs.stop));
      if (ours.stop) of.Compare("grace", TextNs(ours.grace), TextNs(theirs.grace));
      of.Compare("launches", Text(std::uint64_t{ours.launches}),
                 Text(std::uint64_t{theirs.launches}));
      told.erase(found);
    }
    if (of.found()) return of.found();
  }
  if (told.empty()) return std::nullopt;
  const Assignment& extra = told.begin()->second;
  return Difference{AttemptName(extra.task.str(), extra.attempt), std::string(kRecord),
                    WhereNow(view, extra.task.str()), "is there", 0};
}

// ---- workers ----------------------------------------------------------------------------------

namespace {

// An attempt that the log has live on the node, and the worker's record of it.
std::optional<Difference> CompareAttempt(const Task& task, const Node& node,
                                         const v1::HeldAttempt& held, bool facts_folded) {
  const Assignment ours = AssignmentOf(task);
  Fields fields(AttemptName(ours.task.str(), ours.attempt));
  fields.Compare("placement", Text(ours.placement), Text(wire::FromProto(held.placement())));
  if (held.done()) {
    // Its end is under way to the log, or the log has not folded it yet.
    if (held.final_fact() <= node.last_fact) fields.Compare("done", Text(false), Text(true));
    return fields.found();
  }
  fields.Compare("spec", Hex(wire::SpecDigest(*ours.spec)), Hex(held.spec_digest()));
  fields.Compare("stop", Text(ours.stop), Text(held.stop()));
  if (facts_folded && held.has_last_fact() && task.observed) {
    v1::LaunchFact observed;
    wire::ToProto(FactOf(task), observed);
    fields.Compare("launch", Text(std::uint64_t{observed.launch()}),
                   Text(std::uint64_t{held.last_fact().launch()}));
    fields.Compare("state", v1::LaunchState_Name(observed.state()),
                   v1::LaunchState_Name(held.last_fact().state()));
  }
  return fields.found();
}

}  // namespace

HeldCheck CompareHeld(const View& view, const v1::VerifyNodeReply& held) {
  const auto it = view.nodes.find(NodeName::Trusted(held.node()));
  const std::string name = "node " + held.node();
  if (it == view.nodes.end()) {
    return {Difference{name, std::string(kRecord), "", "is there", 0}, true};
  }
  const Node& node = it->second;
  Fields fields(name);
  fields.Compare("cluster", view.term_start ? view.term_start->cluster : "", held.cluster());
  fields.Compare("instance", Hex(node.instance), Hex(held.instance()));
  fields.Compare("incarnation", Text(std::uint64_t{node.incarnation}),
                 Text(std::uint64_t{held.incarnation()}));
  if (held.position() > view.valid_seq) {
    fields.Compare("position", "at most " + Text(view.valid_seq), Text(held.position()));
  } else if (held.position() < node.last_decision) {
    fields.Compare("position", "at least " + Text(node.last_decision), Text(held.position()));
  }
  if (held.last_fact() < node.last_fact) {
    fields.Compare("last_fact", "at least " + Text(node.last_fact), Text(held.last_fact()));
  }
  // Each of these may be on its way.
  if (fields.found()) return {fields.found(), true};

  const bool facts_folded = held.last_fact() == node.last_fact;
  std::map<std::string, std::map<std::uint32_t, const v1::HeldAttempt*>> records;
  for (const v1::HeldAttempt& attempt : held.attempts()) {
    records[attempt.task()][attempt.attempt()] = &attempt;
  }
  for (const TaskNumber& number : node.attempts) {
    const Task& task = view.tasks.At(number);
    const auto of_task = records.find(IdOf(task).str());
    const v1::HeldAttempt* record = nullptr;
    if (of_task != records.end()) {
      const auto found = of_task->second.find(task.attempt);
      if (found != of_task->second.end()) record = found->second;
    }
    if (record == nullptr) {
      // A record is dropped once its last fact is in the log, which need not be folded yet.
      const bool dropped = held.forgotten_fact() > node.last_fact;
      return {Difference{AttemptName(IdOf(task).str(), task.attempt), std::string(kRecord),
                         "is there", "", 0},
              dropped};
    }
    if (auto found = CompareAttempt(task, node, *record, facts_folded)) return {found, false};
  }
  for (const v1::HeldAttempt& attempt : held.attempts()) {
    if (attempt.done() || attempt.stop()) continue;  // it has ended, or is about to
    const Task* task = view.Find(TaskId::Trusted(attempt.task()));
    if (task != nullptr && node.attempts.contains(task->number) &&
        task->attempt == attempt.attempt()) {
      continue;
    }
    return {Difference{AttemptName(attempt.task(), attempt.attempt()), std::string(kRecord),
                       WhereNow(view, attempt.task()), "is there", 0},
            false};
  }
  return {};
}

}  // namespace cube::cli
