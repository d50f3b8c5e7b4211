#include "services/worker/log_service.h"

#include <cube/v1/logs.pb.h>

#include <algorithm>
#include <utility>

#include "shared/bus/reply.h"
#include "shared/wire/convert.h"

namespace cube::worker {
namespace {

constexpr std::size_t kReplyBytesMax = engine::kLogChunkBytesMax;
// Saved lines of one reply: with the fields of each, some 50 KB beside the bytes.
constexpr int kReplyChunksMax = 1024;

void AddChunk(const LaunchKey& launch, SavedOutput::Piece piece, v1::LogsReply& reply) {
  v1::LogsChunk& chunk = *reply.add_chunks();
  chunk.set_is_stderr(piece.is_stderr);
  chunk.set_time_ns(ToNanos(piece.time));
  chunk.set_data(std::move(piece.bytes));
  chunk.set_launch(launch.launch);
}

v1::LogsNotice NoticeOf(engine::LogChunk::Gap gap) {
  switch (gap) {
    case engine::LogChunk::Gap::kNone:
      return v1::LOGS_NOTICE_UNSPECIFIED;
    case engine::LogChunk::Gap::kMaybeBeginning:
      return v1::LOGS_NOTICE_BEGINNING_MAYBE_GONE;
    case engine::LogChunk::Gap::kBeginning:
      return v1::LOGS_NOTICE_BEGINNING_GONE;
    case engine::LogChunk::Gap::kBetween:
      return v1::LOGS_NOTICE_LINES_LOST;
  }
  return v1::LOGS_NOTICE_UNSPECIFIED;
}

AttemptKey NewestAttempt(const WorkerCore& core, const TaskId& task) {
  AttemptKey newest{task, 0};
  for (const auto& [key, attempt] : core.attempts().Of(task)) newest = key;
  return newest;
}

}  // namespace

void LogService::OnRequest(const bus::Message& message, const WorkerCore& core, Now now,
                           Operations& out) {
  v1::LogsRequest request;
  if (!request.ParseFromArray(message.payload.data(), static_cast<int>(message.payload.size()))) {
    return;
  }
  const auto found = streams_.find(request.stream());
  if (request.has_open()) {
    if (found != streams_.end() || !bus::SafeReplySubject(message.reply_to)) return;
    const v1::LogsOpen& open = request.open();
    MakeRoom(out);
    Stream& s = streams_[request.stream()];
    s.id = request.stream();
    s.reply_to = message.reply_to;
    s.attempt = {TaskId::Trusted(open.task()), open.attempt()};
    s.follow = open.follow();
    if (open.has_tail_lines()) s.tail_lines = open.tail_lines();
    s.since = WallFromNanos(open.since_ns());
    s.credit = std::min<std::uint64_t>(open.credit_bytes(), kLogCreditMax);
    s.heard_at = now.mono;
    Open(s, core, out);
    return;
  }
  if (found == streams_.end()) return;
  Stream& s = found->second;
  s.heard_at = now.mono;
  if (request.has_close()) {
    End(s.id, std::nullopt, out);
    return;
  }
  const std::uint64_t more =
      std::min<std::uint64_t>(request.credit_bytes(), kLogCreditMax - s.credit);
  s.credit += more;
  if (s.engine_stream != 0 && more > 0)
    out.emplace_back(LogCredit{s.engine, s.engine_stream, more});
  if (s.saved_output) {
    SendSaved(s, out);
    if (s.saved_output->done()) (void)Next(s, core, out);
  }
}

void LogService::MakeRoom(Operations& out) {
  if (streams_.size() < kLogStreamsMax) return;
  const auto oldest = std::min_element(
      streams_.begin(), streams_.end(),
      [](const auto& a, const auto& b) { return a.second.heard_at < b.second.heard_at; });
  End(oldest->first,
      Error{Code::kResource, "too many log streams at one time on this node; ask again", {}}, out);
}

void LogService::Open(Stream& s, const WorkerCore& core, Operations& out) {
  if (auto valid = TaskId::Parse(s.attempt.task.str(), "task"); !valid) {
    End(s.id, std::move(valid).error(), out);
    return;
  }
  if (s.attempt.attempt == 0) s.attempt = NewestAttempt(core, s.attempt.task);
  out.emplace_back(ListOutput{s.id, s.attempt.task, s.attempt.attempt});
}

void LogService::OnListed(const OutputListed& listed, const WorkerCore& core, Operations& out) {
  const auto found = streams_.find(listed.stream);
  if (found == streams_.end()) return;
  Stream& s = found->second;
  s.listed = true;
  s.saved.insert(listed.launches.begin(), listed.launches.end());
  if (s.attempt.attempt == 0 && !listed.launches.empty()) {
    s.attempt.attempt = listed.launches.front().attempt;
  }
  if (core.Find(s.attempt) == nullptr && s.saved.empty() && core.LaunchesOf(s.attempt).empty()) {
    End(s.id,
        Error{Code::kNotFound,
              "this node has no output of task '" + s.attempt.task.str() +
                  "'; output of ended tasks is kept for 24 hours",
              {}},
        out);
    return;
  }
  (void)Next(s, core, out);
}

std::optional<LaunchKey> LogService::NextLaunch(const Stream& s, const WorkerCore& core) const {
  std::set<LaunchKey> launches = s.saved;
  // An engine has nothing to show before the start; who follows waits for it.
  for (const LaunchKey& key : core.LaunchesOf(s.attempt)) {
    if (core.HasStarted(key)) launches.insert(key);
  }
  std::erase_if(launches, [&s](const LaunchKey& key) {
    return static_cast<std::int64_t>(key.launch) <= s.last_launch;
  });
  if (launches.empty()) return std::nullopt;
  // The last lines are those of the newest launch.
  const bool newest_only = s.tail_lines >= 0 && s.last_launch < 0;
  return newest_only ? *launches.rbegin() : *launches.begin();
}

bool LogService::Next(Stream& s, const WorkerCore& core, Operations& out) {
  s.current.reset();
  s.engine_stream = 0;
  s.saved_output.reset();
  s.got_bytes = false;
  const std::optional<LaunchKey> next = NextLaunch(s, core);
  if (!next) {
    const Attempt* attempt = core.Find(s.attempt);
    const bool undone = attempt != nullptr && !attempt->done;
    if (s.follow && undone) return true;
    if (undone && s.last_launch < 0) NotStarted(s, out);
    End(s.id, std::nullopt, out);
    return false;
  }
  const bool first = s.last_launch < 0;
  s.current = next;
  s.last_launch = next->launch;
  const std::optional<std::string> engine = core.EngineWith(*next);
  if (!engine) {
    out.emplace_back(ReadOutput{s.id, *next});
    return true;
  }
  s.engine = *engine;
  s.engine_stream = next_engine_stream_++;
  by_engine_[s.engine_stream] = s.id;
  out.emplace_back(
      OpenLogs{s.engine,
               s.engine_stream,
               *next,
               {.follow = s.follow, .tail_lines = first ? s.tail_lines : -1, .since = s.since}});
  if (s.credit > 0) out.emplace_back(LogCredit{s.engine, s.engine_stream, s.credit});
  return true;
}

LogService::Stream* LogService::ByEngineStream(std::uint64_t engine_stream) {
  const auto id = by_engine_.find(engine_stream);
  if (id == by_engine_.end()) return nullptr;
  const auto found = streams_.find(id->second);
  return found == streams_.end() ? nullptr : &found->second;
}

void LogService::OnChunk(engine::LogChunk& chunk, Operations& out) {
  Stream* s = ByEngineStream(chunk.stream);
  if (s == nullptr) return;
  Notice(*s, chunk.gap, out);
  if (chunk.bytes.empty()) return;
  s->got_bytes = true;
  s->credit -= std::min<std::uint64_t>(s->credit, chunk.bytes.size());
  v1::LogsReply reply;
  AddChunk(*s->current, {chunk.is_stderr, chunk.time, std::move(chunk.bytes)}, reply);
  Send(*s, reply, out);
}

void LogService::OnEnd(const engine::LogEnd& end, const WorkerCore& core, Operations& out) {
  Stream* s = ByEngineStream(end.stream);
  by_engine_.erase(end.stream);
  if (s == nullptr || s->engine_stream != end.stream) return;
  s->engine_stream = 0;
  if (end.error && !s->got_bytes && end.error->code == Code::kNotFound) {
    // Removed in between: then its output has been saved.
    out.emplace_back(ReadOutput{s->id, *s->current});
  } else if (end.error && !s->got_bytes && end.error->code == Code::kPrecondition) {
    // What an engine that has just come back knows of it is older than what we do.
    if (!s->follow) NotStarted(*s, out);
    (void)Next(*s, core, out);
  } else if (end.error) {
    End(s->id, end.error, out);
  } else {
    (void)Next(*s, core, out);
  }
}

void LogService::OnRead(OutputRead& read, const WorkerCore& core, Operations& out) {
  const auto found = streams_.find(read.stream);
  if (found == streams_.end() || found->second.current != read.key) return;
  Stream& s = found->second;
  if (!read.output && read.output.error().code != Code::kNotFound) {
    End(s.id, std::move(read.output).error(), out);
    return;
  }
  s.saved_output = read.output ? *std::move(read.output) : SavedOutput();
  if (s.saved_output->cut() && s.tail_lines < 0 && !IsSet(s.since)) {
    Notice(s, engine::LogChunk::Gap::kBeginning, out);
  }
  if (s.tail_lines >= 0) s.saved_output->SkipToTail(s.tail_lines);
  s.saved_output->SkipBefore(s.since);
  SendSaved(s, out);
  if (s.saved_output->done()) (void)Next(s, core, out);
}

void LogService::SendSaved(Stream& s, Operations& out) {
  while (s.credit > 0) {
    v1::LogsReply reply;
    std::size_t bytes = 0;
    while (s.credit > 0 && bytes < kReplyBytesMax && reply.chunks_size() < kReplyChunksMax) {
      std::optional<SavedOutput::Piece> piece =
          s.saved_output->Next(std::min<std::uint64_t>(kReplyBytesMax - bytes, s.credit));
      if (!piece) break;
      bytes += piece->bytes.size();
      s.credit -= piece->bytes.size();
      AddChunk(*s.current, *std::move(piece), reply);
    }
    if (reply.chunks().empty()) return;
    Send(s, reply, out);
  }
}

void LogService::Notice(Stream& s, engine::LogChunk::Gap gap, Operations& out) {
  if (gap == engine::LogChunk::Gap::kNone) return;
  v1::LogsReply reply;
  reply.set_notice(NoticeOf(gap));
  reply.set_notice_launch(s.current->launch);
  Send(s, reply, out);
}

void LogService::NotStarted(Stream& s, Operations& out) {
  v1::LogsReply reply;
  reply.set_notice(v1::LOGS_NOTICE_NOT_STARTED);
  Send(s, reply, out);
}

void LogService::Send(Stream& s, v1::LogsReply& reply, Operations& out) {
  reply.set_stream(s.id);
  reply.set_number(s.number++);
  out.emplace_back(bus::Operation(bus::Publish{s.reply_to, {}, reply.SerializeAsString()}));
}

void LogService::End(std::uint64_t id, std::optional<Error> failure, Operations& out) {
  const auto found = streams_.find(id);
  Stream& s = found->second;
  if (s.engine_stream != 0) {
    out.emplace_back(CloseLogs{s.engine, s.engine_stream});
    by_engine_.erase(s.engine_stream);
  }
  v1::LogsReply reply;
  reply.set_stream(s.id);
  reply.set_number(s.number);
  reply.set_end(true);
  if (failure) wire::ToProto(*failure, *reply.mutable_failure());
  out.emplace_back(bus::Operation(bus::Publish{s.reply_to, {}, reply.SerializeAsString()}));
  streams_.erase(found);
}

void LogService::Advance(const WorkerCore& core, Now now, Operations& out) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, s] : streams_) ids.push_back(id);
  for (const std::uint64_t id : ids) {
    Stream& s = streams_.at(id);
    if (now.mono - s.heard_at >= kLogStreamIdleMax) {
      End(id, Error{Code::kTimedOut, "the reader of this log stream has been silent", {}}, out);
    } else if (s.listed && !s.current) {
      (void)Next(s, core, out);
    }
  }
}

std::set<LaunchKey> LogService::Pins() const {
  std::set<LaunchKey> pins;
  for (const auto& [id, s] : streams_) {
    if (s.current && s.engine_stream != 0) pins.insert(*s.current);
  }
  return pins;
}

}  // namespace cube::worker
