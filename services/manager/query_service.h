// Answers cube.query.<what> from the view. Any manager does, and says where it stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/manager/core/decide.h"
#include "shared/cluster/view.h"

namespace cube::manager {

// A page's encoded bytes at most: below every server's max_payload.
inline constexpr std::size_t kQueryPageBytesMax = 256u << 10;
// Work on questions in one step of the loop, and for one page, in tasks looked at: some
// milliseconds, so that neither many questions nor one about millions of tasks keep a leader from
// deciding.
inline constexpr std::size_t kQueryWorkMax = 65'536;
// Rendering a task for a page costs about as much as looking at so many.
inline constexpr std::size_t kQueryWorkPerItem = 16;

struct Answerer {
  std::string manager;  // name, for people
  bool leading = false;
  // Decisions that the log has and the view has not, as far as it has heard.
  std::uint64_t behind = 0;
  // The view has never been as far as the log was when it was compared: no answer is right.
  bool incomplete = false;
};

// A question under way. A page ends when its work is done, if need be without a task in it; what
// needs all tasks for one answer (a prefix of an id, the counts of the cluster) is looked for over
// several steps.
class Question {
 public:
  // `what` is the subject's last token, `request` an encoded QueryRequest.
  Question(std::string what, std::string request);

  // The wish to wait for an intent; 0 = none, or the request cannot be read.
  [[nodiscard]] std::uint64_t min_intent() const { return min_intent_; }

  // Goes on until the answer is there or `work` has come to 0. -> an encoded QueryReply (failures
  // are in it), or nothing: ask again in a later step, with the view as it is then.
  [[nodiscard]] std::optional<std::string> Answer(const View& view, Planner& planner,
                                                  const Answerer& answerer, std::size_t& work);

 private:
  class Reply;
  friend class Reply;

  std::string what_;
  std::string request_;
  std::uint64_t min_intent_ = 0;
  // Of a walk over all tasks: what it has found so far, as numbers, since the view goes on.
  std::optional<TaskNumber> walked_to_;
  std::vector<TaskNumber> by_prefix_;
  std::vector<TaskNumber> by_name_;
  std::size_t prefixes_ = 0;  // also beyond those that are kept
  std::size_t names_ = 0;
  std::vector<std::uint32_t> counts_;  // by status
};

}  // namespace cube::manager
