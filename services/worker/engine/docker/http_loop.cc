#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "services/worker/engine/docker/http_exchange.h"
#include "shared/base/check.h"

namespace cube::engine::docker {
namespace {

constexpr long kConnectTimeoutMs = 5'000;
constexpr long kConnectionsKept = 32;  // idle ones, for reuse
// Finds a dead peer behind a silent event stream within about a minute.
constexpr long kKeepAliveIdleSeconds = 15;
constexpr long kKeepAliveIntervalSeconds = 5;
constexpr int kPollMillisMax = 3'600'000;
constexpr long kGoodStatusMin = 200;  // 1xx announces another answer
constexpr long kGoodStatusMax = 299;
constexpr std::size_t kErrorBodyBytesMax = 64u << 10;

void GlobalInit() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  CUBE_CHECK(result == CURLE_OK);
}

// For people: without the query, which can be long.
std::string_view PathOf(std::string_view target) { return target.substr(0, target.find('?')); }

// What the failure means for the caller: was the request possibly carried out?
Code CodeOf(CURLcode result) {
  switch (result) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
      return Code::kUnavailable;
    case CURLE_FILESIZE_EXCEEDED:
    case CURLE_WRITE_ERROR:
      return Code::kResource;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Code::kInvalid;
    default:
      return Code::kTimedOut;
  }
}

}  // namespace

std::string HttpLoop::Exchange::ErrorText() const {
  // Of a Unix socket that refuses, libcurl would name a host and a port that are none.
  long os_error = 0;
  if (result == CURLE_COULDNT_CONNECT &&
      curl_easy_getinfo(easy.get(), CURLINFO_OS_ERRNO, &os_error) == CURLE_OK && os_error != 0) {
    return "cannot connect: " + std::generic_category().message(static_cast<int>(os_error));
  }
  return error_text[0] != '\0' ? error_text : curl_easy_strerror(result);
}

HttpLoop::HttpLoop(Endpoint endpoint) : endpoint_(std::move(endpoint)) {
  GlobalInit();
  multi_ = curl_multi_init();
  CUBE_CHECK(multi_ != nullptr);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kConnectionsKept);
}

HttpLoop::~HttpLoop() {
  for (auto& [id, exchange] : exchanges_)
    if (exchange->in_multi) curl_multi_remove_handle(multi_, exchange->easy.get());
  exchanges_.clear();
  curl_multi_cleanup(multi_);
}

std::size_t HttpLoop::OnWrite(char* data, std::size_t size, std::size_t count,
                              void* self) noexcept {
  // Only gathers: curl forbids most calls in here.
  Exchange& x = *static_cast<Exchange*>(self);
  const std::string_view bytes(data, size * count);
  long status = 0;
  curl_easy_getinfo(x.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  if (x.is_stream && status <= kGoodStatusMax) {
    if (x.bytes.size() >= kStreamBytesMax) {
      x.paused = true;
      return CURL_WRITEFUNC_PAUSE;
    }
    x.bytes.append(bytes);
    x.loop->Queue(x);
    return bytes.size();
  }
  std::string& body = x.response.body;
  if (x.is_stream) {
    body.append(bytes.substr(0, kErrorBodyBytesMax - std::min(kErrorBodyBytesMax, body.size())));
    return bytes.size();
  }
  if (body.size() + bytes.size() > kBodyBytesMax) {
    x.too_large = true;
    return 0;
  }
  body.append(bytes);
  return bytes.size();
}

// The end of the headers opens a stream, since its first byte may be long in coming.
std::size_t HttpLoop::OnHeader(char* data, std::size_t size, std::size_t count,
                               void* self) noexcept {
  Exchange& x = *static_cast<Exchange*>(self);
  const std::string_view line(data, size * count);
  if (x.is_stream && (line == "\r\n" || line == "\n")) x.loop->Queue(x);
  return line.size();
}

void HttpLoop::Queue(Exchange& x) {
  if (x.queued) return;
  x.queued = true;
  ready_.push_back(x.id);
}

void HttpLoop::Configure(Exchange& x) {
  CURL* easy = x.easy.get();
  const HttpRequest& request = x.request;
  const std::string url = endpoint_.base_url + request.target;
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  if (!endpoint_.unix_socket.empty())
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, endpoint_.unix_socket.c_str());
  if (!endpoint_.ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, endpoint_.ca_file.c_str());
    curl_easy_setopt(easy, CURLOPT_SSLCERT, endpoint_.cert_file.c_str());
    curl_easy_setopt(easy, CURLOPT_SSLKEY, endpoint_.key_file.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x.error_text);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &x);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &HttpLoop::OnWrite);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &x);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &HttpLoop::OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &x);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, kKeepAliveIdleSeconds);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, kKeepAliveIntervalSeconds);
  using std::chrono::duration_cast;
  if (request.timeout > Duration{0}) {
    const auto ms = duration_cast<std::chrono::milliseconds>(request.timeout).count();
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(ms, 1)));
  }
  if (request.silence_max > Duration{0}) {
    const auto seconds = duration_cast<std::chrono::seconds>(request.silence_max).count();
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>(seconds));
  }
  curl_slist* headers = curl_slist_append(nullptr, "Expect:");
  if (!request.body.empty()) headers = curl_slist_append(headers, "Content-Type: application/json");
  for (const std::string& header : request.headers)
    headers = curl_slist_append(headers, header.c_str());
  x.headers.reset(headers);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  if (x.raw) {
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    return;
  }
  if (request.method == "POST") {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.c_str());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
  } else if (request.method != "GET") {
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
}

HttpLoop::Id HttpLoop::Add(std::unique_ptr<Exchange> exchange) {
  const Id id = next_id_++;
  Exchange& x = *exchange;
  x.id = id;
  x.loop = this;
  x.easy.reset(curl_easy_init());
  CUBE_CHECK(x.easy != nullptr);
  Configure(x);
  exchanges_.emplace(id, std::move(exchange));
  x.in_multi = curl_multi_add_handle(multi_, x.easy.get()) == CURLM_OK;
  CUBE_CHECK(x.in_multi);
  return id;
}

HttpLoop::Id HttpLoop::Send(HttpRequest request, HttpDone done) {
  auto exchange = std::make_unique<Exchange>();
  exchange->request = std::move(request);
  exchange->stream.done = std::move(done);
  return Add(std::move(exchange));
}

HttpLoop::Id HttpLoop::Open(HttpRequest request, HttpStream stream) {
  auto exchange = std::make_unique<Exchange>();
  exchange->request = std::move(request);
  exchange->stream = std::move(stream);
  exchange->is_stream = true;
  return Add(std::move(exchange));
}

void HttpLoop::Cancel(Id id) {
  const auto it = exchanges_.find(id);
  if (it == exchanges_.end()) return;
  if (it->second->in_multi) curl_multi_remove_handle(multi_, it->second->easy.get());
  raw_.erase(id);
  exchanges_.erase(it);
}

void HttpLoop::Resume(Id id) {
  const auto it = exchanges_.find(id);
  if (it != exchanges_.end()) Queue(*it->second);
}

HttpLoop::Id HttpLoop::After(Duration delay, std::function<void()> task) {
  const Id id = next_id_++;
  const auto time = Clock::now() + std::chrono::duration_cast<Clock::duration>(delay);
  timers_.emplace(std::pair(time, id), std::move(task));
  timer_times_.emplace(id, time);
  return id;
}

void HttpLoop::CancelTimer(Id id) {
  const auto it = timer_times_.find(id);
  if (it == timer_times_.end()) return;
  timers_.erase(std::pair(it->second, id));
  timer_times_.erase(it);
}

void HttpLoop::Post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
  }
  curl_multi_wakeup(multi_);
}

void HttpLoop::Quit() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
  }
  curl_multi_wakeup(multi_);
}

void HttpLoop::RunPosted() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) task();
}

void HttpLoop::RunTimers() {
  const auto now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto node = timers_.extract(timers_.begin());
    timer_times_.erase(node.key().second);
    node.mapped()();
  }
}

void HttpLoop::TakeFinished() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    void* pointer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &pointer);
    Exchange& x = *static_cast<Exchange*>(pointer);
    if (x.raw && message->data.result == CURLE_OK) {
      RawConnected(x);
      continue;
    }
    x.finished = true;
    x.result = message->data.result;
    long status = 0;
    curl_easy_getinfo(x.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    x.response.status = static_cast<int>(status);
    x.error = x.ErrorText();
    curl_multi_remove_handle(multi_, x.easy.get());
    x.in_multi = false;
    Queue(x);
  }
}

// Calls back for one exchange. Callbacks may cancel any exchange, this one too, so it is looked
// up again after each.
void HttpLoop::DeliverTo(Id id) {
  auto it = exchanges_.find(id);
  if (it == exchanges_.end()) return;
  Exchange& x = *it->second;
  x.queued = false;
  long status = x.response.status;
  if (!x.raw) curl_easy_getinfo(x.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  if (x.is_stream && !x.opened && status >= kGoodStatusMin && status <= kGoodStatusMax) {
    x.opened = true;
    if (x.stream.on_open) x.stream.on_open();
    if (!exchanges_.contains(id)) return;
  }
  if (!x.bytes.empty()) {
    // The consumer gets its own copy, since it may cancel the exchange.
    std::string bytes = std::exchange(x.bytes, {});
    const bool taken = x.stream.on_bytes(bytes);
    if (!exchanges_.contains(id)) return;
    if (!taken) {
      x.bytes.insert(0, bytes);
      return;
    }
    if (x.paused) {
      x.paused = false;
      curl_easy_pause(x.easy.get(), CURLPAUSE_CONT);
    }
    if (x.raw) PumpRaw(x);  // more may lie in a TLS buffer, which no poll would see
    it = exchanges_.find(id);
    if (it == exchanges_.end()) return;
  }
  if (!x.finished || !x.bytes.empty()) return;
  const auto exchange = std::move(it->second);
  exchanges_.erase(id);
  if (exchange->too_large) {
    exchange->stream.done(
        Fail(Code::kResource, fmt::format("the answer to {} is larger than {} bytes",
                                          PathOf(exchange->request.target), kBodyBytesMax)));
  } else if (exchange->result != CURLE_OK) {
    exchange->stream.done(Fail(CodeOf(exchange->result),
                               fmt::format("{} {}: {}", exchange->request.method,
                                           PathOf(exchange->request.target), exchange->error)));
  } else {
    exchange->stream.done(std::move(exchange->response));
  }
}

void HttpLoop::Deliver() {
  // What becomes ready meanwhile waits for the next round: a stream that never pauses must not keep
  // timers and posts waiting.
  const std::vector<Id> ready = std::exchange(ready_, {});
  for (const Id id : ready) DeliverTo(id);
}

int HttpLoop::PollMillis() const {
  if (!ready_.empty()) return 0;
  if (timers_.empty()) return kPollMillisMax;
  const auto left = timers_.begin()->first.first - Clock::now();
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<std::int64_t>(ms, 0, kPollMillisMax));
}

void HttpLoop::Run() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (quit_) return;
    }
    RunPosted();
    RunTimers();
    int running = 0;
    curl_multi_perform(multi_, &running);
    TakeFinished();
    Deliver();
    Poll();
  }
}

std::string HttpLoop::Escape(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      result += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    result += '%';
    result += kHex[byte >> 4];
    result += kHex[byte & 15];
  }
  return result;
}

}  // namespace cube::engine::docker
