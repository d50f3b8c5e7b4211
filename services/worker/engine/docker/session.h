// The connection to one engine: finds out what it is, keeps its event stream open, and comes
// back after every loss. Runs on the loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <utility>

#include "services/worker/engine/docker/docker_json.h"
#include "services/worker/engine/docker/http_loop.h"
#include "services/worker/engine/docker/log_frames.h"

namespace cube::engine::docker {

class Session {
 public:
  struct Handlers {
    // Events flow from now on: what is listed after this call misses nothing.
    std::function<void(Up)> on_up;
    // No callback of any call made before follows.
    std::function<void(const std::string& reason)> on_down;
    std::function<void(ContainerEvent)> on_event;
  };

  Session(HttpLoop& loop, Endpoint endpoint, Owner owner, Handlers handlers);

  void Connect();
  [[nodiscard]] bool up() const { return state_ == State::kUp; }
  // Why it is not up.
  [[nodiscard]] Error NotUp() const;
  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  [[nodiscard]] const Owner& owner() const { return owner_; }
  [[nodiscard]] ApiVersion api() const { return api_; }  // that is spoken

  // One exchange; `target` begins after the version ("/containers/json?..."). Only while up.
  // Dropped without a callback when the engine goes down.
  HttpLoop::Id Call(std::string method, const std::string& target, std::string body,
                    Duration timeout, HttpDone done);
  HttpLoop::Id Stream(HttpRequest request, HttpStream stream);
  HttpLoop::Id Upgrade(HttpRequest request, HttpStream stream);  // HttpLoop::Upgrade
  void Cancel(HttpLoop::Id id);
  // Gives the connection up and begins again: an answer shows that it is of no use.
  void Lose(const std::string& reason);

  static constexpr std::chrono::milliseconds kBackoffMin{100};
  static constexpr std::chrono::milliseconds kBackoffMax{5'000};

 private:
  enum class State : std::uint8_t { kIdle, kConnecting, kUp };

  void AskVersion();
  void AskInfo();
  void OpenEvents();
  void TakeEvents(std::string_view bytes);
  [[nodiscard]] std::string Prefixed(const std::string& target) const;
  HttpLoop::Id Track(HttpLoop::Id id);

  HttpLoop& loop_;
  const Endpoint endpoint_;
  const Owner owner_;
  const Handlers handlers_;
  State state_ = State::kIdle;
  std::string reason_ = "it has not been asked yet";
  std::string told_reason_;
  std::chrono::milliseconds backoff_ = kBackoffMin;
  ServerVersion server_;
  ApiVersion api_;
  bool limits_ = false;
  WallTime since_;  // events from here on are asked for
  LineBuffer lines_;
  std::set<HttpLoop::Id> calls_;
};

}  // namespace cube::engine::docker
