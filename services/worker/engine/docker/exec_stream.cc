#include "services/worker/engine/docker/exec_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "services/worker/engine/docker/exec_kill.h"
#include "shared/runtime/entropy.h"

namespace cube::engine::docker {
namespace {

constexpr std::chrono::seconds kCallTimeout{30};
constexpr std::chrono::milliseconds kLookAgainMin{20};
constexpr std::chrono::milliseconds kLookAgainMax{1'000};
constexpr int kOk = 200;
constexpr int kCreated = 201;
constexpr int kBadRequest = 400;
constexpr int kNotFound = 404;
constexpr int kConflict = 409;
constexpr std::int32_t kExitKilled = 137;
constexpr ApiVersion kApiWithEnv{1, 25};
constexpr ApiVersion kApiWithWorkdir{1, 35};
constexpr std::size_t kCreditMax = std::size_t{1} << 40;
constexpr std::size_t kFirstBytesMax = 1024;

// The engine says 126 for whatever its runtime could not start, and only its text, which is all the
// output there is then, says what it was (runc: exec.LookPath's and execve's ENOENT).
bool SaysNoSuchCommand(std::string_view output) {
  return output.starts_with("OCI runtime exec failed") &&
         (output.find("executable file not found") != std::string_view::npos ||
          output.find("no such file or directory") != std::string_view::npos);
}

}  // namespace

ExecStream::ExecStream(HttpLoop& loop, Session& session, std::string container_id,
                       ExecRequest request, Handlers handlers)
    : loop_(loop),
      session_(session),
      container_id_(std::move(container_id)),
      request_(std::move(request)),
      handlers_(std::move(handlers)),
      mark_(fmt::format("CUBE_EXEC={:016x}", runtime::RandomU64())),
      look_again_(kLookAgainMin) {}

ExecStream::~ExecStream() {
  session_.Cancel(call_);
  session_.Cancel(kill_call_);
  session_.Cancel(stream_);
  CancelTimers();
}

void ExecStream::CancelTimers() {
  for (auto* timer : {&timeout_, &look_, &kill_wait_})
    if (*timer) loop_.CancelTimer(*std::exchange(*timer, std::nullopt));
}

HttpLoop::Id ExecStream::Call(const char* method, const std::string& target, std::string body,
                              HttpDone done) {
  return call_ = session_.Call(method, target, std::move(body), kCallTimeout, std::move(done));
}

void ExecStream::Begin() {
  const ApiVersion api = session_.api();
  if (!request_.env.empty() && api < kApiWithEnv)
    return End(-1, Error{Code::kUnsupported, "this engine's API cannot set variables", "env"});
  if (!request_.workdir.empty() && api < kApiWithWorkdir)
    return End(-1, Error{Code::kUnsupported, "this engine's API cannot set a folder", "workdir"});
  if (request_.input && !session_.endpoint().ca_file.empty())
    return End(
        -1, Error{Code::kUnsupported,
                  "an engine that is reached over TLS cannot be told where input ends", "input"});
  if (request_.timeout > Duration{0})
    timeout_ = loop_.After(request_.timeout, [this] {
      timeout_.reset();
      Kill({Code::kTimedOut,
            fmt::format("the command was killed after {}", FormatDuration(request_.timeout)),
            {}});
    });
  Call("POST", fmt::format("/containers/{}/exec", container_id_),
       EncodeExec(request_, api < kApiWithEnv ? std::string() : mark_),
       [this](Result<HttpResponse> answer) { OnCreated(std::move(answer)); });
}

void ExecStream::OnCreated(Result<HttpResponse> answer) {
  if (killed_) return End(-1, killed_);  // it was never started
  if (!answer) return End(-1, Error{Code::kUnavailable, answer.error().message, {}});
  if (answer->status == kCreated) {
    auto id = DecodeCreated(answer->body);
    if (!id) return End(-1, id.error());
    id_ = std::move(*id);
    return Start();
  }
  Code code = Code::kUnavailable;
  if (answer->status == kBadRequest) code = Code::kInvalid;
  if (answer->status == kNotFound) code = Code::kNotFound;
  if (answer->status == kConflict) code = Code::kPrecondition;  // not running, or paused
  End(-1, Error{code, DecodeErrorText(answer->body), {}});
}

void ExecStream::Start() {
  HttpStream stream;
  stream.on_open = [this] {
    streaming_ = true;
    if (!input_.empty()) loop_.Write(stream_, std::exchange(input_, {}));
    if (input_last_) loop_.CloseWrite(stream_);
  };
  stream.on_bytes = [this](std::string_view bytes) { return Take(bytes); };
  stream.on_written = [this](std::size_t bytes) { handlers_.on_took(bytes); };
  stream.done = [this](Result<HttpResponse> answer) { OnStreamEnd(answer); };
  stream_ = session_.Upgrade({.method = "POST",
                              .target = fmt::format("/exec/{}/start", id_),
                              .body = R"({"Detach":false,"Tty":false})"},
                             std::move(stream));
}

void ExecStream::Input(std::string_view bytes, bool last) {
  if (!request_.input || input_last_) return;
  input_last_ = last;
  if (!streaming_) {
    input_.append(bytes);
    return;
  }
  if (last && bytes.empty()) return loop_.CloseWrite(stream_);
  // What was written may be the end of this object: nothing of it is used afterwards.
  HttpLoop& loop = loop_;
  const HttpLoop::Id stream = stream_;
  loop.Write(stream, bytes);
  if (last) loop.CloseWrite(stream);
}

// One delivery at a time is decoded; the next waits in the loop, then in the engine.
bool ExecStream::Take(std::string_view bytes) {
  if (killed_) return true;  // of no interest any more, and must not keep it from ending
  if (!pieces_.empty()) return false;
  const auto add = [this](LogPiece piece) {
    first_.append(piece.bytes, 0, kFirstBytesMax - std::min(kFirstBytesMax, first_.size()));
    pieces_.push_back(std::move(piece));
  };
  if (const auto taken = frames_.Add(bytes, add); !taken) {
    session_.Cancel(stream_);
    Kill(taken.error());
    return true;
  }
  Drain();
  return true;
}

void ExecStream::Credit(std::size_t bytes) {
  credit_ = std::min(credit_ + std::min(bytes, kCreditMax), kCreditMax);
  Drain();
}

void ExecStream::Drain() {
  const bool was_waiting = !pieces_.empty();
  while (!pieces_.empty() && credit_ > 0) {
    LogPiece& piece = pieces_.front();
    const std::size_t count = std::min({piece.bytes.size(), credit_, kLogChunkBytesMax});
    credit_ -= count;
    std::string bytes = piece.bytes.substr(0, count);
    const bool is_stderr = piece.is_stderr;
    piece.bytes.erase(0, count);
    if (piece.bytes.empty()) pieces_.pop_front();
    handlers_.on_output(is_stderr, std::move(bytes));
  }
  if (!pieces_.empty()) return;
  if (ended_) return Finish();
  if (was_waiting) loop_.Resume(stream_);
}

void ExecStream::OnStreamEnd(const Result<HttpResponse>& answer) {
  streaming_ = false;
  if (answer && answer->status != kOk && !killed_) {
    Code code = Code::kUnavailable;
    if (answer->status == kNotFound) code = Code::kNotFound;
    if (answer->status == kConflict) code = Code::kPrecondition;
    return End(-1, Error{code, DecodeErrorText(answer->body), {}});
  }
  frames_.Finish([this](LogPiece piece) { pieces_.push_back(std::move(piece)); });
  Inspect();
}

// The streams end a moment before the engine knows the exit code; a command may also close them
// and go on.
void ExecStream::Inspect() {
  session_.Cancel(call_);
  if (look_) loop_.CancelTimer(*std::exchange(look_, std::nullopt));
  Call("GET", fmt::format("/exec/{}/json", id_), {},
       [this](const Result<HttpResponse>& answer) { OnInspected(answer); });
}

void ExecStream::OnInspected(const Result<HttpResponse>& answer) {
  // It went away with its container.
  if (answer && answer->status == kNotFound) return End(kExitKilled, killed_);
  const auto state = answer && answer->status == kOk
                         ? DecodeExec(answer->body)
                         : Result<ExecState>(Fail(Code::kUnavailable, "no answer"));
  if (state && !state->running && state->exit_code) {
    const bool missing = *state->exit_code == kExitNotExecutable && SaysNoSuchCommand(first_);
    return End(missing ? kExitNoSuchCommand : *state->exit_code, killed_);
  }
  // Before it has a process there is nothing to kill yet.
  if (killed_ && state && state->pid > 0 && !std::exchange(kill_sent_, true) &&
      !KillInContainer(state->pid, container_id_))
    KillFromInside();
  look_ = loop_.After(look_again_, [this] {
    look_.reset();
    Inspect();
  });
  look_again_ = std::min(2 * look_again_, kLookAgainMax);
}

void ExecStream::Kill(Error reason) {
  if (killed_ || ended_) return;
  killed_ = std::move(reason);
  kill_wait_ = loop_.After(kKillWait, [this] {
    kill_wait_.reset();
    KillTimeOver();
  });
  if (id_.empty()) return;  // it is seen when the answer comes
  pieces_.clear();
  loop_.Resume(stream_);
  look_again_ = kLookAgainMin;
  Inspect();
}

void ExecStream::KillFromInside() {
  ExecRequest killer;
  killer.command = KillerCommand(mark_);
  killer.user = request_.user;
  kill_call_ = session_.Call(
      "POST", fmt::format("/containers/{}/exec", container_id_), EncodeExec(killer, {}),
      kCallTimeout, [this](const Result<HttpResponse>& answer) {
        // Whatever goes wrong here, kKillWait has the last word.
        if (!answer || answer->status != kCreated) return;
        const auto id = DecodeCreated(answer->body);
        if (!id) return;
        kill_call_ = session_.Call("POST", fmt::format("/exec/{}/start", *id),
                                   R"({"Detach":true,"Tty":false})", kCallTimeout,
                                   [](const Result<HttpResponse>&) {});
      });
}

void ExecStream::KillTimeOver() {
  Error error = *killed_;
  error.message += "; it could not be killed and may still run";
  End(-1, std::move(error));
}

void ExecStream::End(std::int32_t exit_code, std::optional<Error> error) {
  if (ended_) return;
  ended_ = true;
  CancelTimers();
  exit_code_ = error ? -1 : exit_code;
  error_ = std::move(error);
  if (error_) pieces_.clear();
  if (pieces_.empty()) Finish();
}

void ExecStream::Finish() { handlers_.on_end(exit_code_, error_); }

}  // namespace cube::engine::docker
