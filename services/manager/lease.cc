#include "services/manager/lease.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "shared/base/json.h"

namespace cube::manager {
namespace {
constexpr std::string_view kReleased = "released";
// Renewals per life: two may be lost.
constexpr int kRenewalsPerLife = 4;
// So much of a life before its end it counts as over.
constexpr Duration Margin(Duration life) { return life / 6; }
// Another one's lease that is renewed is looked at as seldom as this; one that was not renewed
// since the last look ends soon.
constexpr Duration LookAfter(Duration life) { return life * 2 / 5; }
constexpr Duration TryAfter(Duration life) { return life / 25; }
}  // namespace

std::string Lease::Value(std::uint64_t epoch) const {
  return nlohmann::json{{"owner", owner_}, {"epoch", epoch}}.dump();
}

void Lease::Step(MonoTime now, std::uint64_t epoch, bus::OpId& next_op, Operations& out) {
  if (pending_ != 0 || now < next_try_) return;
  if (!Held(now) && held_until_ != MonoTime{}) {
    held_until_ = {};
    revision_ = 0;  // it has gone away by itself, or somebody else has it
  }
  pending_ = next_op++;
  sent_at_ = now;
  next_try_ = now + life_ / kRenewalsPerLife;
  bus::AppendRequest request;
  request.op = pending_;
  request.subject = subjects_.LeaseKey();
  request.payload = Value(std::max(epoch, epoch_seen_));
  request.expected_last_subject_seq = revision_;
  request.timeout = life_;
  out.Bus(bus::Append{std::move(request)});
}

void Lease::Release(bus::OpId& next_op, Operations& out) {
  bus::AppendRequest request;
  request.op = next_op++;
  request.subject = subjects_.LeaseKey();
  request.payload = nlohmann::json{{"owner", kReleased}, {"epoch", epoch_seen_}}.dump();
  request.expected_last_subject_seq = revision_;
  out.Bus(bus::Append{std::move(request)});
  held_until_ = {};
  revision_ = 0;
}

bool Lease::OnAppended(const bus::Appended& done) {
  if (done.op != pending_ || pending_ == 0) return false;
  pending_ = 0;
  revision_ = done.seq;
  // Counted from before it was sent: the server cannot have started the key's life earlier.
  held_until_ = sent_at_ + life_ - Margin(life_);
  return true;
}

bool Lease::OnAppendFailed(const bus::AppendFailed& failed, bus::OpId& next_op, Operations& out) {
  if (failed.op != pending_ || pending_ == 0) return false;
  pending_ = 0;
  revision_ = 0;
  held_until_ = {};
  if (failed.error.code != Code::kAborted) return true;
  // Somebody has it: look who.
  pending_ = next_op++;
  out.Bus(bus::GetLast{pending_, subjects_.LeaseStream(), subjects_.LeaseKey()});
  return true;
}

bool Lease::OnGot(const bus::Got& got) {
  if (got.op != pending_ || pending_ == 0) return false;
  pending_ = 0;
  next_try_ = sent_at_ + TryAfter(life_);
  if (!got.message) return true;
  const nlohmann::json value = ParseJsonText(got.message->payload);
  if (!value.is_object()) return true;
  const auto epoch = value.find("epoch");
  if (epoch != value.end() && epoch->is_number_unsigned()) {
    epoch_seen_ = std::max(epoch_seen_, epoch->get<std::uint64_t>());
  }
  const auto owner = value.find("owner");
  if (owner != value.end() && (*owner == owner_ || *owner == kReleased)) {
    revision_ = got.message->seq;
    next_try_ = {};  // ours from before, or nobody's: take it now
    return true;
  }
  const bool renewed = std::exchange(others_, got.message->seq) != got.message->seq;
  if (renewed) next_try_ = sent_at_ + LookAfter(life_);
  return true;
}

bool Lease::OnOpFailed(const bus::OpFailed& failed) {
  if (failed.op != pending_ || pending_ == 0) return false;
  pending_ = 0;
  return true;
}

}  // namespace cube::manager
