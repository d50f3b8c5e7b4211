// The optional HTTP listener of a service: GET /metrics answers in Prometheus' text format. It has
// threads of its own (prometheus-cpp on civetweb); they never touch the loop: a scrape asks the
// loop's thread for a snapshot and waits for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "shared/base/error.h"
#include "shared/telemetry/families.h"

namespace cube::telemetry {

// A scrape that gets no snapshot in this time answers with the one before.
inline constexpr std::chrono::seconds kSnapshotWaitMax{2};

// From the threads that are asked to the one that knows. All calls from any thread.
class Snapshot {
 public:
  // `want` makes the loop's thread call Put soon; called from the scraping thread.
  explicit Snapshot(std::function<void()> want) : want_(std::move(want)) {}

  void Put(Families families);
  // Asks and waits; what was there before if nothing comes in time.
  [[nodiscard]] Families Take();
  // Nothing comes any more: who waits gets what there is, and nobody waits again.
  void Close();

 private:
  const std::function<void()> want_;
  std::mutex mutex_;
  std::condition_variable put_;
  std::uint64_t generation_ = 0;  // guarded by mutex_
  Families families_;             // guarded by mutex_
  bool closed_ = false;           // guarded by mutex_
};

class Listener {
 public:
  // `where`: HOST:PORT, [IPv6]:PORT; port 0 = any free one. Errors name the flag: kInvalid
  // (malformed, no such host), kConflict (the address is taken), kPermission.
  [[nodiscard]] static Result<std::unique_ptr<Listener>> Open(const std::string& where,
                                                              std::shared_ptr<Snapshot> snapshot);
  virtual ~Listener() = default;

  // "127.0.0.1:9090", with the port that was chosen.
  [[nodiscard]] virtual std::string address() const = 0;
};

}  // namespace cube::telemetry
