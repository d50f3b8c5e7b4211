#include "services/manager/verify_service.h"

#include <algorithm>
#include <utility>

#include "shared/bus/reply.h"
#include "shared/wire/convert.h"

namespace cube::manager {
namespace {

using wire::ToProto;

void Send(const std::string& reply_to, const v1::VerifyViewReply& reply, Operations& out) {
  out.Bus(bus::Publish{reply_to, {}, reply.SerializeAsString()});
}

void Fail(Code code, std::string message, v1::VerifyViewReply& reply) {
  ToProto(Error{code, std::move(message), ""}, *reply.mutable_failure());
}

bool IsKind(v1::RecordKind kind) {
  return std::any_of(std::begin(kRecordKinds), std::end(kRecordKinds), [kind](RecordKind known) {
    return static_cast<int>(known) == static_cast<int>(kind);
  });
}

}  // namespace

void VerifyService::SetName(std::string manager, std::uint64_t instance) {
  manager_ = std::move(manager);
  instance_ = instance;
}

v1::VerifyViewReply VerifyService::Head(bool leading) const {
  v1::VerifyViewReply reply;
  reply.set_manager(manager_);
  reply.set_instance(instance_);
  reply.set_leading(leading);
  return reply;
}

void VerifyService::OnRequest(const bus::Message& message, bool leading, MonoTime now,
                              Operations& out) {
  if (!bus::SafeReplySubject(message.reply_to) || waiting_.size() >= kVerifyWaitingMax) return;
  Waiting waiting{message.reply_to, {}, now + kVerifyWaitMax};
  v1::VerifyViewReply reply = Head(leading);
  if (!waiting.request.ParseFromString(message.payload)) {
    Fail(Code::kInvalid, "the request is not a cube.v1.VerifyViewRequest", reply);
  } else if (waiting.request.instance() != 0 && waiting.request.instance() != instance_) {
    return;
  } else if (waiting.request.has_range() && !IsKind(waiting.request.range().kind())) {
    Fail(Code::kInvalid, "there is no such kind of record", reply);
  } else {
    // Whoever asks all managers learns from this how many there are.
    reply.set_begun(true);
    waiting_.push_back(std::move(waiting));
  }
  Send(message.reply_to, reply, out);
}

void VerifyService::FillRecords(const View& view, const v1::RecordRange& range,
                                v1::VerifyViewReply& reply) {
  std::size_t bytes = 0;
  const auto kind = static_cast<RecordKind>(range.kind());
  VisitRecords(view, kind, range.first(), [&](const std::string& key, const std::string& value) {
    if (!range.end().empty() && key >= range.end()) return false;
    bytes += key.size() + value.size();
    if (reply.records_size() > 0 && bytes > kVerifyPageBytes) {
      reply.set_next(key);
      return false;
    }
    v1::ViewRecord& record = *reply.add_records();
    record.set_key(key);
    record.set_value(value);
    return true;
  });
}

bool VerifyService::Answer(const Waiting& waiting, const View& view, Standing standing,
                           MonoTime now, Operations& out) {
  v1::VerifyViewReply reply = Head(standing.leading);
  reply.set_decision(view.valid_seq);
  ToProto(view.stamp, *reply.mutable_stamp());
  reply.set_foreign_messages(view.foreign_messages);
  const bool early = waiting.request.min_decision() > view.valid_seq;
  if (!standing.complete) {
    if (now < *incomplete_since_ + kVerifyReadMax) return false;
    Fail(Code::kUnavailable,
         "is still reading the log, at decision " + std::to_string(view.valid_seq), reply);
  } else if (early || !standing.at_commit || (IsDigest(waiting) && !digest_.whole())) {
    if (now < waiting.deadline) return false;
    Fail(Code::kTimedOut,
         early ? "has not read decision " + std::to_string(waiting.request.min_decision()) +
                     " yet, it is at " + std::to_string(view.valid_seq)
               : "has not come to rest at a decision in time",
         reply);
  } else if (IsDigest(waiting)) {
    for (const RangeDigest& range : digest_.Ranges(view)) {
      v1::RangeDigest& to = *reply.add_ranges();
      to.set_kind(static_cast<v1::RecordKind>(range.kind));
      to.set_first(range.first);
      to.set_records(range.records);
      to.set_digest(range.digest);
    }
  } else {
    FillRecords(view, waiting.request.range(), reply);
  }
  Send(waiting.reply_to, reply, out);
  return true;
}

void VerifyService::Step(const View& view, Standing standing, MonoTime now, Operations& out) {
  if (waiting_.empty()) return;
  if (standing.complete) {
    incomplete_since_.reset();
  } else {
    if (!incomplete_since_) incomplete_since_ = now;
    digest_.Stop();  // what was hashed may be of a log that is no more
  }
  if (std::any_of(waiting_.begin(), waiting_.end(), IsDigest) && standing.complete) {
    if (!digest_.active()) digest_.Begin(view);
    digest_.Walk(view, kVerifyRecordsPerStep);
  }
  std::deque<Waiting> left;
  for (Waiting& waiting : waiting_) {
    if (!Answer(waiting, view, standing, now, out)) left.push_back(std::move(waiting));
  }
  waiting_ = std::move(left);
  if (std::none_of(waiting_.begin(), waiting_.end(), IsDigest)) digest_.Stop();
  if (waiting_.empty()) incomplete_since_.reset();
}

MonoTime VerifyService::NextDeadline(MonoTime now) const {
  if (digest_.active() && !digest_.whole()) return now;
  MonoTime next = MonoTime::max();
  for (const Waiting& waiting : waiting_) next = std::min(next, waiting.deadline);
  if (incomplete_since_) next = std::min(next, *incomplete_since_ + kVerifyReadMax);
  return next;
}

}  // namespace cube::manager
