// One exchange of an HttpLoop, for the loop's own files.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "services/worker/engine/docker/http_loop.h"

namespace cube::engine::docker {

struct SlistFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct EasyFree {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};

// A connection that is no HTTP any more, or soon will not be.
struct HttpLoop::Raw {
  enum class Phase : std::uint8_t { kConnecting, kHead, kBytes, kErrorBody };
  Phase phase = Phase::kConnecting;
  std::string to_send;
  std::size_t sent = 0;
  std::size_t head_left = 0;  // of to_send: the request itself
  bool close_write = false;
  bool deaf = false;           // the peer takes nothing more
  std::string head;            // of the answer, as far as it has come
  std::size_t error_left = 0;  // bytes of an error's body that are to come
};

struct HttpLoop::Exchange {
  Id id = 0;
  HttpRequest request;
  HttpStream stream;
  bool is_stream = false;
  std::unique_ptr<Raw> raw;  // of Upgrade
  bool in_multi = false;

  bool opened = false;  // on_open was called
  bool paused = false;  // curl holds bytes back for us
  bool too_large = false;
  bool queued = false;  // is in ready_
  std::string bytes;    // of a stream: received, not taken
  HttpResponse response;
  bool finished = false;
  CURLcode result = CURLE_OK;
  // Why result is no success, for people.
  [[nodiscard]] std::string ErrorText() const;
  std::string error;
  char error_text[CURL_ERROR_SIZE] = {};

  HttpLoop* loop = nullptr;
  std::unique_ptr<curl_slist, SlistFree> headers;
  std::unique_ptr<CURL, EasyFree> easy;
};

}  // namespace cube::engine::docker
