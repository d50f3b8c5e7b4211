// Answers cube.query.<what> from the view. Any manager does, and says where it stands.
#pragma once

#include <string>

#include "services/manager/core/decide.h"
#include "shared/bus/bus.h"
#include "shared/cluster/view.h"

namespace cube::manager {

// A page's encoded bytes at most: below every server's max_payload.
inline constexpr std::size_t kQueryPageBytesMax = 256u << 10;

struct Answerer {
  std::string manager;  // name, for people
  bool leading = false;
};

// `what` is the subject's last token. Always an encoded QueryReply; failures are in it.
// `min_intent` gets the request's wish to wait (0 = none), whether or not the view is that far.
[[nodiscard]] std::string AnswerQuery(const View& view, Planner& planner,
                                      const Answerer& answerer, std::string_view what,
                                      std::string_view request);

// The request's wish to wait for an intent; 0 = none, or the request cannot be read.
[[nodiscard]] std::uint64_t WantedIntent(std::string_view request);

}  // namespace cube::manager
