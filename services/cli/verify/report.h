// What `cube verify` has read and found, and how it is shown. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "services/cli/render/format.h"
#include "services/cli/verify/checks.h"
#include "services/cli/verify/direct_readers.h"

namespace cube::cli {

enum class Verdict : std::uint8_t {
  kSame,
  kDiffers,
  kNoAnswer,     // it should be there
  kNotCompared,  // for a reason that is no fault: see detail
};
[[nodiscard]] std::string_view VerdictName(Verdict verdict);  // "same", "differs", "no answer", ...

// One service, or one thing that is stored.
struct Compared {
  std::string kind;            // "manager", "worker", "set", "snapshot"
  std::string name;            // of a manager or node; a snapshot's decision
  std::uint64_t decision = 0;  // that it was compared as of; 0 = it was not
  Verdict verdict = Verdict::kSame;
  std::string detail;  // "leads"; why it was not compared; empty = nothing to add
  std::optional<Difference> difference;
};

struct VerifyReport {
  std::vector<StreamSeen> streams;
  std::uint64_t began_with = 0;  // decision of the snapshot; 0 = the log's beginning
  std::uint64_t decision = 0;    // last valid one
  std::size_t terms = 0;
  std::uint64_t epoch = 0;
  std::uint64_t foreign = 0;     // decision messages that do not continue the log
  std::uint64_t unreadable = 0;  // messages of facts
  std::uint64_t stale_facts = 0;
  std::uint64_t undecided = 0;  // intents and facts behind the last decision
  std::uint64_t unread = 0;     // decision messages that cannot be followed
  std::vector<std::string> notes;
  std::uint64_t tasks = 0;
  std::uint64_t nodes = 0;
  std::vector<Compared> compared;
};

// kExitDone: all is the same. kExitFailed: something differs, or the log has a hole.
// kExitNotConverged: a service did not answer.
[[nodiscard]] int ExitCodeOf(const VerifyReport& report);
[[nodiscard]] nlohmann::ordered_json ToJson(const VerifyReport& report);
// Tables, then each difference field by field, then one line that sums up.
[[nodiscard]] std::string ToText(const VerifyReport& report, const TableLayout& layout);

}  // namespace cube::cli
