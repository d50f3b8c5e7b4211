// Folds the log from its beginning, or from a snapshot where it was trimmed, as every manager does
// (LogReader), one decision at a time, so that whoever compares stops at exactly one.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/cli/verify/direct_readers.h"
#include "services/manager/log_reader.h"
#include "services/manager/snapshot_reader.h"
#include "shared/cluster/view.h"

namespace cube::cli {

// The snapshots that are kept, the newest first; none if there are none, or no stream of them.
[[nodiscard]] Result<std::vector<manager::StoredManifest>> StoredSnapshots(Client& client);
// kDataLoss: it is not whole; kUnsupported: of another version.
[[nodiscard]] Result<View> LoadSnapshot(Client& client, const manager::StoredManifest& stored);

class LogReplay {
 public:
  // Nothing is folded yet but the snapshot, if the log needs one. kDataLoss: it needs one, and none
  // of `snapshots` helps.
  [[nodiscard]] static Result<LogReplay> Begin(
      Client& client, const std::vector<manager::StoredManifest>& snapshots);

  // Folds the next decision message with what belongs before it, or skips it. false: there is none
  // as of the last look.
  [[nodiscard]] Result<bool> Next();
  // Where the streams end now.
  [[nodiscard]] Result<void> Look();

  // As of the last valid decision that Next has come to.
  [[nodiscard]] const View& view() const { return view_; }
  // Sequence of the newest decision message as of the last look.
  [[nodiscard]] std::uint64_t decisions_end() const { return decisions_end_; }
  // Intents, decisions, facts.
  [[nodiscard]] std::vector<StreamSeen> seen();
  // The decision of the snapshot that it began with; 0 = with nothing.
  [[nodiscard]] std::uint64_t began_with() const { return began_with_; }
  [[nodiscard]] std::size_t terms() const { return terms_; }
  [[nodiscard]] std::uint64_t foreign() const { return view_.foreign_messages; }
  // Messages of facts that could not be read.
  [[nodiscard]] std::uint64_t unreadable() const { return skipped_ - foreign(); }
  // What was skipped, in words; the first few.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  // Intents and facts behind the last decision.
  [[nodiscard]] std::uint64_t undecided() const;

 private:
  void Execute();
  LogReplay(Client& client, wire::Subjects names)
      : names_(names), readers_(client), reader_(std::move(names)) {}

  wire::Subjects names_;
  View view_;
  DirectReaders readers_;
  manager::LogReader reader_;
  manager::Operations out_;
  std::vector<manager::FoldedIntents> folded_;
  std::vector<std::string> notes_;
  std::uint64_t skipped_ = 0;
  std::uint64_t intents_end_ = 0;
  std::uint64_t facts_end_ = 0;
  std::uint64_t decisions_end_ = 0;
  std::uint64_t began_with_ = 0;
  std::size_t terms_ = 0;
};

}  // namespace cube::cli
