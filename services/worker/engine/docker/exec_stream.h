// One command inside a container: create, start, its streams, its end (Docker Engine API v1.24 to
// v1.47, POST /containers/{id}/exec, POST /exec/{id}/start, GET /exec/{id}/json). The API has no
// verb to end a command, so that is done from outside (exec_kill.h). Runs on the loop's thread.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "services/worker/engine/docker/docker_json.h"
#include "services/worker/engine/docker/log_frames.h"
#include "services/worker/engine/docker/session.h"

namespace cube::engine::docker {

class ExecStream {
 public:
  struct Handlers {
    std::function<void(bool is_stderr, std::string bytes)> on_output;
    std::function<void(std::size_t)> on_took;
    // Once; the stream may be destroyed in it.
    std::function<void(std::int32_t exit_code, std::optional<Error>)> on_end;
  };

  ExecStream(HttpLoop& loop, Session& session, std::string container_id, ExecRequest request,
             Handlers handlers);
  ~ExecStream();
  ExecStream(const ExecStream&) = delete;
  ExecStream& operator=(const ExecStream&) = delete;

  void Begin();
  void Credit(std::size_t bytes);
  void Input(std::string_view bytes, bool last);
  // Kills the command and ends for this reason.
  void Kill(Error reason);

  // What a killed command has to be gone in; else the error says that it may run on.
  static constexpr std::chrono::seconds kKillWait{5};

 private:
  void OnCreated(Result<HttpResponse> answer);
  void Start();
  bool Take(std::string_view bytes);
  void Drain();
  void OnStreamEnd(const Result<HttpResponse>& answer);
  void Inspect();
  void OnInspected(const Result<HttpResponse>& answer);
  void KillFromInside();
  void KillTimeOver();
  void CancelTimers();
  void End(std::int32_t exit_code, std::optional<Error> error);
  void Finish();
  HttpLoop::Id Call(const char* method, const std::string& target, std::string body, HttpDone done);

  HttpLoop& loop_;
  Session& session_;
  const std::string container_id_;
  const ExecRequest request_;
  const Handlers handlers_;
  const std::string mark_;  // in the command's environment
  std::string id_;          // of the exec instance
  HttpLoop::Id call_ = 0;
  HttpLoop::Id kill_call_ = 0;
  HttpLoop::Id stream_ = 0;
  std::optional<HttpLoop::Id> timeout_;
  std::optional<HttpLoop::Id> look_;       // when the engine is asked again
  std::optional<HttpLoop::Id> kill_wait_;  // the end of kKillWait
  LogFrames frames_{LogFrames::Format::kFrames, /*timestamps=*/false};
  std::deque<LogPiece> pieces_;  // decoded, waiting for credit: those of one delivery
  std::size_t credit_ = 0;
  std::string input_;  // before the stream is open
  bool input_last_ = false;
  bool streaming_ = false;
  std::string first_;  // what came first of its output, kFirstBytesMax at most
  std::optional<Error> killed_;
  bool kill_sent_ = false;
  std::chrono::milliseconds look_again_;
  bool ended_ = false;
  std::int32_t exit_code_ = -1;
  std::optional<Error> error_;
};

}  // namespace cube::engine::docker
