// Raw connections: libcurl connects (socket, TCP, TLS), the request is written and its answer's
// head is read here, then bytes go both ways.
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

#include "services/worker/engine/docker/http_exchange.h"

namespace cube::engine::docker {
namespace {

constexpr std::size_t kHeadBytesMax = 64u << 10;
constexpr std::size_t kErrorBodyBytesMax = 64u << 10;
constexpr std::size_t kReadBytes = 64u << 10;
constexpr int kSwitchingProtocols = 101;
constexpr int kOk = 200;
constexpr std::string_view kHeadEnd = "\r\n\r\n";

// "HTTP/1.1 101 UPGRADED" -> 101; 0 = it is no status line.
int StatusOf(std::string_view head) {
  const std::size_t blank = head.find(' ');
  if (!head.starts_with("HTTP/1.") || blank == std::string_view::npos) return 0;
  int status = 0;
  const std::string_view rest = head.substr(blank + 1);
  std::from_chars(rest.data(), rest.data() + rest.size(), status);
  return status;
}

// Content-Length; 0 where there is none.
std::size_t LengthOf(std::string head) {
  std::transform(head.begin(), head.end(), head.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::string_view kName = "\r\ncontent-length:";
  const std::size_t at = head.find(kName);
  if (at == std::string::npos) return 0;
  const std::size_t begin = head.find_first_not_of(' ', at + kName.size());
  std::size_t length = 0;
  if (begin != std::string::npos)
    std::from_chars(head.data() + begin, head.data() + head.size(), length);
  return std::min(length, kErrorBodyBytesMax);
}

}  // namespace

HttpLoop::Id HttpLoop::Upgrade(HttpRequest request, HttpStream stream) {
  auto exchange = std::make_unique<Exchange>();
  auto raw = std::make_unique<Raw>();
  raw->to_send = fmt::format(
      "{} {} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
      "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
      request.method, request.target, request.body.size(), request.body);
  raw->head_left = raw->to_send.size();
  exchange->request = std::move(request);
  exchange->stream = std::move(stream);
  exchange->is_stream = true;
  exchange->raw = std::move(raw);
  return Add(std::move(exchange));
}

void HttpLoop::Write(Id id, std::string_view bytes) {
  const auto it = exchanges_.find(id);
  if (it == exchanges_.end() || !it->second->raw || it->second->raw->deaf) return;
  it->second->raw->to_send.append(bytes);
  SendRaw(*it->second);
}

void HttpLoop::CloseWrite(Id id) {
  const auto it = exchanges_.find(id);
  if (it == exchanges_.end() || !it->second->raw || it->second->raw->deaf) return;
  it->second->raw->close_write = true;
  SendRaw(*it->second);
}

void HttpLoop::RawConnected(Exchange& x) {
  x.raw->phase = Raw::Phase::kHead;
  raw_.insert(x.id);
  PumpRaw(x);
}

void HttpLoop::SendRaw(Exchange& x) {
  Raw& raw = *x.raw;
  if (raw.phase == Raw::Phase::kConnecting) return;
  std::size_t written = 0;
  while (raw.sent < raw.to_send.size()) {
    std::size_t count = 0;
    const CURLcode result = curl_easy_send(x.easy.get(), raw.to_send.data() + raw.sent,
                                           raw.to_send.size() - raw.sent, &count);
    if (result == CURLE_AGAIN) break;
    if (result != CURLE_OK) {
      // A peer that takes no more may still have something to say: its end is seen by reading.
      raw.deaf = true;
      raw.to_send.clear();
      raw.sent = 0;
      break;
    }
    raw.sent += count;
    const std::size_t head = std::min(count, raw.head_left);
    raw.head_left -= head;
    written += count - head;
  }
  if (raw.sent == raw.to_send.size()) {
    raw.to_send.clear();
    raw.sent = 0;
    curl_socket_t socket = CURL_SOCKET_BAD;
    if (std::exchange(raw.close_write, false) && !raw.deaf && endpoint_.ca_file.empty() &&
        curl_easy_getinfo(x.easy.get(), CURLINFO_ACTIVESOCKET, &socket) == CURLE_OK)
      ::shutdown(socket, SHUT_WR);
  }
  // The callback may cancel this exchange.
  if (written > 0 && x.stream.on_written) x.stream.on_written(written);
}

void HttpLoop::PumpRaw(Exchange& x) {
  const Id id = x.id;
  if (x.finished) return;
  SendRaw(x);
  if (!exchanges_.contains(id)) return;
  std::array<char, kReadBytes> buffer{};
  while (!x.finished && x.bytes.size() < kStreamBytesMax) {
    std::size_t count = 0;
    const CURLcode result = curl_easy_recv(x.easy.get(), buffer.data(), buffer.size(), &count);
    if (result == CURLE_AGAIN) return;
    if (result != CURLE_OK) return EndRaw(x, result);
    if (count == 0) {
      const bool complete = x.raw->phase >= Raw::Phase::kBytes;
      return EndRaw(x, complete ? CURLE_OK : CURLE_GOT_NOTHING);
    }
    TakeRaw(x, std::string_view(buffer.data(), count));
  }
}

void HttpLoop::TakeRaw(Exchange& x, std::string_view bytes) {
  Raw& raw = *x.raw;
  if (raw.phase == Raw::Phase::kHead) {
    raw.head.append(bytes);
    const std::size_t end = raw.head.find(kHeadEnd);
    if (end == std::string::npos) {
      if (raw.head.size() > kHeadBytesMax) EndRaw(x, CURLE_WEIRD_SERVER_REPLY);
      return;
    }
    const std::string rest = raw.head.substr(end + kHeadEnd.size());
    raw.head.resize(end);
    const int status = StatusOf(raw.head);
    if (status == 0) return EndRaw(x, CURLE_WEIRD_SERVER_REPLY);
    const bool upgraded = status == kSwitchingProtocols || status == kOk;
    x.response.status = upgraded ? kOk : status;
    raw.phase = upgraded ? Raw::Phase::kBytes : Raw::Phase::kErrorBody;
    if (upgraded) {
      Queue(x);
    } else {
      raw.error_left = LengthOf(raw.head);
    }
    return TakeRaw(x, rest);
  }
  if (raw.phase == Raw::Phase::kBytes) {
    x.bytes.append(bytes);
    if (!bytes.empty()) Queue(x);
    return;
  }
  const std::size_t take = std::min(raw.error_left, bytes.size());
  x.response.body.append(bytes.substr(0, take));
  raw.error_left -= take;
  if (raw.error_left == 0) EndRaw(x, CURLE_OK);
}

void HttpLoop::EndRaw(Exchange& x, CURLcode result) {
  if (x.finished) return;
  x.finished = true;
  x.raw->deaf = true;
  x.result = result;
  x.error = x.ErrorText();
  raw_.erase(x.id);
  if (std::exchange(x.in_multi, false)) curl_multi_remove_handle(multi_, x.easy.get());
  Queue(x);
}

// Waits for whatever comes next; raw connections are watched here, since libcurl has let go of
// them.
void HttpLoop::Poll() {
  std::vector<curl_waitfd> sockets;
  std::vector<Id> ids;
  for (const Id id : raw_) {
    const Exchange& x = *exchanges_.at(id);
    curl_waitfd socket{};
    // One that is not read for now is left out: its peer's hanging up would wake us for ever.
    if (x.bytes.size() < kStreamBytesMax) socket.events |= CURL_WAIT_POLLIN;
    if (x.raw->sent < x.raw->to_send.size()) socket.events |= CURL_WAIT_POLLOUT;
    if (socket.events == 0) continue;
    if (curl_easy_getinfo(x.easy.get(), CURLINFO_ACTIVESOCKET, &socket.fd) != CURLE_OK) continue;
    sockets.push_back(socket);
    ids.push_back(id);
  }
  curl_multi_poll(multi_, sockets.data(), static_cast<unsigned>(sockets.size()), PollMillis(),
                  nullptr);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto it = exchanges_.find(ids[i]);
    if (sockets[i].revents != 0 && it != exchanges_.end()) PumpRaw(*it->second);
  }
}

}  // namespace cube::engine::docker
