// HTTP over libcurl's multi interface, timers and posted functions, all in the one thread that
// calls Run. Idle costs nothing: the thread sleeps in curl_multi_poll until a socket, a timer or
// Post wakes it.
//
// Threads: Post and Quit from any thread; everything else, and every callback, on Run's thread.
// Callbacks may call any function of the loop.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "services/worker/engine/docker/docker_config.h"
#include "shared/base/error.h"
#include "shared/base/time.h"

namespace cube::engine::docker {

struct HttpRequest {
  std::string method;  // "GET", "POST", "DELETE"
  std::string target;  // path and query, escaped
  std::string body{};  // JSON; empty = none
  std::vector<std::string> headers{};
  Duration timeout{0};      // for the whole exchange; 0 = none
  Duration silence_max{0};  // fails when no byte has come for so long (whole seconds); 0 = never
};

// An answer of the server, whatever its status.
struct HttpResponse {
  int status = 0;
  std::string body;  // of streams: only that of an error answer
};

// kUnavailable: the server cannot be reached, nothing was done. kTimedOut: the answer is lost,
// what was asked may have been done. kResource: the answer is too large.
using HttpDone = std::function<void(Result<HttpResponse>)>;

struct HttpStream {
  std::function<void()> on_open;                   // a good status has come
  std::function<bool(std::string_view)> on_bytes;  // false: not now; given again after Resume
  HttpDone done;                                   // the end; all bytes were taken before
  // Of Upgrade: so many bytes of those given to Write have been sent.
  std::function<void(std::size_t)> on_written{};
};

class HttpLoop {
 public:
  using Id = std::uint64_t;

  explicit HttpLoop(Endpoint endpoint);
  ~HttpLoop();
  HttpLoop(const HttpLoop&) = delete;
  HttpLoop& operator=(const HttpLoop&) = delete;

  void Run();
  void Quit();
  void Post(std::function<void()> task);

  Id Send(HttpRequest request, HttpDone done);
  Id Open(HttpRequest request, HttpStream stream);
  // Sends the request and asks for an upgrade to a raw connection ("Upgrade: tcp"): with a status
  // of 101 or 200 what comes then are the stream's bytes, and Write sends into the other direction.
  // CloseWrite ends that direction behind what was written; not over https, where it does nothing.
  Id Upgrade(HttpRequest request, HttpStream stream);
  void Write(Id id, std::string_view bytes);
  void CloseWrite(Id id);
  // No callback of that exchange follows. Unknown ids are ignored.
  void Cancel(Id id);
  void Resume(Id id);

  Id After(Duration delay, std::function<void()> task);
  void CancelTimer(Id id);

  // "a b/c" -> "a%20b%2Fc".
  [[nodiscard]] static std::string Escape(std::string_view text);

  // An answer that is gathered whole; 500 containers list in under 1 MiB.
  static constexpr std::size_t kBodyBytesMax = 32u << 20;
  // What a stream holds for a consumer that does not take it; then TCP holds it back.
  static constexpr std::size_t kStreamBytesMax = 256u << 10;

 private:
  struct Exchange;
  struct Raw;
  using Clock = std::chrono::steady_clock;

  static std::size_t OnWrite(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static std::size_t OnHeader(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  void Queue(Exchange& x);
  Id Add(std::unique_ptr<Exchange> exchange);
  void Configure(Exchange& x);
  void RunPosted();
  void RunTimers();
  void TakeFinished();
  void Deliver();
  void DeliverTo(Id id);
  [[nodiscard]] int PollMillis() const;
  void Poll();

  // http_raw.cc
  void RawConnected(Exchange& x);
  void PumpRaw(Exchange& x);
  void SendRaw(Exchange& x);
  void TakeRaw(Exchange& x, std::string_view bytes);
  void EndRaw(Exchange& x, CURLcode result);

  Endpoint endpoint_;
  CURLM* multi_ = nullptr;
  Id next_id_ = 1;
  std::unordered_map<Id, std::unique_ptr<Exchange>> exchanges_;
  std::set<Id> raw_;       // exchanges that have become raw connections
  std::vector<Id> ready_;  // exchanges with bytes or an end to deliver
  std::map<std::pair<Clock::time_point, Id>, std::function<void()>> timers_;
  std::unordered_map<Id, Clock::time_point> timer_times_;

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
  bool quit_ = false;                          // guarded by mutex_
};

}  // namespace cube::engine::docker
