// Pulls of images, one per reference however many launches wait for it. Runs on the loop's
// thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "services/worker/engine/docker/docker_config.h"
#include "services/worker/engine/docker/docker_json.h"
#include "services/worker/engine/docker/session.h"

namespace cube::engine::docker {

class ImagePulls {
 public:
  using Ticket = std::uint64_t;
  struct Handlers {
    std::function<void(const std::string& text)> on_progress;
    std::function<void(Result<void>)> on_done;
  };

  explicit ImagePulls(Session& session) : session_(session) {}

  // Joins the pull of this image that is under way, or begins one.
  Ticket Join(const ImageRef& image, Handlers handlers);
  // The last one who leaves ends the pull.
  void Leave(Ticket ticket);
  // The engine is gone, and with it every pull; nobody is called.
  void Forget() { pulls_.clear(); }

  // Between two texts of progress: people read it, and each becomes a fact.
  static constexpr std::chrono::milliseconds kProgressInterval{500};
  // A registry that sends nothing for so long is given up; long extractions do send progress.
  static constexpr std::chrono::seconds kSilenceMax{300};

 private:
  struct Pull {
    HttpLoop::Id id = 0;
    std::map<Ticket, Handlers> waiting;
    PullProgress progress;
    std::string told;
    std::chrono::steady_clock::time_point told_at;
    LineBuffer lines;
    std::optional<Error> error;
    std::string auth_note;
  };

  void Begin(const ImageRef& image, Pull& pull);
  bool Take(const std::string& full, std::string_view bytes);
  void End(const std::string& full, Result<HttpResponse> answer);

  Session& session_;
  Ticket next_ticket_ = 1;
  std::map<std::string, Pull> pulls_;  // by the full reference
};

}  // namespace cube::engine::docker
