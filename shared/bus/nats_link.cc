#include "shared/bus/nats_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "shared/base/check.h"
#include "shared/bus/nats_bus.h"
#include "shared/bus/nats_handles.h"
#include "shared/bus/nats_url.h"
#include "shared/bus/nkey.h"

namespace cube::bus {
namespace {

// A peer that takes nothing for so long is dead. The caller's thread waits meanwhile, so it is the
// default time of an append, not more.
constexpr Duration kWriteDeadline = std::chrono::seconds(5);
// How long a clean close waits until what was sent has arrived.
constexpr Duration kCloseFlush = std::chrono::milliseconds(500);
constexpr int kPingsOutMax = 2;
constexpr int kIoBufferBytes = 256 * 1024;

// TLS is sound from this version of the C client on (its lock around SSL_read and SSL_write).
constexpr std::uint32_t kTlsSafeVersion = 0x030B00;

std::int64_t Millis(Duration d) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

const char* OrNull(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

// Callbacks of a connection may come after its owner is gone: they carry a number, and this says
// whose it is.
template <class T>
class Registry {
 public:
  std::uint64_t Put(std::shared_ptr<T> value) {
    const std::lock_guard lock(mutex_);
    entries_[++last_] = std::move(value);
    return last_;
  }
  std::shared_ptr<T> Find(void* closure) {
    const std::lock_guard lock(mutex_);
    const auto it = entries_.find(reinterpret_cast<std::uintptr_t>(closure));
    return it == entries_.end() ? nullptr : it->second;
  }
  void Drop(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    entries_.erase(id);
  }

 private:
  std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, std::shared_ptr<T>> entries_;
};

// The closure of a subscription: dies in the completion callback, the last thing that the
// subscription's thread does.
struct Target {
  std::shared_ptr<MessageTarget> target;
};

void OnMessage(natsConnection* /*nc*/, natsSubscription* /*sub*/, natsMsg* message,
               void* closure) noexcept {
  const NatsMsgPtr owner(message);
  if (message != nullptr) static_cast<Target*>(closure)->target->OnMessage(message);
}

void OnComplete(void* closure) noexcept { delete static_cast<Target*>(closure); }

Error StatusError(natsStatus status, std::string_view what) {
  Code code = Code::kUnavailable;
  std::string_view hint;
  switch (status) {
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
      code = Code::kPermission;
      hint = "; check user and password, token, nkey or credentials file";
      break;
    case NATS_SECURE_CONNECTION_REQUIRED:
      code = Code::kPrecondition;
      hint = "; the server asks for TLS: give a CA file or use tls://";
      break;
    case NATS_SECURE_CONNECTION_WANTED:
      code = Code::kPrecondition;
      hint = "; the server has no TLS";
      break;
    case NATS_SSL_ERROR:
      code = Code::kPermission;
      hint = "; check the certificates";
      break;
    case NATS_PROTOCOL_ERROR:
      // How a handshake ends that the server refuses.
      hint = "; where the server asks for client certificates, give one";
      break;
    case NATS_INVALID_ARG:
    case NATS_ADDRESS_MISSING:
      code = Code::kInvalid;
      break;
    default:
      break;
  }
  return Error{code, fmt::format("{}: {}{}", what, natsStatus_GetText(status), hint), {}};
}

}  // namespace

struct NatsLink::State {
  std::mutex mutex;
  ClosedFn closed;  // empty once called
  std::string refusal;
  bool close_called = false;
  std::set<natsSubscription*> subscriptions;
  std::uint64_t id = 0;

  static Registry<State>& All() {
    static auto* const registry = new Registry<State>;  // outlives every thread of the C client
    return *registry;
  }

  void Gone(Error reason) {
    ClosedFn call;
    {
      const std::lock_guard lock(mutex);
      call.swap(closed);
    }
    All().Drop(id);
    if (call) call(std::move(reason));
  }
};

namespace {

std::string LastErrorText(natsConnection* nc) {
  const char* text = nullptr;
  natsConnection_GetLastError(nc, &text);
  return text == nullptr ? std::string() : std::string(text);
}

}  // namespace

bool WantsTls(const NatsBusOptions& options) {
  if (!options.tls_ca_file.empty() || !options.tls_cert_file.empty()) return true;
  return std::any_of(options.urls.begin(), options.urls.end(),
                     [](const std::string& url) { return url.starts_with("tls://"); });
}

std::string WarningOf(const NatsBusOptions& options) {
  if (!WantsTls(options) || TlsIsSafe() || !options.allow_unsafe_tls) return {};
  return fmt::format(
      "TLS with NATS C client {} is not safe (fixed in 3.11): under load the connection may "
      "break or the process may crash; allowed by --allow-unsafe-tls",
      nats_GetVersion());
}

bool TlsIsSafe() { return nats_GetVersionNumber() >= kTlsSafeVersion; }

Result<void> NatsLink::Configure(natsOptions* o, const NatsBusOptions& from,
                                 const std::string& name, void* closure) {
  std::vector<const char*> urls;
  for (const std::string& url : from.urls) urls.push_back(url.c_str());
  natsStatus s = natsOptions_SetServers(o, urls.data(), static_cast<int>(urls.size()));
  if (s != NATS_OK) {
    return std::unexpected(
        Error{Code::kInvalid, fmt::format("the NATS URLs are not valid: {}", natsStatus_GetText(s)),
              "urls"});
  }
  const auto set = [&s](natsStatus next) {
    if (s == NATS_OK) s = next;
  };
  set(natsOptions_SetName(o, name.c_str()));
  set(natsOptions_SetAllowReconnect(o, false));
  set(natsOptions_SetSendAsap(o, true));
  set(natsOptions_SetTimeout(o, Millis(from.connect_timeout)));
  set(natsOptions_SetPingInterval(o, Millis(from.ping_interval)));
  set(natsOptions_SetMaxPingsOut(o, kPingsOutMax));
  set(natsOptions_SetWriteDeadline(o, Millis(kWriteDeadline)));
  set(natsOptions_SetIOBufSize(o, kIoBufferBytes));
  if (!from.creds_file.empty()) {
    set(natsOptions_SetUserCredentialsFromFiles(o, from.creds_file.c_str(), nullptr));
  }
  if (!from.nkey_seed_file.empty()) {
    CUBE_TRY(const std::string key, PublicNkeyOfFile(from.nkey_seed_file));
    set(natsOptions_SetNKeyFromSeed(o, key.c_str(), from.nkey_seed_file.c_str()));
  }
  if (!from.user.empty()) {
    set(natsOptions_SetUserInfo(o, from.user.c_str(), from.password.c_str()));
  }
  if (!from.token.empty()) set(natsOptions_SetToken(o, from.token.c_str()));
  if (WantsTls(from)) {
    set(natsOptions_SetSecure(o, true));
    if (!from.tls_ca_file.empty()) {
      set(natsOptions_LoadCATrustedCertificates(o, from.tls_ca_file.c_str()));
    }
    if (!from.tls_cert_file.empty()) {
      set(natsOptions_LoadCertificatesChain(o, from.tls_cert_file.c_str(),
                                            OrNull(from.tls_key_file)));
    }
  }
  set(natsOptions_SetClosedCB(
      o,
      [](natsConnection* nc, void* id) noexcept {
        if (const auto state = State::All().Find(id)) {
          const char* text = nullptr;
          const natsStatus status = natsConnection_GetLastError(nc, &text);
          Error reason = StatusError(status == NATS_OK ? NATS_CONNECTION_CLOSED : status,
                                     "the connection to NATS ended");
          if (text != nullptr && *text != '\0') reason.message += fmt::format(" ({})", text);
          state->Gone(std::move(reason));
        }
      },
      closure));
  set(natsOptions_SetErrorHandler(
      o,
      [](natsConnection* nc, natsSubscription* /*may be freed*/, natsStatus status,
         void* id) noexcept {
        if (status != NATS_NOT_PERMITTED) return;
        if (const auto state = State::All().Find(id)) {
          std::string text = LastErrorText(nc);
          const std::lock_guard lock(state->mutex);
          state->refusal = std::move(text);
        }
      },
      closure));
  if (s != NATS_OK) return std::unexpected(StatusError(s, "setting up the connection to NATS"));
  return {};
}

Result<std::shared_ptr<NatsLink>> NatsLink::Open(const NatsBusOptions& options,
                                                 const std::string& name, ClosedFn closed) {
  auto state = std::make_shared<State>();
  state->closed = std::move(closed);
  state->id = State::All().Put(state);
  natsOptions* raw = nullptr;
  const natsStatus created = natsOptions_Create(&raw);
  const NatsOptionsPtr o(raw);
  if (created != NATS_OK) {
    State::All().Drop(state->id);
    return std::unexpected(StatusError(created, "setting up the connection to NATS"));
  }
  if (auto configured = Configure(raw, options, name,
                                  reinterpret_cast<void*>(static_cast<std::uintptr_t>(state->id)));
      !configured) {
    State::All().Drop(state->id);
    return std::unexpected(std::move(configured).error());
  }
  natsConnection* connection = nullptr;
  const natsStatus s = natsConnection_Connect(&connection, raw);
  if (s != NATS_OK) {
    State::All().Drop(state->id);
    return std::unexpected(StatusError(s, "connecting to " + UrlsWithoutSecrets(options.urls)));
  }
  return std::shared_ptr<NatsLink>(new NatsLink(connection, std::move(state)));
}

NatsLink::NatsLink(natsConnection* connection, std::shared_ptr<State> state)
    : connection_(connection), state_(std::move(state)) {
  max_payload_ = natsConnection_GetMaxPayload(connection_);
  std::array<char, 256> url{};
  if (natsConnection_GetConnectedUrl(connection_, url.data(), url.size()) == NATS_OK) {
    url_ = url.data();
  }
}

NatsLink::~NatsLink() {
  Close();
  natsConnection_Destroy(connection_);
}

Result<void> NatsLink::Send(const std::string& subject, const std::string& reply,
                            const Headers& headers, const std::string& payload) {
  natsStatus s = NATS_OK;
  const int length = static_cast<int>(payload.size());
  if (headers.empty()) {
    s = reply.empty() ? natsConnection_Publish(connection_, subject.c_str(), payload.data(), length)
                      : natsConnection_PublishRequest(connection_, subject.c_str(), reply.c_str(),
                                                      payload.data(), length);
  } else {
    natsMsg* raw = nullptr;
    s = natsMsg_Create(&raw, subject.c_str(), OrNull(reply), payload.data(), length);
    const NatsMsgPtr message(raw);
    for (const auto& [key, value] : headers) {
      if (s == NATS_OK) s = natsMsgHeader_Set(raw, key.c_str(), value.c_str());
    }
    if (s == NATS_OK) s = natsConnection_PublishMsg(connection_, raw);
  }
  switch (s) {
    case NATS_OK:
      return {};
    case NATS_CONNECTION_CLOSED:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_DRAINING:
    case NATS_NO_MEMORY:
      return Fail(Code::kUnavailable,
                  fmt::format("sending to {}: {}", subject, natsStatus_GetText(s)));
    case NATS_MAX_PAYLOAD:
      return Fail(Code::kResource,
                  fmt::format("sending to {}: the server takes at most {} bytes in a message",
                              subject, max_payload_));
    case NATS_INVALID_ARG:
    case NATS_INVALID_SUBJECT:
      return Fail(Code::kInvalid, fmt::format("sending to {}: {}", subject, natsStatus_GetText(s)));
    default:
      return Fail(Code::kTimedOut,
                  fmt::format("sending to {}: {}", subject, natsStatus_GetText(s)));
  }
}

Result<natsSubscription*> NatsLink::Subscribe(const std::string& subject,
                                              const std::string& queue_group,
                                              std::shared_ptr<MessageTarget> target,
                                              bool unlimited) {
  auto* const closure = new Target{std::move(target)};
  natsSubscription* sub = nullptr;
  const natsStatus s =
      queue_group.empty()
          ? natsConnection_Subscribe(&sub, connection_, subject.c_str(), OnMessage, closure)
          : natsConnection_QueueSubscribe(&sub, connection_, subject.c_str(), queue_group.c_str(),
                                          OnMessage, closure);
  if (s != NATS_OK) {
    // No thread was left behind that could use the closure: the C client checks the connection and
    // the arguments before it makes one.
    delete closure;
    return std::unexpected(StatusError(s, fmt::format("listening on {}", subject)));
  }
  // Refused only if the connection has closed just now; then the thread is ending without telling
  // us, and a few bytes stay behind.
  if (natsSubscription_SetOnCompleteCB(sub, OnComplete, closure) != NATS_OK) {
    static auto* const left_behind = new Registry<Target>;
    left_behind->Put(std::shared_ptr<Target>(closure));
  }
  if (unlimited) natsSubscription_SetPendingLimits(sub, -1, -1);
  const std::lock_guard lock(state_->mutex);
  state_->subscriptions.insert(sub);
  return sub;
}

void NatsLink::Unsubscribe(natsSubscription* subscription) {
  natsSubscription_Unsubscribe(subscription);
}

void NatsLink::Release(natsSubscription* subscription) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->subscriptions.erase(subscription) == 0) return;
  }
  natsSubscription_Destroy(subscription);
}

bool NatsLink::Flush(Duration timeout) {
  return natsConnection_FlushTimeout(connection_, Millis(timeout)) == NATS_OK;
}

void NatsLink::Close() {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->close_called) return;
    state_->close_called = true;
  }
  if (natsConnection_Status(connection_) == NATS_CONN_STATUS_CONNECTED) {
    natsConnection_FlushTimeout(connection_, Millis(kCloseFlush));
  }
  natsConnection_Close(connection_);  // joins the reader unless it closed itself
  std::set<natsSubscription*> subscriptions;
  {
    const std::lock_guard lock(state_->mutex);
    subscriptions.swap(state_->subscriptions);
  }
  for (natsSubscription* sub : subscriptions) natsSubscription_Destroy(sub);
}

std::string NatsLink::LastRefusal() const {
  const std::lock_guard lock(state_->mutex);
  return state_->refusal;
}

}  // namespace cube::bus
