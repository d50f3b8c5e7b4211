#include "services/manager/arrival.h"

#include "shared/wire/codec.h"
#include "shared/wire/subjects.h"

namespace cube::manager {

const Result<FactBatch>& Arrival::facts() {
  Do();
  return std::get<Result<FactBatch>>(says_);
}

const Result<DecisionBatch>& Arrival::decisions() {
  Do();
  return std::get<Result<DecisionBatch>>(says_);
}

void Arrival::Do() {
  std::call_once(decoded_, [this] { Decode(); });
}

void Arrival::Decode() {
  if (kind_ == Kind::kFacts) {
    says_ = wire::DecodeFacts(wire::Subjects::LastToken(message_.subject), message_.payload);
  } else if (kind_ == Kind::kDecisions) {
    says_ = wire::DecodeDecisions(message_.payload);
  }
}

}  // namespace cube::manager
