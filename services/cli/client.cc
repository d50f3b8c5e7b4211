#include "services/cli/client.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <atomic>
#include <variant>

#include "services/cli/interrupt.h"
#include "services/cli/resolve.h"
#include "shared/base/base32.h"
#include "shared/bus/nats_bus.h"
#include "shared/bus/nats_probe.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/entropy.h"
#include "shared/runtime/inbox.h"
#include "shared/wire/convert.h"

namespace cube::cli {
namespace {

// Events that wait to be taken: messages of the feed and of logs beyond this are lost, as core NATS
// loses them.
constexpr std::size_t kInboxMax = 65'536;
// Waiting is cut into slices, so that Ctrl-C is noticed: a signal cannot wake a condition variable.
constexpr Duration kInterruptSlice = std::chrono::milliseconds(100);
// After a first failed connect the bus goes on trying; a server that is just starting, or one that
// refuses us for good, is known within this time.
constexpr Duration kSecondChance = std::chrono::milliseconds(1'200);
constexpr Duration kProbeTimeout = std::chrono::seconds(1);
// Direct gets in flight: hides the round trip, far below the bus's own limit.
constexpr std::uint64_t kGetsInFlight = 64;
constexpr int kTokenDigits = 12;

std::string ServerText(const Settings& settings) {
  std::string text = settings.ServersText();
  if (settings.server_origin != "--server" && settings.server_origin != "the default") {
    text += " (from " + settings.server_origin + ")";
  }
  return text;
}

constexpr std::string_view kWaysIn = "--creds, --nkey, --nats-user, --tlsca and --context";

std::unexpected<Error> Unreachable(const Settings& settings, const std::string& bus_reason) {
  std::string reason;
  for (const auto& url : settings.nats.urls) {
    reason = bus::ProbeServer(url, kProbeTimeout).failure;
    if (!reason.empty()) continue;
    // Somebody listens there, so it is the signing in, or TLS.
    return Fail(Code::kUnavailable,
                fmt::format("cannot connect to NATS at {}: {}. See {}.", ServerText(settings),
                            bus_reason.empty() ? "no answer" : bus_reason, kWaysIn));
  }
  return Fail(Code::kUnavailable,
              fmt::format("cannot reach NATS at {}: {}. Is it running? Try 'cube dev' or set "
                          "--server.",
                          ServerText(settings), reason));
}

// If no server's port can even be opened there is no reason to wait.
std::optional<Error> NobodyListens(const Settings& settings) {
  for (const auto& url : settings.nats.urls) {
    if (bus::ProbeServer(url, kProbeTimeout).failure.empty()) return std::nullopt;
  }
  return Unreachable(settings, "").error();
}

Result<void> ReadReply(const std::string& payload, v1::QueryReply& reply) {
  if (!reply.ParseFromString(payload)) {
    return Fail(Code::kInternal, "the manager's answer cannot be read; is it a newer version?");
  }
  if (reply.has_failure()) {
    Error error = wire::FromProto(reply.failure());
    error.field.clear();  // fields of a question mean nothing to whoever typed a command
    if (!reply.candidates().empty()) {
      error.message += fmt::format(": {}", fmt::join(reply.candidates(), ", "));
    }
    return std::unexpected(std::move(error));
  }
  return {};
}

// Of an encoded QueryReply, without reading the rest of it; empty if it cannot be read.
std::string NextPageOf(const std::string& payload) {
  using google::protobuf::internal::WireFormatLite;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(payload.data()),
                                            static_cast<int>(payload.size()));
  std::string page;
  while (const std::uint32_t tag = in.ReadTag()) {
    const bool is_page = tag == WireFormatLite::MakeTag(v1::QueryReply::kNextPageFieldNumber,
                                                        WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
    if (is_page ? !WireFormatLite::ReadString(&in, &page) : !WireFormatLite::SkipField(&in, tag)) {
      return "";
    }
  }
  return page;
}

std::unexpected<Error> InterruptedError() { return Fail(Code::kAborted, "interrupted"); }

}  // namespace

// Turns the bus's events into answers of blocking calls.
class Client::Impl {
 public:
  explicit Impl(bus::NatsBusOptions options)
      : inbox_(kInboxMax), bus_(std::move(options), [this](bus::Event event) {
          // Core messages may be lost; completions may not.
          if (std::holds_alternative<bus::Message>(event)) {
            inbox_.Push(std::move(event));
          } else {
            inbox_.PushAlways(std::move(event));
          }
        }) {}

  bus::NatsBus& bus() { return bus_; }
  bus::OpId NewOp() { return ++op_last_; }
  [[nodiscard]] Now now() const { return clock_.now(); }

  // Takes what has come, waiting for the first event until the deadline. False: nothing came.
  bool Pump(MonoTime deadline) {
    std::vector<bus::Event> events;
    const MonoTime slice = now().mono + kInterruptSlice;
    inbox_.TakeUntil(events, kInboxMax, std::min(deadline, slice));
    for (auto& event : events) std::visit([this](auto& e) { On(e); }, event);
    return !events.empty();
  }

  // Waits for the completion of an operation.
  Result<bus::Event> Await(bus::OpId op, Duration timeout) {
    // The bus ends every operation by itself; this is only for a bus that does not.
    const MonoTime deadline = now().mono + timeout + std::chrono::seconds(2);
    while (true) {
      if (auto node = done_.extract(op); !node.empty()) return std::move(node.mapped());
      if (closed_) return std::unexpected(*closed_);
      if (Interrupted()) return InterruptedError();
      if (!Pump(deadline) && now().mono >= deadline) {
        return Fail(Code::kTimedOut, "NATS did not answer in time");
      }
    }
  }

  bus::SubId Listen(const std::string& subject) {
    const bus::SubId id = ++sub_last_;
    listening_.insert(id);
    bus_.Subscribe(id, subject, "");
    return id;
  }
  void StopListening(bus::SubId id) {
    listening_.erase(id);
    bus_.Unsubscribe(id);
    std::erase_if(messages_, [id](const bus::Message& m) { return m.subscription == id; });
  }

  Result<std::optional<bus::Message>> Next(MonoTime deadline) {
    while (messages_.empty()) {
      if (closed_) return std::unexpected(*closed_);
      if (Interrupted()) return InterruptedError();
      if (woken_.exchange(false)) return std::nullopt;
      if (!Pump(deadline) && now().mono >= deadline) return std::nullopt;
    }
    bus::Message message = std::move(messages_.front());
    messages_.pop_front();
    return message;
  }

  void Wake() {
    woken_.store(true);
    inbox_.Wake();
  }

  // Up, refused for good, or not reachable; the deadline is short after the first failure.
  Result<void> AwaitConnected(const Settings& settings) {
    const MonoTime started = now().mono;
    MonoTime deadline = started + settings.nats.request_timeout;
    while (!connected_) {
      if (closed_) {
        if (closed_->code == Code::kPermission) {
          return Fail(Code::kPermission,
                      fmt::format("NATS at {} does not let us in: {}. See {}.",
                                  ServerText(settings), closed_->message, kWaysIn));
        }
        return std::unexpected(*closed_);
      }
      if (Interrupted()) return InterruptedError();
      if (!down_reason_.empty() && deadline > started + kSecondChance) {
        deadline = started + kSecondChance;
        if (auto unreachable = NobodyListens(settings)) return std::unexpected(*unreachable);
      }
      if (!Pump(deadline) && now().mono >= deadline) return Unreachable(settings, down_reason_);
    }
    return {};
  }

 private:
  void On(bus::Connected&) { connected_ = true; }
  void On(bus::Disconnected& e) { down_reason_ = e.reason; }
  void On(bus::Closed& e) { closed_ = e.error; }
  void On(bus::Message& e) {
    if (listening_.contains(e.subscription)) messages_.push_back(std::move(e));
  }
  void On(bus::Read&) {}
  void On(bus::ReadFailed&) {}
  template <class Completion>
  void On(Completion& e) {
    const bus::OpId op = e.op;
    done_.emplace(op, bus::Event(std::move(e)));
  }

  SystemClock clock_;
  Inbox<bus::Event> inbox_;
  std::map<bus::OpId, bus::Event> done_;
  std::set<bus::SubId> listening_;
  std::deque<bus::Message> messages_;
  std::atomic<bool> woken_ = false;
  bool connected_ = false;  // at least once
  std::string down_reason_;
  std::optional<Error> closed_;
  bus::OpId op_last_ = 0;
  bus::SubId sub_last_ = 0;
  bus::NatsBus bus_;  // last: its threads push into the inbox
};

Client::Client(Settings settings, wire::Subjects subjects, std::unique_ptr<Impl> impl)
    : settings_(std::move(settings)), subjects_(std::move(subjects)), impl_(std::move(impl)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::Connect(const Settings& settings) {
  CUBE_TRY(auto subjects, wire::Subjects::Make(settings.root));
  bus::NatsBusOptions nats = settings.nats;
  nats.stream_info_prefix = subjects.StreamInfoPrefix();
  auto impl = std::make_unique<Impl>(std::move(nats));
  CUBE_TRY_VOID(impl->AwaitConnected(settings));
  return std::unique_ptr<Client>(new Client(settings, std::move(subjects), std::move(impl)));
}

// ---- questions --------------------------------------------------------------------------------

Result<v1::QueryReply> Client::Query(std::string_view what, const v1::QueryRequest& request) {
  CUBE_TRY(const std::string payload, Answer(Ask(what, request)));
  v1::QueryReply reply;
  CUBE_TRY_VOID(ReadReply(payload, reply));
  return reply;
}

bus::OpId Client::Ask(std::string_view what, const v1::QueryRequest& request) {
  const bus::OpId op = impl_->NewOp();
  impl_->bus().Request(op, subjects_.Query(what), {}, request.SerializeAsString(),
                       settings_.nats.request_timeout);
  return op;
}

Result<std::string> Client::Answer(bus::OpId op) {
  CUBE_TRY(bus::Event event, impl_->Await(op, settings_.nats.request_timeout));
  if (auto* replied = std::get_if<bus::Replied>(&event)) return std::move(replied->payload);
  const auto* failed = std::get_if<bus::OpFailed>(&event);
  if (failed == nullptr) return Fail(Code::kInternal, "a question has ended without an answer");
  if (failed->error.code != Code::kUnavailable && failed->error.code != Code::kTimedOut) {
    return std::unexpected(failed->error);
  }
  return Fail(failed->error.code,
              fmt::format("no manager answers on {} at {}: {}. Is one running? Start it with "
                          "'cube manager', or all of it with 'cube dev'.",
                          subjects_.Query("*"), ServerText(settings_),
                          failed->error.code == Code::kTimedOut
                              ? "no answer within " + FormatDuration(settings_.nats.request_timeout)
                              : "nobody listens there"));
}

Result<void> Client::EachTask(v1::QueryRequest request,
                              const std::function<void(v1::TaskView&)>& visit) {
  v1::QueryReply reply;  // each page is read into the memory of the one before
  for (std::optional<bus::OpId> op = Ask("tasks", request); op;) {
    CUBE_TRY(const std::string payload, Answer(*op));
    op.reset();
    request.set_page(NextPageOf(payload));
    if (!request.page().empty()) op = Ask("tasks", request);  // made while this page is read
    CUBE_TRY_VOID(ReadReply(payload, reply));
    for (v1::TaskView& task : *reply.mutable_tasks()) visit(task);
  }
  return {};
}

Result<std::vector<v1::TaskView>> Client::Tasks(v1::QueryRequest request) {
  std::vector<v1::TaskView> tasks;
  CUBE_TRY_VOID(EachTask(std::move(request),
                         [&tasks](v1::TaskView& task) { tasks.push_back(std::move(task)); }));
  return tasks;
}

Result<v1::TaskView> Client::Task(std::string_view match, std::uint64_t min_intent) {
  v1::QueryRequest request;
  request.set_match(std::string(match));
  request.set_min_intent(min_intent);
  auto reply = Query("task", request);
  if (reply && reply->tasks_size() == 1) return std::move(*reply->mutable_tasks(0));
  if (!reply && reply.error().code != Code::kNotFound) return std::unexpected(reply.error());
  return Fail(Code::kNotFound,
              fmt::format("there is no task '{}'. 'cube ps -a' lists them", match));
}

Result<v1::TaskView> Client::FindKnown(const std::string& word) { return FindAt(word, 0); }

Result<v1::TaskView> Client::Find(const std::string& word) {
  auto task = FindAt(word, 0);
  if (task || task.error().code != Code::kNotFound) return task;
  const auto intents = State(subjects_.IntentsStream());
  if (!intents) return task;  // this user may not ask: what the manager says has to do
  const MonoTime deadline = In(settings_.nats.request_timeout);
  while (true) {
    task = FindAt(word, intents->last_seq);
    const bool late = !task && task.error().code == Code::kTimedOut;
    if (!late) return task;
    if (Mono() >= deadline) break;
  }
  return Fail(Code::kTimedOut,
              fmt::format("no task '{}' is known yet, and not all that was submitted is decided "
                          "on: see 'cube status', and try again",
                          word));
}

Result<v1::TaskView> Client::FindAt(const std::string& word, std::uint64_t min_intent) {
  auto task = Task(word, min_intent);
  if (task || task.error().code != Code::kConflict) return task;
  v1::QueryRequest request;
  request.set_match(word);
  CUBE_TRY(auto live, Tasks(request));
  std::vector<Named> named;
  for (const auto& candidate : live) named.push_back({candidate.id(), candidate.spec().name()});
  const auto id = ResolveTask(word, named);
  if (!id) return task;
  for (auto& candidate : live) {
    if (candidate.id() == *id) return std::move(candidate);
  }
  return task;
}

Result<std::vector<v1::NodeView>> Client::Nodes(std::uint64_t min_intent) {
  std::vector<v1::NodeView> nodes;
  v1::QueryRequest request;
  request.set_min_intent(min_intent);
  do {
    CUBE_TRY(v1::QueryReply reply, Query("nodes", request));
    for (auto& node : *reply.mutable_nodes()) nodes.push_back(std::move(node));
    request.set_page(reply.next_page());
  } while (!request.page().empty());
  return nodes;
}

Result<v1::JobView> Client::Job(const std::string& name, std::uint64_t min_intent) {
  v1::QueryRequest request;
  request.set_match(name);
  request.set_min_intent(min_intent);
  CUBE_TRY(v1::QueryReply reply, Query("jobs", request));
  if (reply.jobs_size() != 1) return Fail(Code::kNotFound, fmt::format("no job '{}'", name));
  return std::move(*reply.mutable_jobs(0));
}

Result<std::vector<v1::JobView>> Client::Jobs(bool ended_too) {
  std::vector<v1::JobView> jobs;
  v1::QueryRequest request;
  request.set_include_finished(ended_too);
  do {
    CUBE_TRY(v1::QueryReply reply, Query("jobs", request));
    for (auto& job : *reply.mutable_jobs()) jobs.push_back(std::move(job));
    request.set_page(reply.next_page());
  } while (!request.page().empty());
  return jobs;
}

Result<v1::ClusterView> Client::Cluster() {
  CUBE_TRY(v1::QueryReply reply, Query("cluster", {}));
  return std::move(*reply.mutable_cluster());
}

// ---- intents ----------------------------------------------------------------------------------

Result<std::uint64_t> Client::Append(const std::string& subject, std::string payload,
                                     std::string_view token, std::string_view summary) {
  bus::AppendRequest request;
  request.op = impl_->NewOp();
  request.subject = subject;
  request.headers = {{std::string(wire::kHeaderOutcome), std::string(token)},
                     {std::string(wire::kHeaderSummary), std::string(summary)}};
  request.payload = std::move(payload);
  request.timeout = settings_.nats.request_timeout;
  const bus::OpId op = request.op;
  impl_->bus().Append(std::move(request));
  CUBE_TRY(const bus::Event event, impl_->Await(op, settings_.nats.request_timeout));
  if (const auto* appended = std::get_if<bus::Appended>(&event)) return appended->seq;
  const auto* failed = std::get_if<bus::AppendFailed>(&event);
  if (failed == nullptr) return Fail(Code::kInternal, "an append ended as something else");
  if (failed->error.code == Code::kNotFound || failed->error.code == Code::kUnavailable) {
    return Fail(
        Code::kPrecondition,
        fmt::format("no stream takes {} at {}: this user may not send it, no manager has run "
                    "there yet, or the server runs without JetStream (nats-server -js). "
                    "Start a manager with 'cube manager', or all of it with 'cube dev'.",
                    subject, ServerText(settings_)));
  }
  return std::unexpected(failed->error);
}

std::string Client::NewToken() { return Base32(runtime::RandomU64(), kTokenDigits); }

// ---- core messages ----------------------------------------------------------------------------

bus::SubId Client::Listen(const std::string& subject) { return impl_->Listen(subject); }
void Client::StopListening(bus::SubId id) { impl_->StopListening(id); }

Result<std::optional<bus::Message>> Client::Next(MonoTime deadline) {
  return impl_->Next(deadline);
}

void Client::Wake() { impl_->Wake(); }

void Client::Send(const std::string& subject, const std::string& reply_to, std::string payload) {
  if (reply_to.empty()) {
    impl_->bus().Publish(subject, {}, std::move(payload));
  } else {
    impl_->bus().PublishWithReply(subject, reply_to, std::move(payload));
  }
}

Result<std::string> Client::Request(const std::string& subject, std::string payload) {
  const bus::OpId op = impl_->NewOp();
  impl_->bus().Request(op, subject, {}, std::move(payload), settings_.nats.request_timeout);
  CUBE_TRY(bus::Event event, impl_->Await(op, settings_.nats.request_timeout));
  if (auto* replied = std::get_if<bus::Replied>(&event)) return std::move(replied->payload);
  const auto* failed = std::get_if<bus::OpFailed>(&event);
  if (failed == nullptr) return Fail(Code::kInternal, "a request ended as something else");
  return std::unexpected(failed->error);
}

std::string Client::NewInbox() { return "_INBOX." + Base32(runtime::RandomU64(), kTokenDigits); }

// ---- streams ----------------------------------------------------------------------------------

Result<bus::StreamState> Client::State(const std::string& stream) {
  const bus::OpId op = impl_->NewOp();
  impl_->bus().GetState(op, stream);
  CUBE_TRY(bus::Event event, impl_->Await(op, settings_.nats.request_timeout));
  if (auto* got = std::get_if<bus::GotState>(&event)) return std::move(got->state);
  const auto* failed = std::get_if<bus::OpFailed>(&event);
  if (failed == nullptr) return Fail(Code::kInternal, "a question ended as something else");
  if (failed->error.code == Code::kNotFound) {
    return Fail(Code::kPrecondition,
                fmt::format("stream {} does not exist at {}: no manager has run there yet. Start "
                            "one with 'cube manager', or all of it with 'cube dev'.",
                            stream, ServerText(settings_)));
  }
  return std::unexpected(failed->error);
}

Result<std::optional<bus::StreamMessage>> Client::Get(const std::string& stream,
                                                      std::uint64_t seq) {
  const bus::OpId op = impl_->NewOp();
  impl_->bus().Get(op, stream, seq);
  return AwaitMessage(op);
}

Result<std::optional<bus::StreamMessage>> Client::GetLast(const std::string& stream,
                                                          const std::string& subject) {
  const bus::OpId op = impl_->NewOp();
  impl_->bus().GetLast(op, stream, subject);
  return AwaitMessage(op);
}

Result<std::optional<bus::StreamMessage>> Client::AwaitMessage(bus::OpId op) {
  CUBE_TRY(bus::Event event, impl_->Await(op, settings_.nats.request_timeout));
  if (auto* got = std::get_if<bus::Got>(&event)) return std::move(got->message);
  const auto* failed = std::get_if<bus::OpFailed>(&event);
  if (failed == nullptr) return Fail(Code::kInternal, "a get ended as something else");
  return std::unexpected(failed->error);
}

Result<void> Client::ReadRange(const std::string& stream, std::uint64_t first, std::uint64_t last,
                               const std::function<void(const bus::StreamMessage&)>& visit) {
  std::deque<bus::OpId> in_flight;
  std::uint64_t next = first;
  while (next <= last || !in_flight.empty()) {
    while (next <= last && in_flight.size() < kGetsInFlight) {
      in_flight.push_back(impl_->NewOp());
      impl_->bus().Get(in_flight.back(), stream, next++);
    }
    CUBE_TRY(const bus::Event event,
             impl_->Await(in_flight.front(), settings_.nats.request_timeout));
    in_flight.pop_front();
    if (const auto* failed = std::get_if<bus::OpFailed>(&event)) {
      return std::unexpected(failed->error);
    }
    const auto* got = std::get_if<bus::Got>(&event);
    if (got != nullptr && got->message) visit(*got->message);
  }
  return {};
}

Result<MetricsByNode> Client::Metrics(const std::vector<std::string>& nodes) {
  MetricsByNode metrics;
  std::deque<bus::OpId> in_flight;
  auto next = nodes.begin();
  while (next != nodes.end() || !in_flight.empty()) {
    while (next != nodes.end() && in_flight.size() < kGetsInFlight) {
      in_flight.push_back(impl_->NewOp());
      impl_->bus().GetLast(in_flight.back(), subjects_.MetricsStream(), subjects_.Metrics(*next++));
    }
    CUBE_TRY(const bus::Event event,
             impl_->Await(in_flight.front(), settings_.nats.request_timeout));
    in_flight.pop_front();
    if (const auto* failed = std::get_if<bus::OpFailed>(&event)) {
      if (failed->error.code == Code::kNotFound) continue;  // no stream yet: nobody has published
      return std::unexpected(failed->error);
    }
    const auto* got = std::get_if<bus::Got>(&event);
    v1::Metrics message;
    if (got == nullptr || !got->message || !message.ParseFromString(got->message->payload)) {
      continue;
    }
    std::string node = message.node();
    metrics.emplace(std::move(node), NodeMetrics{std::move(message), got->message->time});
  }
  return metrics;
}

std::string Client::ServerVersion() const {
  for (const auto& url : settings_.nats.urls) {
    const bus::ServerProbe probe = bus::ProbeServer(url, kProbeTimeout);
    if (!probe.version.empty()) return probe.version;
  }
  return {};
}

std::string Client::ServerUrl() const { return ServerText(settings_); }

Now Client::now() const { return impl_->now(); }

}  // namespace cube::cli
