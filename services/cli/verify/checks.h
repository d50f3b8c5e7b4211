// What `cube verify` finds when it compares what a service holds with what follows from the log.
// Pure.
#pragma once

#include <cube/v1/verify.pb.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/manager/view_digest.h"
#include "services/manager/view_records.h"
#include "shared/cluster/view.h"
#include "shared/domain/assign.h"

namespace cube::cli {

// The first thing that differs.
struct Difference {
  std::string record;    // "task web-1"
  std::string field;     // "node"; "(record)" = the record as a whole is only on one side
  std::string log;       // what follows from the log; empty = nothing
  std::string service;   // what the service has
  std::size_t more = 0;  // further fields of the record that differ
};

// ---- views ------------------------------------------------------------------------------------

using Records = std::map<std::string, std::string>;  // bytes by key
// Those with keys in [first, end); end empty = to the end.
[[nodiscard]] Records RecordsIn(const View& view, manager::RecordKind kind,
                                const std::string& first, const std::string& end);
// nullopt: they are the same.
[[nodiscard]] std::optional<Difference> CompareRecordLists(manager::RecordKind kind,
                                                           const Records& log,
                                                           const Records& service);
// A part of a view whose digests differ.
struct DifferentRange {
  manager::RecordKind kind = manager::RecordKind::kMeta;
  std::string first;
  std::string end;  // empty = to the end of the kind
  std::uint64_t log_records = 0;
  std::uint64_t service_records = 0;
};
[[nodiscard]] std::optional<DifferentRange> FirstDifferentRange(
    const View& view, const std::vector<manager::RangeDigest>& service);
// kInvalid: no digests of a view.
[[nodiscard]] Result<std::vector<manager::RangeDigest>> RangesFrom(
    const v1::VerifyViewReply& reply);
// Two whole views.
[[nodiscard]] std::optional<Difference> CompareViews(const View& log, const View& service);

// ---- nodes ------------------------------------------------------------------------------------

// A node's complete set, all its pages, with the view as of the decision that it names.
[[nodiscard]] std::optional<Difference> CompareSet(const View& view,
                                                   const std::vector<DesiredPage>& pages);

// What a worker holds, with the view as of a decision that is not before its position.
struct HeldCheck {
  std::optional<Difference> difference;
  // The difference may be only that something is under way: ask again.
  bool unsettled = false;
};
[[nodiscard]] HeldCheck CompareHeld(const View& view, const v1::VerifyNodeReply& held);

}  // namespace cube::cli
