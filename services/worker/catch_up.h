// Without a leader: the worker reads what the log stores for it by itself. First the newest
// complete set of CUBE_DESIRED, then the decisions behind it, one direct get each, in order, as
// long as each is the next of the one before (Decisions.prev). Everything goes through
// WorkerCore::Apply, so a leader that answers meanwhile does no harm. A log that has another term
// at the worker's position than the one that told it of that has lost its end: what goes on there
// is not for the worker to judge. docs/PROTOCOL.md, "rebuilding a worker".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "services/worker/core/worker_core.h"
#include "services/worker/operation.h"
#include "shared/domain/decision.h"
#include "shared/wire/subjects.h"

namespace cube::worker {

// Decisions that are read at most: beyond it only a leader's complete set helps.
inline constexpr std::size_t kCatchUpBytesMax = 16u << 20;
// Gets under way at one time.
inline constexpr std::size_t kCatchUpWindow = 32;

class CatchUp {
 public:
  CatchUp(NodeName node, wire::Subjects subjects)
      : node_(std::move(node)), subjects_(std::move(subjects)) {}

  // Begins, if it is not under way.
  void Begin(bus::OpId& next_op, Operations& out);
  // True if it was an answer to us.
  bool OnGot(const bus::Got& got, WorkerCore& core, Now now, Random& random, bus::OpId& next_op,
             Operations& out);
  // A get failed: gives up; the loop begins again later.
  void OnFailed(const bus::OpFailed& failed);
  void Cancel();
  [[nodiscard]] bool active() const { return !asked_.empty(); }

 private:
  // What an operation under way asks for.
  struct Asked {
    enum class What : std::uint8_t { kPage, kNewest, kDecision } what = What::kPage;
    std::uint64_t seq = 0;  // kDecision
  };

  // As many of the pages before pages_ as may be under way.
  void AskPages(bus::OpId& next_op, Operations& out);
  void AskNewest(const WorkerCore& core, bus::OpId& next_op, Operations& out);
  void AskDecisions(bus::OpId& next_op, Operations& out);
  void OnPage(const std::optional<bus::StreamMessage>& message, WorkerCore& core, Now now,
              Random& random, bus::OpId& next_op, Operations& out);
  void TakeDecisions(WorkerCore& core, Now now, Operations& out);
  // -> false: what follows cannot be taken without a leader.
  [[nodiscard]] bool Take(std::uint64_t seq, const std::string& payload, WorkerCore& core, Now now);
  // What a decision behind our position says of our node; likewise.
  [[nodiscard]] bool Apply(const DecisionBatch& decisions, std::uint64_t seq, WorkerCore& core,
                           Now now);
  void Finish(WorkerCore& core, Now now);

  NodeName node_;
  wire::Subjects subjects_;
  std::map<bus::OpId, Asked> asked_;
  std::uint32_t pages_ = 0;      // of the set; 1 until its first page is known
  std::uint32_t next_page_ = 0;  // to ask for
  std::uint32_t pages_got_ = 0;

  std::uint64_t next_ask_ = 0;
  std::uint64_t next_take_ = 0;
  std::uint64_t last_ = 0;  // the newest decision when we looked
  std::map<std::uint64_t, std::optional<bus::StreamMessage>> got_;
  std::size_t bytes_ = 0;
  std::optional<Stamp> stamp_;  // of the valid decision before next_take_
  Term term_;                   // its term
  std::uint64_t taken_ = 0;     // and its sequence
};

}  // namespace cube::worker
