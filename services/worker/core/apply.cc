// What the leader says: live copies of decisions, complete sets, welcomes.
#include <algorithm>
#include <tuple>
#include <utility>

#include "services/worker/core/worker_core.h"

namespace cube::worker {
namespace {

bool OnlyUpToDate(const AssignBatch& batch) {
  return !batch.items.empty() &&
         std::all_of(batch.items.begin(), batch.items.end(),
                     [](const AssignItem& i) { return std::holds_alternative<UpToDate>(i); });
}

}  // namespace

bool WorkerCore::TermFits(Term term) const {
  return term == meta_.term || term.epoch > meta_.term.epoch;
}

// The end of the log that a welcome follows may be older than what we were told.
bool WorkerCore::WelcomeFits(Term term) const { return TermFits(term) || log_term_ == term; }

// An instance is of one cluster: it begins anew, with another one, where it is welcomed by another.
bool WorkerCore::OfOtherCluster(const std::string& cluster) const {
  return !cluster.empty() && !meta_.cluster.empty() && meta_.cluster != cluster;
}

// Welcomes are ordered by term, then incarnation. In a newer term an incarnation that is not higher
// means that the log has lost our welcome, and what is in the log counts. It has lost one of a
// later term than its newest too.
bool WorkerCore::WelcomeCounts(Term term, std::uint32_t incarnation) const {
  if (log_term_ == term && term.epoch < meta_.welcome_epoch) return true;
  return std::tie(term.epoch, incarnation) > std::tie(meta_.welcome_epoch, meta_.incarnation);
}

void WorkerCore::Welcome(std::uint32_t incarnation, const std::string& cluster, Term term,
                         std::uint64_t last_fact, Now now) {
  const bool engines_started = !meta_.cluster.empty();
  ++welcomes_;
  LookAtAll();
  log_term_.reset();
  meta_.incarnation = incarnation;
  meta_.welcome_epoch = term.epoch;
  meta_.cluster = cluster;
  meta_.term = term;
  meta_.position = 0;
  meta_.report = {};
  meta_.last_fact = last_fact;
  meta_.forgotten_fact = 0;
  acked_ = last_fact;
  exits_unacked_.clear();
  effects_.meta_changed = true;
  effects_.facts.clear();
  pages_.clear();
  TellAgain(now);
  if (!engines_started) Begin();
}

// Numbers begin anew, so what was said in an older incarnation is said again, and what waits for an
// acknowledgement waits for that of its new number.
void WorkerCore::TellAgain(Now now) {
  for (auto& [key, c] : containers_) {
    c.exit_fact = 0;
    c.stale_reported = false;  // told again once what is desired is known
  }
  for (auto& [key, a] : attempts_) {
    if (!a.last_fact) continue;
    for (auto& [launch, c] : containers_.Of(key.task)) {
      const bool older = launch.attempt == key.attempt && launch < a.last_fact->key;
      if (!older || !c.exited() || OwnerOf(c.status) != &a) continue;
      c.exit_fact = Put({now.wall, FactOf(c.status)});
    }
    const std::uint64_t number = Put({now.wall, *a.last_fact});
    if (a.done) a.final_fact = number;
    Container* newest = containers_.Find(a.last_fact->key);
    if (newest != nullptr && newest->exited() && OwnerOf(newest->status) == &a) {
      newest->exit_fact = number;
    }
    if (a.health && !a.done) Put({now.wall, *a.health});
    Touch(a);
  }
}

// The log may not know of it. Once in an incarnation, before anything else is told to us.
void WorkerCore::TellHeld(Now now) {
  if (meta_.held_told == meta_.incarnation || DesiredKnown()) return;
  meta_.held_told = meta_.incarnation;
  effects_.meta_changed = true;
  for (const auto& [key, a] : attempts_) {
    Put({now.wall, AttemptHeld{key.task, key.attempt, a.placement, a.spec, a.last_fact, a.health}});
  }
  Put({now.wall, AllHeld{}});
}

Applied WorkerCore::Apply(const AssignBatch& b, Now now) {
  if (b.node != options_.node) return Applied::kIgnored;
  for (const AssignItem& item : b.items) {
    if (const auto* r = std::get_if<JoinRefused>(&item); r && r->instance == meta_.instance) {
      effects_.notices.push_back({true, r->reason, {}});
      return Applied::kRefused;
    }
    if (const auto* j = std::get_if<JoinAgain>(&item); j && j->instance == meta_.instance) {
      return Applied::kJoinAgain;
    }
    if (const auto* w = std::get_if<Welcomed>(&item); w && w->instance == meta_.instance) {
      if (OfOtherCluster(b.cluster)) return Applied::kOtherCluster;
      // Who is to tell what it has is told so until it has, by one leader after the other.
      const bool repeated = w->hold && w->incarnation == meta_.incarnation;
      const bool counts = !repeated && WelcomeCounts(b.term, w->incarnation);
      if (counts) {
        if (!WelcomeFits(b.term)) return Applied::kOtherTerm;
        Welcome(w->incarnation, b.cluster, b.term, 0, now);
      }
      if (w->hold && w->incarnation == meta_.incarnation) TellHeld(now);
      if (counts) return Applied::kWelcomed;
    }
  }
  if (b.instance != meta_.instance || meta_.incarnation == 0) return Applied::kIgnored;
  if (OfOtherCluster(b.cluster)) return Applied::kOtherCluster;
  if (!TermFits(b.term)) return Applied::kOtherTerm;
  if (b.incarnation != meta_.incarnation) {
    if (!WelcomeCounts(b.term, b.incarnation)) return Applied::kIgnored;
    // How far the facts of a lower one have come only a complete set says.
    if (b.incarnation < meta_.incarnation) return Applied::kGap;
    Welcome(b.incarnation, b.cluster, b.term, 0, now);
    return Applied::kWelcomed;
  }
  if (!DesiredKnown()) return Applied::kGap;
  // The log gives away again what we were told in an earlier term: it had lost its end. It may have
  // lost our term too, if that is not the one before. Our position and term show that to the
  // leader, with the hello; its answer comes when it has looked.
  const bool newer = b.term_seq != 0 && b.term.epoch > meta_.term.epoch;
  if (newer && b.term_seq <= meta_.position) return Applied::kGap;
  if (newer && b.term_before != meta_.term && !OnlyUpToDate(b)) return Applied::kGap;
  if (OnlyUpToDate(b)) {
    if (b.prev > meta_.position) return Applied::kGap;
  } else if (b.seq <= meta_.position) {
    if (b.term.epoch <= meta_.term.epoch) return Applied::kDuplicate;
    // The same, told by a leader whose view was stored before it noted where terms begin: what is
    // desired is unknown until a complete set says it.
    meta_.position = 0;
    effects_.meta_changed = true;
    return Applied::kGap;
  } else if (b.prev > meta_.position || (b.first != 0 && b.first <= meta_.position)) {
    // Something before it is missing, or a part of it is known: then which attempts of it have
    // ended, and been forgotten, cannot be told.
    return Applied::kGap;
  }
  for (const AssignItem& item : b.items) ApplyItem(item, now);
  if (b.seq > meta_.position || b.term != meta_.term) {
    meta_.position = std::max(meta_.position, b.seq);
    meta_.term = b.term;
    effects_.meta_changed = true;
  }
  return Applied::kApplied;
}

void WorkerCore::ApplyItem(const AssignItem& item, Now now) {
  if (const auto* start = std::get_if<Assignment>(&item)) {
    Assign(*start, now);
    Supersede(start->task, start->attempt);
  } else if (const auto* stop = std::get_if<StopAssignment>(&item)) {
    AskStop(stop->task, stop->attempt, stop->grace);
  }
}

void WorkerCore::Assign(const Assignment& assignment, Now now) {
  AttemptKey key{assignment.task, assignment.attempt};
  Attempt* found = attempts_.Find(key);
  if (found != nullptr && found->placement != assignment.placement) {
    // The same number from another history of the log: the old one counts no more.
    Look(key.task);
    attempts_.Erase(key);
    found = nullptr;
  }
  if (found == nullptr) {
    Attempt a;
    a.key = key;
    a.placement = assignment.placement;
    a.spec = assignment.spec;
    a.launch_min = assignment.launches;
    a.due = now.mono;
    found = &attempts_.Add(std::move(key), std::move(a)).second;
    Touch(*found);
  }
  if (std::exchange(found->unassigned, false)) Look(assignment.task);
  if (assignment.stop) AskStop(assignment.task, assignment.attempt, assignment.grace);
}

void WorkerCore::AskStop(const TaskId& task, std::uint32_t attempt, Duration grace) {
  Attempt* found = attempts_.Find({task, attempt});
  if (found == nullptr) return;  // ended and forgotten: its final fact has told
  Attempt& a = *found;
  if (a.done || (a.stop && a.grace <= grace)) return;
  a.stop = true;
  a.grace = grace;
  Touch(a);
}

// The leader placed the task here again: it knows that the older attempts are over.
void WorkerCore::Supersede(const TaskId& task, std::uint32_t newer) {
  for (const auto& [key, a] : attempts_.Of(task)) {
    if (key.attempt < newer && !a.stop) AskStop(key.task, key.attempt, kStaleGrace);
  }
}

Applied WorkerCore::Apply(const DesiredPage& page, Now now, Random& random) {
  if (page.node != options_.node || page.instance != meta_.instance || page.seq == 0 ||
      page.page >= page.pages) {
    return Applied::kIgnored;
  }
  if (OfOtherCluster(page.cluster)) return Applied::kOtherCluster;
  const bool welcomes = page.incarnation != meta_.incarnation;
  if (!(welcomes ? WelcomeFits(page.term) : TermFits(page.term))) return Applied::kOtherTerm;
  if (welcomes) {
    if (!WelcomeCounts(page.term, page.incarnation)) return Applied::kIgnored;
    Welcome(page.incarnation, page.cluster, page.term, page.last_fact, now);
  }
  const bool newer_term = page.term.epoch > meta_.term.epoch;
  if (!newer_term && page.seq < meta_.position) return Applied::kDuplicate;
  // It may name attempts whose records were dropped here, and which would be started again.
  if (page.last_fact < meta_.forgotten_fact) return Applied::kGap;
  if (!pages_.empty()) {
    const DesiredPage& other = pages_.begin()->second;
    if (std::tie(other.term, other.seq, other.pages, other.last_fact) !=
        std::tie(page.term, page.seq, page.pages, page.last_fact)) {
      if (page.term == other.term && page.seq < other.seq) return Applied::kDuplicate;
      pages_.clear();
    }
  }
  pages_.insert_or_assign(page.page, page);
  if (pages_.size() < page.pages) return Applied::kPartial;
  return ApplySet(now, random);
}

Applied WorkerCore::ApplySet(Now now, Random& random) {
  const auto pages = std::exchange(pages_, {});
  const DesiredPage& first = pages.begin()->second;
  LookAtAll();
  meta_.term = first.term;
  meta_.position = first.seq;
  meta_.report = first.report;
  // After a loss of our own store's end, numbers that are taken are not used again.
  meta_.last_fact = std::max(meta_.last_fact, first.last_fact);
  effects_.meta_changed = true;
  std::set<AttemptKey> named;
  for (const auto& [number, page] : pages) {
    for (const Assignment& assignment : page.assignments) {
      Assign(assignment, now);
      if (!assignment.stop) TakeBackStop({assignment.task, assignment.attempt});
      named.insert({assignment.task, assignment.attempt});
    }
  }
  for (auto& [key, a] : attempts_) {
    if (named.contains(key)) continue;
    a.unassigned = true;
    if (!a.stop) AskStop(key.task, key.attempt, kStaleGrace);
  }
  FoldAll(now, random);
  return Applied::kApplied;
}

}  // namespace cube::worker
