#include "test/support/wire/equal.h"

#include <tuple>

namespace cube::testing {
namespace {

// Each type as a tuple of what can be compared; specs apart.
auto Parts(const StopAttempt& x) { return std::tie(x.task, x.attempt, x.node, x.grace); }
auto Parts(const RefuseIntent& x) { return std::tie(x.intent, x.index, x.task, x.error); }
auto Parts(const NodeDown& x) { return std::tie(x.node, x.reason); }
auto Parts(const NodeUp& x) { return std::tie(x.node); }
auto Parts(const WelcomeNode& x) { return std::tie(x.node, x.instance, x.incarnation, x.hold); }
auto Parts(const RefuseNode& x) { return std::tie(x.node, x.instance, x.reason); }
auto Parts(const ForgetTask& x) { return std::tie(x.task); }
auto Parts(const SetLoad& x) { return std::tie(x.node, x.load); }
auto Parts(const StopAssignment& x) { return std::tie(x.task, x.attempt, x.grace); }
auto Parts(const Welcomed& x) { return std::tie(x.instance, x.incarnation, x.hold); }
auto Parts(const JoinRefused& x) { return std::tie(x.instance, x.reason); }
auto Parts(const UpToDate&) { return std::tuple<>(); }
auto Parts(const JoinAgain& x) { return std::tie(x.instance); }
auto Parts(const DropAttempt& x) { return std::tie(x.node, x.task, x.attempt, x.reason); }
auto Parts(const SettleNode& x) { return std::tie(x.node); }
auto Parts(const StopTask& x) { return std::tie(x.id, x.grace); }
auto Parts(const CordonNode& x) { return std::tie(x.node, x.cordon); }
auto Parts(const DrainNode& x) { return std::tie(x.node, x.deadline); }
auto Parts(const EvictAttempt& x) {
  return std::tie(x.task, x.attempt, x.node, x.grace, x.reason, x.ends);
}
auto Parts(const ScaleJob& x) { return std::tie(x.name, x.replicas); }
auto Parts(const StopJob& x) { return std::tie(x.name, x.grace); }
auto Parts(const FillSlots& x) {
  return std::tie(x.job, x.version, x.first, x.count, x.node, x.vacant);
}
auto Parts(const EmptySlots& x) {
  return std::tie(x.job, x.version, x.first, x.count, x.grace, x.release);
}
auto Parts(const EndUpdate& x) { return std::tie(x.job, x.version, x.failure); }
auto Parts(const EndJob& x) { return std::tie(x.job, x.end, x.reason); }
auto Parts(const InvalidItem& x) { return std::tie(x.task, x.name, x.error); }

template <class T>
bool Same(const T& a, const T& b) {
  return Parts(a) == Parts(b);
}
bool Same(const StartAttempt& a, const StartAttempt& b) {
  return std::tie(a.task, a.attempt, a.node, a.explanation) ==
             std::tie(b.task, b.attempt, b.node, b.explanation) &&
         Equal(a.spec, b.spec);
}
bool Same(const ReadoptAttempt& a, const ReadoptAttempt& b) {
  const bool same_spec =
      a.spec == nullptr || b.spec == nullptr ? a.spec == b.spec : Equal(a.spec, b.spec);
  return same_spec && std::tie(a.node, a.task, a.attempt, a.placement) ==
                          std::tie(b.node, b.task, b.attempt, b.placement);
}
bool Same(const SubmitTask& a, const SubmitTask& b) {
  return a.id == b.id && Equal(a.spec, b.spec);
}
bool Same(const SubmitJob& a, const SubmitJob& b) {
  return std::tie(a.spec.name, a.spec.type, a.spec.replicas, a.spec.update) ==
             std::tie(b.spec.name, b.spec.type, b.spec.replicas, b.spec.update) &&
         Equal(a.spec.task, b.spec.task);
}
bool Same(const Assignment& a, const Assignment& b) { return Equal(a, b); }

template <class Variant>
bool SameVariant(const Variant& a, const Variant& b) {
  if (a.index() != b.index()) return false;
  return std::visit([&b](const auto& x) { return Same(x, std::get<std::decay_t<decltype(x)>>(b)); },
                    a);
}

template <class List, class Compare>
bool SameList(const List& a, const List& b, Compare compare) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), compare);
}

}  // namespace

bool Equal(const TaskSpecPtr& a, const TaskSpecPtr& b) {
  return a == b || (a != nullptr && b != nullptr && *a == *b);
}
bool Equal(const IntentItem& a, const IntentItem& b) { return SameVariant(a, b); }
bool Equal(const DecisionItem& a, const DecisionItem& b) { return SameVariant(a, b); }

bool Equal(const DecisionBatch& a, const DecisionBatch& b) {
  const auto head = [](const DecisionBatch& x) {
    return std::tie(x.term, x.cycle, x.prev, x.intents, x.facts, x.decided_at, x.told,
                    x.term_start);
  };
  return head(a) == head(b) &&
         SameList(a.items, b.items,
                  [](const DecisionItem& x, const DecisionItem& y) { return Equal(x, y); });
}

bool Equal(const Assignment& a, const Assignment& b) {
  const auto head = [](const Assignment& x) {
    return std::tie(x.task, x.attempt, x.placement, x.stop, x.grace, x.launches);
  };
  return head(a) == head(b) && Equal(a.spec, b.spec);
}

bool Equal(const AssignBatch& a, const AssignBatch& b) {
  const auto head = [](const AssignBatch& x) {
    return std::tie(x.term, x.node, x.instance, x.incarnation, x.seq, x.first, x.prev, x.stamp,
                    x.cluster, x.term_seq, x.term_before);
  };
  return head(a) == head(b) &&
         SameList(a.items, b.items,
                  [](const AssignItem& x, const AssignItem& y) { return SameVariant(x, y); });
}

bool Equal(const DesiredPage& a, const DesiredPage& b) {
  const auto head = [](const DesiredPage& x) {
    return std::tie(x.term, x.node, x.instance, x.incarnation, x.seq, x.page, x.pages, x.report,
                    x.cluster, x.last_fact);
  };
  return head(a) == head(b) &&
         SameList(a.assignments, b.assignments,
                  [](const Assignment& x, const Assignment& y) { return Equal(x, y); });
}

bool Equal(const Heartbeat& a, const Heartbeat& b) {
  const auto parts = [](const Heartbeat& x) {
    return std::tie(x.node, x.instance, x.incarnation, x.number, x.position, x.term, x.hello,
                    x.sent_at, x.nodes);
  };
  return parts(a) == parts(b);
}

}  // namespace cube::testing
