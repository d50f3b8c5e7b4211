// What a worker knows: the durable part (worker_store.h keeps it) as values. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/rare.h"
#include "shared/base/time.h"
#include "shared/domain/fact.h"
#include "shared/domain/ids.h"
#include "shared/domain/launch.h"
#include "shared/domain/task_spec.h"

namespace cube::worker {

struct AttemptKey {
  TaskId task;
  std::uint32_t attempt = 0;
  friend auto operator<=>(const AttemptKey&, const AttemptKey&) = default;
};

// The order of attempts; finds all of a task without making a key for it.
struct ByTask {
  using is_transparent = void;
  template <class Key>
  bool operator()(const Key& a, const Key& b) const {
    return a < b;
  }
  template <class Key>
  bool operator()(const Key& a, const TaskId& task) const {
    return a.task < task;
  }
  template <class Key>
  bool operator()(const TaskId& task, const Key& b) const {
    return task < b.task;
  }
};

// An attempt that this node was told to run, and how far it has come.
struct Attempt {
  AttemptKey key;
  Stamp placement;
  TaskSpecPtr spec;                   // null once the attempt is done
  bool stop = false;                  // it should end
  Duration grace{0};                  // with stop
  std::int64_t launch = -1;           // newest launch that was begun; -1 = none
  std::uint32_t launch_min = 0;       // lower numbers were begun before this store was made
  bool done = false;                  // no further launch follows
  std::vector<WallTime> launches_at;  // within kRestartWindow, oldest first
  WallTime restart_at;                // when the next launch is due; unset = none is
  std::uint32_t restarts_in_row = 0;
  std::optional<LaunchFact> last_fact;  // the newest in the outbox
  std::uint64_t final_fact = 0;         // with done: its number
  Rare<HealthFact> health;              // the newest in the outbox, of `launch`

  // ---- not stored ----
  MonoTime due;             // restart_at on the clock that does not jump
  MonoTime pull_fact_at;    // when progress was last reported
  bool unassigned = false;  // the last complete set does not have it

  friend bool operator==(const Attempt&, const Attempt&) = default;
};

// The newest launch that was begun has ended, and the outbox says so.
[[nodiscard]] inline bool LaunchEnded(const Attempt& a) {
  return a.last_fact && a.last_fact->state == LaunchState::kExited &&
         static_cast<std::int64_t>(a.last_fact->key.launch) == a.launch;
}

// The checks of the running launch have failed, and it is to end for that.
[[nodiscard]] inline bool Condemned(const Attempt& a) {
  return a.health && !a.health->healthy && a.spec && a.spec->health &&
         a.spec->health->on_failure == HealthCheck::OnFailure::kRestart &&
         static_cast<std::int64_t>(a.health->key.launch) == a.launch;
}

// Where the worker stands.
struct Meta {
  std::uint64_t instance = 0;       // random, made with the store
  std::uint32_t incarnation = 0;    // 0 = not welcome yet
  std::uint64_t welcome_epoch = 0;  // of the term that gave us this incarnation
  std::uint64_t position = 0;       // last decision applied; 0 = what is desired is unknown
  Term term;
  std::uint64_t last_fact = 0;  // number of the last fact put
  std::string cluster;
  Stamp report;                      // the full report that is due; {0,0} = none
  std::uint64_t forgotten_fact = 0;  // highest final_fact of the dropped records
  std::uint32_t held_told = 0;       // the incarnation in which all that we have was told
  friend bool operator==(const Meta&, const Meta&) = default;
};

struct NumberedFact {
  std::uint64_t number = 0;
  Fact fact;
};

// What a start finds in the store.
struct StoredState {
  Meta meta;
  std::vector<Attempt> attempts;
  std::map<LaunchKey, std::uint64_t> exits_unacked;  // exit facts still in the outbox
  std::uint64_t acked = 0;  // all facts up to this number have been acknowledged
};

}  // namespace cube::worker
