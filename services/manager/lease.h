// The lease that says which manager should try to lead: one key that goes away by itself when it
// is not renewed. Only a hint: what keeps a stale leader out is the fence of the decisions stream.
#pragma once

#include <cstdint>
#include <string>

#include "services/manager/operation.h"
#include "shared/base/time.h"
#include "shared/bus/bus.h"
#include "shared/wire/subjects.h"

namespace cube::manager {

class Lease {
 public:
  // `owner` names this manager for ever (its state folder's identity): a lease that it held before
  // a restart is taken over at once.
  Lease(wire::Subjects subjects, std::string owner, Duration life)
      : subjects_(std::move(subjects)), owner_(std::move(owner)), life_(life) {}

  // Asks for it or renews it when that is due. `next_op` numbers operations.
  void Step(MonoTime now, std::uint64_t epoch, bus::OpId& next_op, Operations& out);
  // Gives it away, so that another manager need not wait.
  void Release(bus::OpId& next_op, Operations& out);

  // True if the completion was for the lease.
  bool OnAppended(const bus::Appended& done);
  bool OnAppendFailed(const bus::AppendFailed& failed, bus::OpId& next_op, Operations& out);
  bool OnGot(const bus::Got& got);
  bool OnOpFailed(const bus::OpFailed& failed);
  void OnDisconnected() { pending_ = 0; }

  [[nodiscard]] bool Held(MonoTime now) const { return now < held_until_; }
  // The highest epoch seen in the lease.
  [[nodiscard]] std::uint64_t epoch_seen() const { return epoch_seen_; }
  // When Step is due again; with an operation under way its completion comes first.
  [[nodiscard]] MonoTime NextDeadline() const {
    return pending_ != 0 ? MonoTime::max() : next_try_;
  }

 private:
  [[nodiscard]] std::string Value(std::uint64_t epoch) const;

  wire::Subjects subjects_;
  std::string owner_;
  Duration life_;
  std::uint64_t revision_ = 0;  // of the key as we last saw it; 0 = absent
  std::uint64_t others_ = 0;    // the newest revision that another manager was seen to write
  bus::OpId pending_ = 0;       // the operation under way, 0 = none
  MonoTime sent_at_{};
  MonoTime held_until_{};
  MonoTime next_try_{};
  std::uint64_t epoch_seen_ = 0;
};

}  // namespace cube::manager
