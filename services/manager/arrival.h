// A message of the log that has come, and what it says: decoded once, by the reader that folds it
// or before by a thread that is ahead.
#pragma once

#include <cstdint>
#include <mutex>
#include <utility>
#include <variant>

#include "services/manager/work_ahead.h"
#include "shared/base/error.h"
#include "shared/bus/bus.h"
#include "shared/domain/decision.h"
#include "shared/domain/fact.h"

namespace cube::manager {

class Arrival final : public WorkAhead::Work {
 public:
  enum class Kind : std::uint8_t { kIntents, kFacts, kDecisions };

  Arrival(Kind kind, bus::StreamMessage message) : kind_(kind), message_(std::move(message)) {}

  [[nodiscard]] const bus::StreamMessage& message() const { return message_; }
  // Of a message of that kind only; they live as long as this. Any thread.
  [[nodiscard]] const Result<FactBatch>& facts();
  [[nodiscard]] const Result<DecisionBatch>& decisions();

  void Do() override;

 private:
  void Decode();

  const Kind kind_;
  const bus::StreamMessage message_;
  std::once_flag decoded_;
  std::variant<std::monostate, Result<FactBatch>, Result<DecisionBatch>> says_;
};

}  // namespace cube::manager
