// Bytes <-> domain values: the door through which everything from outside comes in. Decoders
// accept any bytes, never throw, and give either valid values or an error with the field's path.
// Thread-safe: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/bus/bus.h"
#include "shared/domain/assign.h"
#include "shared/domain/decision.h"
#include "shared/domain/fact.h"
#include "shared/domain/intent.h"
#include "shared/domain/snapshot.h"
#include "shared/wire/spec_cache.h"
#include "shared/wire/spec_texts.h"

namespace cube::wire {

// protobuf prints to stderr what it thinks of each malformed message; we report it as a value. The
// decoders here call it; programs that read messages themselves call it first.
void QuietProtobuf();

// ---- intents ------------------------------------------------------------------------------

// What CLI and tests send. Equal specs are encoded once, but for such as have many owners each.
[[nodiscard]] std::string EncodeSubmit(const std::vector<SubmitTask>& tasks);
[[nodiscard]] std::string EncodeStop(const std::vector<StopTask>& tasks);
[[nodiscard]] std::string EncodeCordon(const std::vector<NodeName>& nodes, bool cordon);
[[nodiscard]] std::string EncodeDrain(const std::vector<DrainNode>& nodes);
[[nodiscard]] std::string EncodeSubmitJob(const JobSpec& spec);
[[nodiscard]] std::string EncodeStopJobs(const std::vector<StopJob>& jobs);
[[nodiscard]] std::string EncodeScaleJobs(const std::vector<ScaleJob>& jobs);
// Protobuf, or the human form if the payload begins with '{' or '[' (after white space). Never
// fails: what cannot be accepted becomes an InvalidItem (index 0 if the whole is unreadable).
// Ids of submissions that named none stay empty. The end of `subject` tells which intent it is
// ("tasks.submit"); an unknown one gives one InvalidItem.
[[nodiscard]] IntentBatch DecodeIntents(std::string_view subject, const bus::Headers& headers,
                                        std::string_view payload);
// For who decodes very many: `known` keeps specifications from one to the next.
[[nodiscard]] IntentBatch DecodeIntentsWith(std::string_view subject, const bus::Headers& headers,
                                            std::string_view payload, SpecCache& known);

// ---- between managers and workers -----------------------------------------------------------

[[nodiscard]] std::string EncodeDecisions(const DecisionBatch& batch);
[[nodiscard]] Result<DecisionBatch> DecodeDecisions(std::string_view payload);
// A bound above what the item adds to EncodeDecisions' size (specs counted as if not shared).
[[nodiscard]] std::size_t EncodedSizeMax(const DecisionItem& item);

[[nodiscard]] std::string EncodeFacts(const FactBatch& batch);
// In two steps, for facts that are written more than once: each by itself, then the same bytes with
// those in place of `head.facts`.
[[nodiscard]] std::string EncodeFact(const Fact& fact);
[[nodiscard]] std::string JoinFacts(const FactBatch& head, std::span<const std::string_view> facts);
// `node_token` is the subject's last token; another name inside is kInvalid.
[[nodiscard]] Result<FactBatch> DecodeFacts(std::string_view node_token, std::string_view payload);

[[nodiscard]] std::string EncodeAssign(const AssignBatch& batch);
// For who encodes very many: `texts`, of AssignTexts, keeps specifications from one to the next.
[[nodiscard]] std::string EncodeAssignWith(const AssignBatch& batch, SpecTexts& texts);
[[nodiscard]] Result<AssignBatch> DecodeAssign(std::string_view payload);
// A specification as a message has it; the bytes are the payload's.
struct EncodedSpec {
  TaskSpecPtr spec;
  std::string_view bytes;
};
// For who stores specifications as they came: those of a batch that is returned are added.
[[nodiscard]] Result<AssignBatch> DecodeAssignAndSpecs(std::string_view payload,
                                                       std::vector<EncodedSpec>& specs);

[[nodiscard]] std::string EncodeDesired(const DesiredPage& page);
[[nodiscard]] Result<DesiredPage> DecodeDesired(std::string_view payload);

[[nodiscard]] std::string EncodeHeartbeat(const Heartbeat& beat);
[[nodiscard]] Result<Heartbeat> DecodeHeartbeat(std::string_view payload);

// ---- between managers -----------------------------------------------------------------------

[[nodiscard]] std::string EncodeSnapshotChunk(const SnapshotChunk& chunk);
[[nodiscard]] Result<SnapshotChunk> DecodeSnapshotChunk(std::string_view payload);
[[nodiscard]] std::string EncodeSnapshotManifest(const SnapshotManifest& manifest);
[[nodiscard]] Result<SnapshotManifest> DecodeSnapshotManifest(std::string_view payload);
// Of chunks whose payloads are given one after the other; begins with 0.
[[nodiscard]] std::uint32_t SnapshotDigest(std::uint32_t before, std::string_view payload);

}  // namespace cube::wire
