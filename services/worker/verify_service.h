// Answers cube.verify.node.<node>: what this worker holds, for `cube verify` to compare with the
// log (messages/cube/v1/verify.proto). Reads only.
#pragma once

#include <optional>

#include "services/worker/core/worker_core.h"
#include "shared/bus/bus.h"
#include "shared/bus/operation.h"

namespace cube::worker {

// Bytes of attempts in one answer, those of one task at least.
inline constexpr std::size_t kVerifyPageBytes = 192u << 10;

// nullopt: the message cannot be read, or its reply subject is none to answer to.
[[nodiscard]] std::optional<bus::Publish> AnswerVerify(const bus::Message& message,
                                                       const NodeName& node,
                                                       const WorkerCore& core);

}  // namespace cube::worker
