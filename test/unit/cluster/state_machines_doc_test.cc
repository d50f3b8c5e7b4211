// The tables of docs/STATE_MACHINES.md say what the code does.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/cluster/status.h"

namespace cube {
namespace {

using Row = std::vector<std::string>;

std::string Trim(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" `");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" `") - first + 1);
}

Row CellsOf(const std::string& line) {
  Row cells;
  for (std::size_t at = 1; at < line.size();) {
    const std::size_t bar = std::min(line.find('|', at), line.size());
    cells.push_back(Trim(line.substr(at, bar - at)));
    at = bar + 1;
  }
  return cells;
}

// The rows of the one table whose head begins with these cells.
std::vector<Row> Table(const Row& head) {
  std::ifstream file(CUBE_STATE_MACHINES_DOC);
  std::vector<Row> rows;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("|")) {
      inside = false;
      continue;
    }
    const Row cells = CellsOf(line);
    const bool is_head =
        cells.size() >= head.size() && std::equal(head.begin(), head.end(), cells.begin());
    if (inside && !cells.front().starts_with("---")) rows.push_back(cells);
    inside = inside || is_head;
  }
  return rows;
}

// The words of the table of the status function, and what they stand for in a record.
using Moves = ReschedulePolicy::Mode;
enum class Evicted : std::uint8_t { kNo, kMoves, kEnds };
struct PlacedWord {
  std::string word;
  Placed placed;
  Moves moves;
  Evicted evicted = Evicted::kNo;
};
const std::array<PlacedWord, 11> kPlaced{
    {{"never", Placed::kNever, Moves::kOnLost},
     {"there", Placed::kThere, Moves::kOnLost},
     {"there", Placed::kThere, Moves::kNever},
     {"there, moves on failure", Placed::kThere, Moves::kOnFailure},
     {"evicted, moves", Placed::kThere, Moves::kOnLost, Evicted::kMoves},
     {"evicted, moves on failure", Placed::kThere, Moves::kOnFailure, Evicted::kMoves},
     {"evicted, ends", Placed::kThere, Moves::kNever, Evicted::kEnds},
     {"evicted, ends", Placed::kThere, Moves::kOnFailure, Evicted::kEnds},
     {"lost, moves", Placed::kLost, Moves::kOnLost},
     {"lost, moves", Placed::kLost, Moves::kOnFailure},
     {"lost, stays", Placed::kLost, Moves::kNever}}};

struct FactWord {
  std::string word;
  std::optional<LaunchFact> fact;
  std::optional<bool> healthy{};  // a health fact about the same launch
};

LaunchFact InState(LaunchState state) {
  LaunchFact fact;
  fact.state = state;
  return fact;
}

LaunchFact Final(bool stop_asked, ExitCause cause, std::int32_t exit_code) {
  LaunchFact fact = InState(LaunchState::kExited);
  fact.final = true;
  fact.stop_asked = stop_asked;
  fact.cause = cause;
  fact.exit_code = exit_code;
  return fact;
}

std::vector<FactWord> Facts() {
  return {{"none", std::nullopt},
          {"pulling", InState(LaunchState::kPulling)},
          {"starting", InState(LaunchState::kStarting)},
          {"running", InState(LaunchState::kRunning)},
          {"running", InState(LaunchState::kRunning), true},
          {"running, unhealthy", InState(LaunchState::kRunning), false},
          {"exited", InState(LaunchState::kExited), false},
          {"exited", InState(LaunchState::kExited)},
          {"final, stop asked", Final(true, ExitCause::kExited, 0)},
          {"final, stop asked", Final(true, ExitCause::kSignaled, 143)},
          {"final, exit code 0", Final(false, ExitCause::kExited, 0)},
          {"final, another end", Final(false, ExitCause::kExited, 1)},
          {"final, another end", Final(false, ExitCause::kSignaled, 137)},
          {"final, another end", Final(false, ExitCause::kOutOfMemory, 0)},
          {"final, another end", Final(false, ExitCause::kVanished, -1)},
          {"final, another end", Final(false, ExitCause::kUnhealthy, -1)},
          {"final, another end", Final(false, ExitCause::kStartFailed, -1)}};
}

// The status in the first row that fits; "no row" if none does.
std::string Documented(const std::vector<Row>& rows, const Row& input) {
  for (const Row& row : rows) {
    bool fits = true;
    for (std::size_t i = 0; i < input.size(); ++i) {
      fits = fits && (row[i] == "any" || row[i] == input[i]);
    }
    if (fits) return row[input.size()];
  }
  return "no row";
}

TEST(StateMachinesDocument, ListsEveryStatusInItsOrder) {
  const std::vector<Row> rows = Table({"status", "means", "final"});
  std::size_t count = 0;
  while (StatusName(static_cast<Status>(count)) != "unknown") ++count;
  ASSERT_EQ(rows.size(), count);
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_EQ(rows[i][0], StatusName(static_cast<Status>(i)));
  }
}

// A record and the words for it.
struct Case {
  Task task;
  Row words;
};

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const PlacedWord& placed : kPlaced) {
    for (const FactWord& fact : Facts()) {
      if (placed.placed == Placed::kNever && fact.fact) continue;  // a fact is about an attempt
      // A final fact frees the node, so its attempt is lost only if nobody asked for its stop.
      const bool ended = fact.fact && fact.fact->final && !fact.fact->stop_asked;
      if (placed.placed == Placed::kLost && ended) continue;
      for (const int flags : {0, 1, 2, 3}) {
        TaskSpec spec;
        spec.reschedule = {placed.moves, placed.moves == Moves::kOnFailure ? 3U : 0U};
        Task task;
        task.spec = std::make_shared<const TaskSpec>(spec);
        task.placed = placed.placed;
        if (placed.evicted != Evicted::kNo) {
          task.seldom.Edit().eviction = Eviction{0, {}, {}, "", placed.evicted == Evicted::kEnds};
        }
        task.observed = fact.fact;
        if (fact.healthy) task.health = HealthFact{fact.fact->key, {}, *fact.healthy, "why"};
        task.over = (flags & 1) != 0;
        task.stop_wanted = (flags & 2) != 0;
        Row words{task.over ? "yes" : "no", placed.word, task.stop_wanted ? "yes" : "no",
                  fact.word};
        cases.push_back({std::move(task), std::move(words)});
      }
    }
  }
  return cases;
}

TEST(StateMachinesDocument, ItsStatusFunctionIsTheCodes) {
  const std::vector<Row> rows = Table({"over", "placed", "stop wanted", "newest fact", "status"});
  std::map<std::string, std::string> final_column;
  for (const Row& row : Table({"status", "means", "final"})) final_column[row[0]] = row[2];
  for (const Case& c : AllCases()) {
    const std::string status = Documented(rows, c.words);
    EXPECT_EQ(status, StatusName(StatusOf(c.task))) << testing::PrintToString(c.words);
    EXPECT_EQ(final_column[status], IsFinished(c.task) ? "yes" : "no")
        << testing::PrintToString(c.words);
  }
}

TEST(StateMachinesDocument, ItsStatusOfAJobIsTheCodes) {
  const std::vector<Row> rows = Table({"ended as", "stop wanted", "a version is being rolled out",
                                       "tasks that are up or have completed", "job"});
  ASSERT_FALSE(rows.empty());
  const std::array<std::pair<JobEnd, std::string>, 4> ends{{{JobEnd::kNone, "no"},
                                                            {JobEnd::kCompleted, "completed"},
                                                            {JobEnd::kFailed, "failed"},
                                                            {JobEnd::kStopped, "stopped"}}};
  for (const auto& [end, end_word] : ends) {
    for (const int flags : {0, 1, 2, 3, 4, 5, 6, 7}) {
      for (const bool completed : {false, true}) {
        Job job;
        job.version = 2;
        job.end = end;
        job.stop_wanted = (flags & 1) != 0;
        job.settled_version = (flags & 2) != 0 ? 1 : 2;
        job.runs = {{0, 2}};
        JobCounts& counts = job.versions[2].counts;
        (completed ? counts.completed : counts.up) = (flags & 4) != 0 ? 1 : 0;
        counts.failed = 1;  // plays no part
        const Row words{end_word, (flags & 1) != 0 ? "yes" : "no", (flags & 2) != 0 ? "yes" : "no",
                        (flags & 4) != 0 ? "some" : "none"};
        EXPECT_EQ(Documented(rows, words), JobStatusOf(job)) << testing::PrintToString(words);
      }
    }
  }
}

TEST(StateMachinesDocument, LaunchStatesAreInTheOrderInWhichTheyMove) {
  const std::vector<Row> rows = Table({"launch state", "means"});
  const auto name = [](LaunchState state) -> std::string {
    switch (state) {  // no default: another state must be named here, and so in the document
      case LaunchState::kPulling:
        return "pulling";
      case LaunchState::kStarting:
        return "starting";
      case LaunchState::kRunning:
        return "running";
      case LaunchState::kExited:
        return "exited";
    }
    return {};
  };
  std::size_t count = 0;
  while (!name(static_cast<LaunchState>(count)).empty()) ++count;
  ASSERT_EQ(rows.size(), count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto state = static_cast<LaunchState>(i);
    EXPECT_EQ(rows[i][0], name(state));
    if (i > 0) {
      const auto before = static_cast<LaunchState>(i - 1);
      EXPECT_TRUE(MovesForward(InState(before), InState(state)));
      EXPECT_FALSE(MovesForward(InState(state), InState(before)));
    }
  }
}

}  // namespace
}  // namespace cube
