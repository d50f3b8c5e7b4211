#include "services/worker/exec_service.h"

#include <cube/v1/exec.pb.h>

#include <algorithm>
#include <utility>

#include "shared/bus/reply.h"
#include "shared/wire/convert.h"

namespace cube::worker {
namespace {

void Publish(const std::string& reply_to, const v1::ExecReply& reply, Operations& out) {
  out.emplace_back(bus::Operation(bus::Publish{reply_to, {}, reply.SerializeAsString()}));
}

void Refuse(const std::string& reply_to, std::uint64_t session, const Error& failure,
            Operations& out) {
  v1::ExecReply reply;
  reply.set_session(session);
  reply.set_end(true);
  wire::ToProto(failure, *reply.mutable_failure());
  Publish(reply_to, reply, out);
}

Result<engine::ExecRequest> RequestOf(const v1::ExecOpen& open) {
  if (open.ByteSizeLong() > kExecCommandBytesMax)
    return Fail(Code::kResource, "a command may have at most 64 KiB with its variables", "command");
  engine::ExecRequest request;
  request.command.assign(open.command().begin(), open.command().end());
  if (request.command.empty() || request.command.front().empty())
    return Fail(Code::kInvalid, "a command is needed", "command");
  for (const auto& [name, value] : open.env()) {
    if (name.empty() || name.find('=') != std::string::npos)
      return Fail(Code::kInvalid, "a variable's name may not be empty or hold '='", "env");
    request.env.emplace(name, value);
  }
  if (!open.workdir().empty() && open.workdir().front() != '/')
    return Fail(Code::kInvalid, "must be an absolute path, beginning with '/'", "workdir");
  request.workdir = open.workdir();
  request.user = open.user();
  request.input = open.input();
  return request;
}

// The newest launch of the task's attempt (0 = the newest) that has begun.
Result<LaunchKey> LaunchOf(const v1::ExecOpen& open, const WorkerCore& core) {
  CUBE_TRY(const TaskId task, TaskId::Parse(open.task(), "task"));
  AttemptKey attempt{task, open.attempt()};
  if (attempt.attempt == 0) {
    for (const auto& [key, known] : core.attempts().Of(task)) attempt = key;
  }
  const std::vector<LaunchKey> launches = core.LaunchesOf(attempt);
  for (auto it = launches.rbegin(); it != launches.rend(); ++it) {
    if (core.HasStarted(*it)) return *it;
  }
  if (core.Find(attempt) == nullptr && launches.empty())
    return Fail(Code::kNotFound, "this node does not have task '" + task.str() + "'");
  return Fail(Code::kPrecondition, "task '" + task.str() + "' does not run");
}

}  // namespace

void ExecService::OnRequest(const bus::Message& message, const WorkerCore& core, Now now,
                            Operations& out) {
  v1::ExecRequest request;
  if (!request.ParseFromArray(message.payload.data(), static_cast<int>(message.payload.size()))) {
    return;
  }
  const bool can_reply = bus::SafeReplySubject(message.reply_to);
  const std::uint64_t id = request.session();
  const auto found = sessions_.find(id);
  if (request.has_open()) {
    if (found == sessions_.end() && can_reply) Open(message, id, request.open(), core, now, out);
    return;
  }
  if (found == sessions_.end()) {
    // A caller that asks for a sign of life learns that there is none.
    if (can_reply && !request.has_close())
      Refuse(message.reply_to, id,
             {Code::kAborted, "the worker does not know this session (any more)", {}}, out);
    return;
  }
  Session& s = found->second;
  s.heard_at = now.mono;
  if (request.has_close()) {
    // Its end is told when it has come.
    out.emplace_back(ExecCall(CancelExec{s.engine, s.exec}));
  } else if (request.has_input()) {
    Input(s, request.input(), out);
  } else if (const auto more =
                 std::min<std::uint64_t>(request.credit_bytes(), kExecCreditMax - s.credit);
             more > 0) {
    s.credit += more;
    out.emplace_back(ExecCall(CreditExec{s.engine, s.exec, more}));
  } else {
    v1::ExecReply reply;
    Reply(s, reply, out);
  }
}

void ExecService::Open(const bus::Message& message, std::uint64_t id, const v1::ExecOpen& open,
                       const WorkerCore& core, Now now, Operations& out) {
  const auto refuse = [&](const Error& error) { Refuse(message.reply_to, id, error, out); };
  if (!allowed_)
    return refuse({Code::kPermission,
                   "this node's worker runs no commands in tasks (it was started with --no-exec)",
                   {}});
  if (sessions_.size() >= kExecSessionsMax)
    return refuse({Code::kResource, "this node's worker runs too many commands; try again", {}});
  auto request = RequestOf(open);
  if (!request) return refuse(request.error());
  auto launch = LaunchOf(open, core);
  if (!launch) return refuse(launch.error());
  Session& s = sessions_[id];
  s.id = id;
  s.reply_to = message.reply_to;
  s.engine = core.EngineWith(*launch).value_or("");
  s.exec = next_exec_++;
  s.credit = std::min<std::uint64_t>(open.credit_bytes(), kExecCreditMax);
  s.input = open.input();
  s.input_credit = s.input ? kExecInputWindow : 0;
  s.heard_at = now.mono;
  by_exec_[s.exec] = id;
  v1::ExecReply reply;
  reply.set_input_credit_bytes(s.input_credit);
  Reply(s, reply, out);
  out.emplace_back(ExecCall(RunExec{s.engine, s.exec, *std::move(launch), *std::move(request)}));
  if (s.credit > 0) out.emplace_back(ExecCall(CreditExec{s.engine, s.exec, s.credit}));
}

void ExecService::Input(Session& s, const v1::ExecInput& input, Operations& out) {
  if (!s.input) return;
  if (input.number() != s.input_number)
    return End(s.id, {Code::kDataLoss, "some of the input was lost on the way", {}}, out);
  if (input.data().size() > s.input_credit)
    return End(s.id, {Code::kResource, "more input came than was asked for", {}}, out);
  ++s.input_number;
  s.input_credit -= input.data().size();
  if (input.last()) s.input = false;
  out.emplace_back(ExecCall(InputExec{s.engine, s.exec, input.data(), input.last()}));
}

ExecService::Session* ExecService::ByExec(std::uint64_t exec) {
  const auto id = by_exec_.find(exec);
  if (id == by_exec_.end()) return nullptr;
  const auto found = sessions_.find(id->second);
  return found == sessions_.end() ? nullptr : &found->second;
}

void ExecService::Reply(Session& s, v1::ExecReply& reply, Operations& out) {
  reply.set_session(s.id);
  reply.set_number(s.number++);
  Publish(s.reply_to, reply, out);
}

void ExecService::OnOutput(engine::ExecOutput& output, Operations& out) {
  Session* s = ByExec(output.exec);
  if (s == nullptr) return;
  s->credit -= std::min<std::uint64_t>(s->credit, output.bytes.size());
  v1::ExecReply reply;
  v1::ExecChunk& chunk = *reply.add_chunks();
  chunk.set_is_stderr(output.is_stderr);
  chunk.set_data(std::move(output.bytes));
  Reply(*s, reply, out);
}

void ExecService::OnTook(const engine::ExecTook& took, Operations& out) {
  Session* s = ByExec(took.exec);
  if (s == nullptr || !s->input) return;
  s->input_credit += took.bytes;
  v1::ExecReply reply;
  reply.set_input_credit_bytes(took.bytes);
  Reply(*s, reply, out);
}

void ExecService::OnEnded(const engine::ExecEnded& ended, Operations& out) {
  Session* s = ByExec(ended.exec);
  by_exec_.erase(ended.exec);
  if (s == nullptr) return;
  v1::ExecReply reply;
  reply.set_end(true);
  if (ended.error) {
    wire::ToProto(*ended.error, *reply.mutable_failure());
  } else {
    reply.set_exit_code(ended.exit_code);
  }
  Reply(*s, reply, out);
  sessions_.erase(s->id);
}

void ExecService::End(std::uint64_t id, const Error& failure, Operations& out) {
  const auto found = sessions_.find(id);
  Session& s = found->second;
  out.emplace_back(ExecCall(CancelExec{s.engine, s.exec}));
  by_exec_.erase(s.exec);
  v1::ExecReply reply;
  reply.set_end(true);
  wire::ToProto(failure, *reply.mutable_failure());
  Reply(s, reply, out);
  sessions_.erase(found);
}

void ExecService::Advance(Now now, Operations& out) {
  std::vector<std::uint64_t> silent;
  for (const auto& [id, s] : sessions_) {
    if (now.mono - s.heard_at >= kExecIdleMax) silent.push_back(id);
  }
  for (const std::uint64_t id : silent)
    End(id, {Code::kTimedOut, "the caller has been silent, so its command was ended", {}}, out);
}

void ExecService::EndAll(Operations& out) {
  while (!sessions_.empty())
    End(sessions_.begin()->first, {Code::kAborted, "the worker was told to end", {}}, out);
}

MonoTime ExecService::NextDeadline() const {
  MonoTime next = MonoTime::max();
  for (const auto& [id, s] : sessions_) next = std::min(next, s.heard_at + kExecIdleMax);
  return next;
}

}  // namespace cube::worker
