// Which nodes speak and which are silent, from heartbeats alone. The leader measures silence in
// its own heartbeats that have come back to it, so that a slow bus or a paused leader accuses
// nobody. Never part of the view.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/manager/core/decide.h"
#include "shared/base/time.h"
#include "shared/cluster/view.h"
#include "shared/domain/assign.h"

namespace cube::manager {

// Echoes without a heartbeat of a node between them that make it silent.
inline constexpr std::uint64_t kSilentEchoes = 3;
// More nodes than this share going silent together is more likely our fault than theirs, or that of
// a machine with too much to do, which more work would not help.
inline constexpr std::size_t kMassSilenceShare = 3;  // a third
inline constexpr std::size_t kMassSilenceMin = 3;
inline constexpr Duration kMassSilenceHold = std::chrono::seconds(30);
// After that so many are called down with each echo, until less than kMassSilenceMin are left:
// their tasks come to the others a few at a time.
inline constexpr std::size_t kMassDownShare = 100;  // a hundredth of the nodes, at least one

class Liveness {
 public:
  // A new leader has heard nothing yet: every node gets the full time.
  void Reset();

  // A heartbeat of a worker. -> whether that worker is the node's welcomed one. `claims` = it shows
  // what the log does not have: it is alive, and is not called up before that is judged, since a
  // node that is up is told what it should run.
  bool OnHeartbeat(const View& view, const Heartbeat& beat, bool claims);
  // The leader's own heartbeat has come back.
  void OnEcho(const View& view);
  // Nothing waits in the inbox any more: heartbeats that a slow bus delivered behind the echoes are
  // counted. Only now is anybody judged; `notice` gets a sentence if the verdict on many was put
  // off.
  void OnDrained(const View& view, MonoTime now, std::string& notice);

  // What deciding should know; drops what the view shows to be done.
  [[nodiscard]] Verdicts Judge(const View& view);

 private:
  struct Heard {
    std::uint64_t echo = 0;   // number of echoes when it last spoke
    std::uint64_t beats = 0;  // heartbeats counted
    std::uint64_t instance = 0;
  };
  void JudgeJoins(const View& view, Verdicts& verdicts);

  std::uint64_t echoes_ = 0;
  std::uint64_t judged_ = 0;  // echoes_ when the inbox was drained last
  std::map<NodeName, Heard> heard_;
  std::map<NodeName, std::uint64_t> silent_;  // with the instance that is silent
  std::set<NodeName> returned_;
  std::set<NodeName> claiming_;  // of those: their newest heartbeat does
  struct Join {
    std::uint64_t instance = 0;
    std::uint64_t beats = 0;  // of the welcomed worker when the join was seen
    std::uint64_t echo = 0;
  };
  std::map<NodeName, Join> joins_;
  MonoTime mass_since_{};
  bool mass_ = false;
};

}  // namespace cube::manager
