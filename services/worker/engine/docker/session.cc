#include "services/worker/engine/docker/session.h"

#include <fmt/format.h>

#include <algorithm>

namespace cube::engine::docker {
namespace {

constexpr std::chrono::seconds kAskTimeout{30};
constexpr int kStatusOk = 200;
constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

}  // namespace

Session::Session(HttpLoop& loop, Endpoint endpoint, Owner owner, Handlers handlers)
    : loop_(loop),
      endpoint_(std::move(endpoint)),
      owner_(std::move(owner)),
      handlers_(std::move(handlers)) {}

Error Session::NotUp() const {
  return {Code::kUnavailable,
          fmt::format("the Docker engine at {} cannot be reached: {}", endpoint_.name, reason_),
          {}};
}

void Session::Connect() {
  if (state_ != State::kIdle) return;
  state_ = State::kConnecting;
  AskVersion();
}

void Session::Lose(const std::string& reason) {
  if (state_ == State::kIdle) return;
  const bool was_up = up();
  state_ = State::kIdle;
  reason_ = reason;
  for (const HttpLoop::Id id : calls_) loop_.Cancel(id);
  calls_.clear();
  // Told once per loss, and again when the reason is another one.
  if (was_up || told_reason_ != reason) {
    told_reason_ = reason;
    handlers_.on_down(NotUp().message);
  }
  loop_.After(backoff_, [this] { Connect(); });
  backoff_ = std::min(2 * backoff_, kBackoffMax);
}

void Session::AskVersion() {
  HttpRequest request{.method = "GET", .target = "/version", .timeout = kAskTimeout};
  Track(loop_.Send(std::move(request), [this](Result<HttpResponse> answer) {
    if (!answer) return Lose(answer.error().message);
    if (answer->status != kStatusOk)
      return Lose(fmt::format("it answers /version with {}: {}", answer->status,
                              DecodeErrorText(answer->body)));
    const auto server = DecodeVersion(answer->body);
    if (!server) return Lose(server.error().message);
    const auto api = NegotiateVersion(*server, endpoint_.api_version);
    if (!api) return Lose(api.error().message);
    server_ = *server;
    api_ = *api;
    AskInfo();
  }));
}

void Session::AskInfo() {
  Call("GET", "/info", {}, kAskTimeout, [this](Result<HttpResponse> answer) {
    if (!answer) return Lose(answer.error().message);
    if (answer->status != kStatusOk)
      return Lose(fmt::format("it answers /info with {}: {}", answer->status,
                              DecodeErrorText(answer->body)));
    const auto info = DecodeInfo(answer->body);
    if (!info) return Lose(info.error().message);
    limits_ = info->limits;
    if (!IsSet(since_)) since_ = info->system_time;
    OpenEvents();
  });
}

void Session::OpenEvents() {
  lines_ = LineBuffer();
  std::string target =
      fmt::format("/events?filters={}", HttpLoop::Escape(EncodeFilters(owner_, /*events=*/true)));
  // The engine sends its headers before it subscribes; `since` closes that gap from its buffer.
  if (IsSet(since_))
    target += fmt::format("&since={}.{:09}", ToNanos(since_) / kNanosPerSecond,
                          ToNanos(since_) % kNanosPerSecond);
  HttpStream stream;
  stream.on_open = [this] {
    state_ = State::kUp;
    backoff_ = kBackoffMin;
    told_reason_.clear();
    handlers_.on_up({.version = fmt::format("docker {} (API {})", server_.version, api_.Text()),
                     .limits = limits_});
  };
  stream.on_bytes = [this](std::string_view bytes) {
    TakeEvents(bytes);
    return true;
  };
  stream.done = [this](Result<HttpResponse> answer) {
    if (!answer) return Lose(answer.error().message);
    if (answer->status != kStatusOk)
      return Lose(fmt::format("it answers /events with {}: {}", answer->status,
                              DecodeErrorText(answer->body)));
    Lose("it has closed its event stream");
  };
  Track(loop_.Open({.method = "GET", .target = Prefixed(target)}, std::move(stream)));
}

void Session::TakeEvents(std::string_view bytes) {
  std::string trouble;
  const auto taken = lines_.Add(bytes, [&](std::string_view line) {
    auto event = DecodeEvent(line);
    if (!event) {
      trouble = event.error().message;
      return;
    }
    since_ = std::max(since_, event->time);
    handlers_.on_event(std::move(*event));
  });
  if (!taken) trouble = taken.error().message;
  // An event that cannot be read may have been an exit: begin again with a list.
  if (!trouble.empty()) Lose(trouble);
}

std::string Session::Prefixed(const std::string& target) const {
  return fmt::format("/v{}{}", api_.Text(), target);
}

HttpLoop::Id Session::Track(HttpLoop::Id id) {
  calls_.insert(id);
  return id;
}

HttpLoop::Id Session::Call(std::string method, const std::string& target, std::string body,
                           Duration timeout, HttpDone done) {
  HttpRequest request{.method = std::move(method),
                      .target = Prefixed(target),
                      .body = std::move(body),
                      .headers = {},
                      .timeout = timeout};
  auto id = std::make_shared<HttpLoop::Id>(0);
  *id = loop_.Send(std::move(request), [this, id, done = std::move(done)](auto answer) {
    calls_.erase(*id);
    done(std::move(answer));
  });
  return Track(*id);
}

HttpLoop::Id Session::Stream(HttpRequest request, HttpStream stream) {
  request.target = Prefixed(request.target);
  auto id = std::make_shared<HttpLoop::Id>(0);
  stream.done = [this, id, done = std::move(stream.done)](auto answer) {
    calls_.erase(*id);
    done(std::move(answer));
  };
  *id = loop_.Open(std::move(request), std::move(stream));
  return Track(*id);
}

HttpLoop::Id Session::Upgrade(HttpRequest request, HttpStream stream) {
  request.target = Prefixed(request.target);
  auto id = std::make_shared<HttpLoop::Id>(0);
  stream.done = [this, id, done = std::move(stream.done)](auto answer) {
    calls_.erase(*id);
    done(std::move(answer));
  };
  *id = loop_.Upgrade(std::move(request), std::move(stream));
  return Track(*id);
}

void Session::Cancel(HttpLoop::Id id) {
  calls_.erase(id);
  loop_.Cancel(id);
}

}  // namespace cube::engine::docker
