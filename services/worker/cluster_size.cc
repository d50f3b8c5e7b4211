#include "services/worker/cluster_size.h"

#include <algorithm>

#include "shared/wire/codec.h"

namespace cube::worker {

bool ClusterSize::OnGot(const bus::Got& got) {
  if (op_ != got.op) return false;
  op_.reset();
  if (!got.message) return true;
  const auto beat = wire::DecodeHeartbeat(got.message->payload);
  if (!beat || beat->nodes == 0) return true;
  if (beat->nodes > nodes_ + nodes_ / 2) {  // also where it was not known
    wait_ = kClusterSizeIntervalMin;
    look_at_ = std::min(look_at_, asked_at_ + wait_);
  }
  nodes_ = beat->nodes;
  return true;
}

void ClusterSize::OnFailed(const bus::OpFailed& failed) {
  if (op_ == failed.op) op_.reset();
}

void ClusterSize::Advance(bool connected, MonoTime now, bus::OpId& next_op, Operations& out) {
  if (!connected || op_ || now < look_at_) return;
  asked_at_ = now;
  look_at_ = now + wait_;
  wait_ = std::min(2 * wait_, kClusterSizeInterval);
  op_ = next_op++;
  out.emplace_back(bus::Operation(
      bus::GetLast{*op_, subjects_.HeartbeatsStream(), subjects_.Heartbeat(kLeaderHeartbeat)}));
}

}  // namespace cube::worker
