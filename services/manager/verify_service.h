// Answers cube.verify.managers: what this manager's view adds up to, or some of its records, so
// that `cube verify` can compare them with the log (messages/cube/v1/verify.proto). The whole view
// is looked through in small pieces between cycles (view_digest.h).
#pragma once

#include <cube/v1/verify.pb.h>

#include <cstdint>
#include <deque>
#include <string>

#include "services/manager/operation.h"
#include "services/manager/view_digest.h"
#include "shared/base/time.h"
#include "shared/bus/bus.h"
#include "shared/cluster/view.h"

namespace cube::manager {

// Questions at one time; more are dropped, as NATS drops what nobody takes.
inline constexpr std::size_t kVerifyWaitingMax = 16;
// Records hashed in one step of the loop: a few milliseconds.
inline constexpr std::size_t kVerifyRecordsPerStep = 1024;
// Bytes of records in one answer, one record at least: with its head below the server's
// max_payload.
inline constexpr std::size_t kVerifyPageBytes = 192u << 10;
// A view of four million tasks takes a quarter of this.
inline constexpr Duration kVerifyWaitMax = std::chrono::minutes(2);
// One that reads the log is waited for so long: after a lost connection it is soon there.
inline constexpr Duration kVerifyReadMax = std::chrono::seconds(10);
static_assert(kVerifyReadMax < kVerifyWaitMax);

class VerifyService {
 public:
  // What it answers as.
  void SetName(std::string manager, std::uint64_t instance);

  // A message to cube.verify.managers.
  void OnRequest(const bus::Message& message, bool leading, MonoTime now, Operations& out);
  // How the view is at this step.
  struct Standing {
    bool at_commit = false;  // it is as of its last decision, and of nothing behind that
    bool complete = false;   // it has been as far as the log once since that was last checked
    bool leading = false;
  };
  // Whether somebody waits for an answer, which is as of a view that is saved.
  [[nodiscard]] bool IsAsked() const { return !waiting_.empty(); }
  // Goes on with what was asked. Only between cycles.
  void Step(const View& view, Standing standing, MonoTime now, Operations& out);
  // The view's marks of changes are about to be cleared.
  void BeforeSave(const View& view) { digest_.BeforeSave(view); }
  // Another view has taken the place of the one before.
  void OnOtherView() { digest_.Stop(); }
  [[nodiscard]] MonoTime NextDeadline(MonoTime now) const;

 private:
  struct Waiting {
    std::string reply_to;
    v1::VerifyViewRequest request;
    MonoTime deadline;
  };
  [[nodiscard]] v1::VerifyViewReply Head(bool leading) const;
  [[nodiscard]] static bool IsDigest(const Waiting& waiting) {
    return !waiting.request.has_range();
  }
  // -> whether it is answered.
  [[nodiscard]] bool Answer(const Waiting& waiting, const View& view, Standing standing,
                            MonoTime now, Operations& out);
  static void FillRecords(const View& view, const v1::RecordRange& range,
                          v1::VerifyViewReply& reply);

  std::string manager_;
  std::uint64_t instance_ = 0;
  std::deque<Waiting> waiting_;
  std::optional<MonoTime> incomplete_since_;  // the view, while somebody waits
  ViewDigest digest_;
};

}  // namespace cube::manager
