#include "services/cli/log_streams.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/cli/views.h"
#include "shared/runtime/entropy.h"
#include "shared/wire/convert.h"

namespace cube::cli {
namespace {

// Bytes that a worker may send ahead: keeps a fast link busy, and Ctrl-C prompt.
constexpr std::uint64_t kCreditWindow = 1u << 20;
constexpr std::uint64_t kCreditStep = kCreditWindow / 2;
static_assert(kCreditStep > 0 && kCreditStep < kCreditWindow);
// When following, a task is looked at this often while nothing comes.
constexpr Duration kLookInterval = std::chrono::seconds(1);

bool IsNoResponders(const bus::Message& message) {
  const auto status = message.headers.find("Status");
  return message.payload.empty() && status != message.headers.end() && status->second == "503";
}

}  // namespace

LogStreams::~LogStreams() {
  for (auto& stream : streams_) Close(stream);
}

void LogStreams::Add(const v1::TaskView& task) {
  Stream& stream = streams_.emplace_back();
  stream.task = task.id();
  stream.looked_at = client_.Mono();
  if (task.attempt() > 0) {
    Open(stream, task, true);
  } else if (!options_.follow || IsFinished(task.status())) {
    on_notice_(fmt::format("{} has no output: {}", task.id(), StatusSentence(task)), false);
    stream.done = true;
  }
}

void LogStreams::Open(Stream& stream, const v1::TaskView& task, bool first) {
  Close(stream);
  stream.node = LastNode(task);
  stream.attempt = task.attempt();
  stream.id = runtime::RandomU64() | 1;  // never 0
  stream.number = 0;
  stream.unpaid = 0;
  stream.heard = false;
  stream.opened_at = client_.Mono();
  const std::string inbox = Client::NewInbox();
  stream.inbox = client_.Listen(inbox);
  v1::LogsRequest request;
  request.set_stream(stream.id);
  v1::LogsOpen& open = *request.mutable_open();
  open.set_task(stream.task);
  open.set_attempt(stream.attempt);
  open.set_follow(options_.follow);
  if (first && options_.tail) open.set_tail_lines(*options_.tail);
  if (first) open.set_since_ns(options_.since_ns);
  open.set_credit_bytes(kCreditWindow);
  client_.Send(client_.subjects().Logs(stream.node), inbox, request.SerializeAsString());
}

void LogStreams::Close(Stream& stream) {
  if (stream.id == 0) return;
  v1::LogsRequest request;
  request.set_stream(stream.id);
  request.mutable_close();
  client_.Send(client_.subjects().Logs(stream.node), {}, request.SerializeAsString());
  client_.StopListening(stream.inbox);
  stream.id = 0;
}

void LogStreams::Say(Stream& stream, v1::LogsNotice notice) {
  if (notice == v1::LOGS_NOTICE_UNSPECIFIED || !stream.notices_said.insert(notice).second) return;
  const std::string& task = stream.task;
  switch (notice) {
    case v1::LOGS_NOTICE_BEGINNING_GONE:
      return on_notice_(fmt::format("the beginning of the output of {} is not kept any more", task),
                        false);
    case v1::LOGS_NOTICE_BEGINNING_MAYBE_GONE:
      return on_notice_(fmt::format("{} has printed so much that the beginning of its output may "
                                    "not be kept any more",
                                    task),
                        false);
    case v1::LOGS_NOTICE_LINES_LOST:
      return on_notice_(fmt::format("some output of {} is missing: it printed more than is kept "
                                    "before this could be read",
                                    task),
                        true);
    case v1::LOGS_NOTICE_NOT_STARTED:
      return on_notice_(fmt::format("{} has no output yet: it has not started", task), false);
    default:
      return;  // of a newer worker
  }
}

void LogStreams::Pay(Stream& stream) {
  if (stream.unpaid < kCreditStep) return;
  v1::LogsRequest request;
  request.set_stream(stream.id);
  request.set_credit_bytes(stream.unpaid);
  client_.Send(client_.subjects().Logs(stream.node), {}, request.SerializeAsString());
  stream.unpaid = 0;
}

Result<void> LogStreams::OnMessage(Stream& stream, const bus::Message& message) {
  if (IsNoResponders(message)) {
    if (!options_.follow) {
      return Fail(Code::kUnavailable,
                  fmt::format("the worker of {} does not answer, or this user may not ask it, so "
                              "the output of {} cannot be read now; 'cube node ls' shows the "
                              "node's state",
                              stream.node, stream.task));
    }
    client_.StopListening(stream.inbox);
    stream.id = 0;  // perhaps it comes back: Look opens it again
    return {};
  }
  v1::LogsReply reply;
  if (!reply.ParseFromString(message.payload) || reply.stream() != stream.id) return {};
  stream.heard = true;
  if (reply.number() != stream.number) {
    on_notice_(fmt::format("some output of {} was lost on the way", stream.task), true);
  }
  stream.number = reply.number() + 1;
  Say(stream, reply.notice());
  for (const auto& chunk : reply.chunks()) {
    stream.unpaid += chunk.data().size();
    on_chunk_(stream.task, chunk);
  }
  if (!reply.end()) {
    Pay(stream);
    return {};
  }
  client_.StopListening(stream.inbox);
  stream.id = 0;
  if (reply.has_failure()) {
    on_notice_(
        fmt::format("output of {}: {}", stream.task, wire::FromProto(reply.failure()).Text()),
        true);
  }
  if (!options_.follow) stream.done = true;
  return options_.follow ? Look(stream) : Result<void>{};
}

Result<void> LogStreams::Look(Stream& stream) {
  stream.looked_at = client_.Mono();
  const auto task = client_.Task(stream.task);
  if (!task) {
    const Code code = task.error().code;
    if (code == Code::kNotFound) stream.done = true;  // forgotten meanwhile
    if (code == Code::kNotFound || code == Code::kUnavailable || code == Code::kTimedOut) return {};
    return std::unexpected(task.error());
  }
  if (task->attempt() != stream.attempt) {
    Open(stream, *task, stream.attempt == 0);
  } else if (stream.id == 0 && IsFinished(task->status())) {
    stream.done = true;
  }
  return {};
}

Result<void> LogStreams::CheckIdle(Stream& stream) {
  const MonoTime now = client_.Mono();
  if (options_.follow) {
    return now - stream.looked_at < kLookInterval ? Result<void>{} : Look(stream);
  }
  if (stream.heard || now - stream.opened_at < client_.settings().nats.request_timeout) return {};
  return Fail(Code::kUnavailable,
              fmt::format("the worker of {} has not answered within {}, or this user may not ask "
                          "it, so the output of {} cannot be read now",
                          stream.node, FormatDuration(client_.settings().nats.request_timeout),
                          stream.task));
}

bool LogStreams::placed() const {
  return std::ranges::any_of(streams_, [](const Stream& s) { return s.attempt > 0; });
}

Result<void> LogStreams::Run(const std::function<bool()>& go_on) {
  while (go_on()) {
    bool open = false;
    for (auto& stream : streams_) {
      if (!stream.done) CUBE_TRY_VOID(CheckIdle(stream));
      open = open || !stream.done;
    }
    if (!open) return {};
    CUBE_TRY(const auto message, client_.Next(client_.In(kLookInterval)));
    if (!message) continue;
    for (auto& stream : streams_) {
      if (stream.id != 0 && stream.inbox == message->subscription) {
        CUBE_TRY_VOID(OnMessage(stream, *message));
        break;
      }
    }
  }
  return {};
}

}  // namespace cube::cli
