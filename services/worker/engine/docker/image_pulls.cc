#include "services/worker/engine/docker/image_pulls.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <utility>

namespace cube::engine::docker {
namespace {

constexpr std::size_t kConfigBytesMax = 1u << 20;
constexpr int kStatusOk = 200;

// Read anew for each pull, so that a `docker login` needs no restart.
std::string ConfigText(const std::string& path) {
  if (path.empty()) return {};
  std::ifstream file(path, std::ios::binary);
  std::string text;
  for (char c = 0; text.size() < kConfigBytesMax && file.get(c);) text += c;
  return text;
}

// What an answer that is not 200 says about another try. Engines before 25 hide most refusals
// of a registry in a 500.
Code CodeOfStatus(int status) {
  if (status == 400) return Code::kInvalid;
  if (status == 401 || status == 403) return Code::kPermission;
  if (status == 404) return Code::kNotFound;
  return Code::kUnavailable;
}

}  // namespace

ImagePulls::Ticket ImagePulls::Join(const ImageRef& image, Handlers handlers) {
  const Ticket ticket = next_ticket_++;
  const auto [it, is_new] = pulls_.try_emplace(image.full);
  it->second.waiting.emplace(ticket, std::move(handlers));
  if (is_new) Begin(image, it->second);
  return ticket;
}

void ImagePulls::Leave(Ticket ticket) {
  for (auto it = pulls_.begin(); it != pulls_.end(); ++it) {
    if (it->second.waiting.erase(ticket) == 0) continue;
    if (it->second.waiting.empty()) {
      session_.Cancel(it->second.id);
      pulls_.erase(it);
    }
    return;
  }
}

void ImagePulls::Begin(const ImageRef& image, Pull& pull) {
  HttpRequest request{
      .method = "POST",
      .target = fmt::format("/images/create?fromImage={}&tag={}",
                            HttpLoop::Escape(image.from_image), HttpLoop::Escape(image.tag)),
      .body = {},
      .headers = {},
      .timeout = Duration{0},
      .silence_max = kSilenceMax};
  const RegistryAuth auth = AuthFor(ConfigText(session_.endpoint().config_file), image.registry);
  pull.auth_note = auth.note;
  if (!auth.header.empty()) request.headers.push_back("X-Registry-Auth: " + auth.header);
  HttpStream stream;
  stream.on_bytes = [this, full = image.full](std::string_view bytes) { return Take(full, bytes); };
  stream.done = [this, full = image.full](Result<HttpResponse> answer) {
    End(full, std::move(answer));
  };
  pull.id = session_.Stream(std::move(request), std::move(stream));
}

bool ImagePulls::Take(const std::string& full, std::string_view bytes) {
  const auto it = pulls_.find(full);
  if (it == pulls_.end()) return true;
  Pull& pull = it->second;
  const auto taken = pull.lines.Add(bytes, [&](std::string_view line) {
    auto step = DecodePullStep(line);
    if (!step) {
      pull.error = step.error();
      return;
    }
    if (step->error) pull.error = step->error;
    pull.progress.Add(*step);
  });
  if (!taken) pull.error = taken.error();
  const auto now = std::chrono::steady_clock::now();
  const std::string text = pull.progress.Text();
  if (text == pull.told || now < pull.told_at + kProgressInterval) return true;
  pull.told = text;
  pull.told_at = now;
  // Copies: who is told may leave.
  std::vector<std::function<void(const std::string&)>> listeners;
  for (const auto& [ticket, handlers] : pull.waiting) listeners.push_back(handlers.on_progress);
  for (const auto& listener : listeners) listener(text);
  return true;
}

void ImagePulls::End(const std::string& full, Result<HttpResponse> answer) {
  auto node = pulls_.extract(full);
  if (node.empty()) return;
  Pull& pull = node.mapped();
  Result<void> result;
  if (!answer) {
    result = Fail(Code::kUnavailable, fmt::format("pulling {}: {}", full, answer.error().message),
                  "image");
  } else if (answer->status != kStatusOk) {
    result = Fail(CodeOfStatus(answer->status),
                  fmt::format("pulling {}: {}", full, DecodeErrorText(answer->body)), "image");
  } else if (pull.error) {
    result =
        Fail(pull.error->code, fmt::format("pulling {}: {}", full, pull.error->message), "image");
  }
  if (!result && !pull.auth_note.empty())
    result.error().message += fmt::format(" ({})", pull.auth_note);
  for (auto& [ticket, handlers] : pull.waiting) handlers.on_done(result);
}

}  // namespace cube::engine::docker
