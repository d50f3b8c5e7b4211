#include "services/cli/exec_session.h"

#include <cube/v1/exec.pb.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "services/cli/input_reader.h"
#include "services/cli/interrupt.h"
#include "shared/runtime/entropy.h"
#include "shared/wire/convert.h"

namespace cube::cli {
namespace {

// Bytes that a worker may send ahead: keeps a fast link busy, and Ctrl-C prompt.
constexpr std::uint64_t kCreditWindow = 1u << 20;
constexpr std::uint64_t kCreditStep = kCreditWindow / 2;
// One message of input; far below any server's max_payload.
constexpr std::size_t kInputBytesMax = 32u << 10;
// A worker ends the commands of callers that are silent for 30 s.
constexpr Duration kSignOfLife = std::chrono::seconds(5);
constexpr Duration kSilenceMax = std::chrono::seconds(20);
static_assert(kSilenceMax > 3 * kSignOfLife);
// For the end of a command that was told to end; killing takes a moment.
constexpr Duration kCloseWait = std::chrono::seconds(7);

bool IsNoResponders(const bus::Message& message) {
  const auto status = message.headers.find("Status");
  return message.payload.empty() && status != message.headers.end() && status->second == "503";
}

}  // namespace

ExecSession::ExecSession(Client& client, ExecOptions options, Handlers handlers)
    : client_(client),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      id_(runtime::RandomU64()),
      inbox_(Client::NewInbox()) {}

ExecSession::~ExecSession() {
  reader_.reset();
  if (subscription_ == 0) return;
  if (!ended_) Close();
  client_.StopListening(subscription_);
}

void ExecSession::Say(const v1::ExecRequest& request, bool ask_for_reply) {
  spoke_at_ = client_.Mono();
  client_.Send(client_.subjects().Exec(options_.node), ask_for_reply ? inbox_ : "",
               request.SerializeAsString());
}

void ExecSession::Open() {
  subscription_ = client_.Listen(inbox_);
  v1::ExecRequest request;
  request.set_session(id_);
  v1::ExecOpen& open = *request.mutable_open();
  open.set_task(options_.task);
  open.set_attempt(options_.attempt);
  for (const std::string& word : options_.command) open.add_command(word);
  for (const auto& [name, value] : options_.env) (*open.mutable_env())[name] = value;
  open.set_workdir(options_.workdir);
  open.set_user(options_.user);
  open.set_input(options_.input);
  open.set_credit_bytes(kCreditWindow);
  Say(request, /*ask_for_reply=*/true);
  heard_at_ = client_.Mono();
}

void ExecSession::Close() {
  v1::ExecRequest request;
  request.set_session(id_);
  request.mutable_close();
  Say(request, /*ask_for_reply=*/false);
}

void ExecSession::Pay() {
  if (unpaid_ < kCreditStep) return;
  v1::ExecRequest request;
  request.set_session(id_);
  request.set_credit_bytes(std::exchange(unpaid_, 0));
  Say(request, /*ask_for_reply=*/false);
}

void ExecSession::SendInput() {
  while (reader_ && input_credit_ > 0) {
    InputReader::Piece piece =
        reader_->Take(std::min<std::uint64_t>(input_credit_, kInputBytesMax));
    if (piece.bytes.empty() && !piece.last) return;
    input_credit_ -= piece.bytes.size();
    v1::ExecRequest request;
    request.set_session(id_);
    v1::ExecInput& input = *request.mutable_input();
    input.set_number(input_number_++);
    input.set_data(std::move(piece.bytes));
    input.set_last(piece.last);
    Say(request, /*ask_for_reply=*/false);
    if (piece.last) reader_.reset();
  }
}

std::unexpected<Error> ExecSession::NoWorker(const std::string& what) const {
  return Fail(Code::kUnavailable,
              fmt::format("the worker of {} {}; 'cube node ls' shows the node's state",
                          options_.node, what));
}

Result<void> ExecSession::OnMessage(const bus::Message& message) {
  if (message.subscription != subscription_) return {};
  if (IsNoResponders(message))
    return NoWorker(heard_ ? "has gone; the command ends with it"
                           : "does not answer, or this user may not ask it");
  v1::ExecReply reply;
  if (reply.ParseFromString(message.payload) && reply.session() == id_) OnReply(reply);
  return {};
}

void ExecSession::OnReply(const v1::ExecReply& reply) {
  heard_ = true;
  if (!reply.has_failure()) begun_ = true;
  if (reply.number() != number_ && !reply.has_failure())
    handlers_.on_notice("some output was lost on the way");
  number_ = reply.number() + 1;
  for (const auto& chunk : reply.chunks()) {
    unpaid_ += chunk.data().size();
    if (!output_gone_) output_gone_ = !Print(chunk.is_stderr(), chunk.data());
  }
  // After the output, which may have taken its time: the worker was not silent meanwhile.
  heard_at_ = client_.Mono();
  if (reply.input_credit_bytes() > 0) {
    input_credit_ += reply.input_credit_bytes();
    if (options_.input && !reader_ && input_number_ == 0)
      reader_ = std::make_unique<InputReader>(STDIN_FILENO, [this] { client_.Wake(); });
    SendInput();
  }
  if (reply.end()) {
    ended_ = true;
    exit_code_ = reply.exit_code();
    if (reply.has_failure()) failure_ = wire::FromProto(reply.failure());
  } else {
    Pay();
  }
}

bool ExecSession::Print(bool is_stderr, std::string_view bytes) {
  while (!bytes.empty() && !Interrupted()) {
    const auto took = handlers_.on_output(is_stderr, bytes);
    if (!took) return false;
    bytes.remove_prefix(*took);
    if (closing_ && *took == 0) break;
    // Whoever waits for its own output is alive; the worker has to know.
    if (client_.Mono() - spoke_at_ >= kSignOfLife) AskForLife();
  }
  return true;
}

void ExecSession::AskForLife() {
  v1::ExecRequest request;
  request.set_session(id_);
  request.set_credit_bytes(0);
  Say(request, /*ask_for_reply=*/true);
}

// Only when nothing waits to be read: what has come is a sign of life, whenever it is looked at.
Result<void> ExecSession::CheckAlive() {
  const MonoTime now = client_.Mono();
  if (!heard_ && now - heard_at_ >= client_.settings().nats.request_timeout)
    return NoWorker(fmt::format("has not answered within {}, or this user may not ask it",
                                FormatDuration(client_.settings().nats.request_timeout)));
  if (now - heard_at_ >= kSilenceMax) return NoWorker("has not been heard for a while");
  if (now - spoke_at_ < kSignOfLife && now - heard_at_ < kSignOfLife) return {};
  if (now - spoke_at_ < kSignOfLife / 2) return {};
  AskForLife();
  return {};
}

void ExecSession::CloseAndWait() {
  closing_ = true;
  reader_.reset();
  Close();
  ForgetInterrupt();  // a second Ctrl-C ends the waiting
  const MonoTime deadline = client_.In(kCloseWait);
  while (!ended_ && client_.Mono() < deadline) {
    const auto message = client_.Next(deadline);
    if (!message) return;
    if (*message && !OnMessage(**message)) return;
  }
}

Result<void> ExecSession::RunToEnd() {
  Open();
  while (!ended_) {
    if (Interrupted() || output_gone_) {
      interrupted_ = Interrupted();
      CloseAndWait();
      return {};
    }
    auto message = client_.Next(client_.In(kSignOfLife / 5));
    if (!message && Interrupted()) continue;
    if (!message) return std::unexpected(std::move(message).error());
    if (*message) {
      CUBE_TRY_VOID(OnMessage(**message));
    } else {
      CUBE_TRY_VOID(CheckAlive());
    }
    SendInput();
  }
  return {};
}

ExecEnd ExecSession::Run() {
  auto run = RunToEnd();
  if (!run) failure_ = std::move(run).error();
  return ConcludeExec({.interrupted = interrupted_,
                       .output_gone = output_gone_,
                       .begun = begun_,
                       .ended = ended_,
                       .failure = failure_,
                       .exit_code = exit_code_});
}

}  // namespace cube::cli
