#include "services/worker/verify_service.h"

#include <cube/v1/verify.pb.h>

#include <utility>

#include "shared/bus/reply.h"
#include "shared/wire/convert.h"
#include "shared/wire/digest.h"

namespace cube::worker {
namespace {

using wire::ToProto;

v1::HeldAttempt HeldOf(const Attempt& attempt) {
  v1::HeldAttempt held;
  held.set_task(attempt.key.task.str());
  held.set_attempt(attempt.key.attempt);
  ToProto(attempt.placement, *held.mutable_placement());
  held.set_stop(attempt.stop);
  held.set_grace_ns(attempt.grace.count());
  held.set_done(attempt.done);
  held.set_final_fact(attempt.final_fact);
  if (attempt.spec) held.set_spec_digest(wire::SpecDigest(*attempt.spec));
  if (attempt.last_fact) ToProto(*attempt.last_fact, *held.mutable_last_fact());
  return held;
}

}  // namespace

std::optional<bus::Publish> AnswerVerify(const bus::Message& message, const NodeName& node,
                                         const WorkerCore& core) {
  v1::VerifyNodeRequest request;
  if (!bus::SafeReplySubject(message.reply_to) || !request.ParseFromString(message.payload)) {
    return std::nullopt;
  }
  const Meta& meta = core.meta();
  v1::VerifyNodeReply reply;
  reply.set_node(node.str());
  reply.set_instance(meta.instance);
  reply.set_incarnation(meta.incarnation);
  reply.set_position(meta.position);
  ToProto(meta.term, *reply.mutable_term());
  reply.set_last_fact(meta.last_fact);
  reply.set_forgotten_fact(meta.forgotten_fact);
  reply.set_cluster(meta.cluster);
  std::size_t bytes = 0;
  for (const auto& [key, attempt] : core.attempts().From(TaskId::Trusted(request.task()))) {
    v1::HeldAttempt held = HeldOf(attempt);
    bytes += held.ByteSizeLong();
    const bool same_task = reply.attempts_size() > 0 &&
                           reply.attempts(reply.attempts_size() - 1).task() == held.task();
    if (bytes > kVerifyPageBytes && reply.attempts_size() > 0 && !same_task) {
      reply.set_next(held.task());
      break;
    }
    *reply.add_attempts() = std::move(held);
  }
  return bus::Publish{message.reply_to, {}, reply.SerializeAsString()};
}

}  // namespace cube::worker
