// Files that people write for the services and the command line.
#include <algorithm>

#include "services/cli/feed.h"
#include "services/worker/engine/docker/docker_config.h"
#include "shared/base/check.h"
#include "shared/service/config_text.h"
#include "test/fuzz/target.h"

namespace cube::fuzz {
namespace {

void RunConfig(std::string_view text) {
  const auto entries = service::ParseConfig(text);
  if (!entries) {
    CheckError(entries.error());
    CUBE_CHECK(entries.error().code == Code::kInvalid);
    CUBE_CHECK(entries.error().field.starts_with("line "));
    return;
  }
  const auto lines = static_cast<int>(std::ranges::count(text, '\n')) + 1;
  int line = 0;
  for (const service::ConfigEntry& entry : *entries) {
    CUBE_CHECK(entry.line > line && entry.line <= lines);  // each begins in a line of its own
    line = entry.line;
  }
}

CUBE_FUZZ_TARGET(
    config,
    [](Random& random) -> std::string {
      constexpr const char* kTexts[] = {
          "server = \"nats://10.0.0.5:4222\" # the log\nmax-tasks = 100\nallow-unsafe-tls = true\n",
          "label = ['zone=a',\n  \"disk=ssd\"]\ncpus = 0.5\nname = 'a b'\n",
          "a = 0x1f\nb = 1_000\nc = 1e3\nd = \"\"\"x\ny\"\"\"\n",
          "[worker]\nname = 'a'\n",
          "a.b = 1\nc = {d = 1}\n",
          "a = 2026-01-31T12:00:00Z\n"};
      return kTexts[random.Below(std::size(kTexts))];
    },
    &RunConfig);

// ---- docker's config.json, image names: "<config>\0<image>"
// ---------------------------------------

void RunDockerConfig(std::string_view bytes) {
  namespace docker = engine::docker;
  const auto parts = Parts(bytes, 2);
  const docker::RegistryAuth auth = docker::AuthFor(parts[0], "registry.example:5000");
  // It becomes a header.
  CUBE_CHECK(auth.header.find_first_of("\r\n") == std::string::npos);
  const auto image = docker::ParseImageRef(parts[1]);
  if (!image) return CheckError(image.error());
  const auto again = docker::ParseImageRef(image->full);
  CUBE_CHECK(again.has_value() && again->full == image->full);
  if (const auto decoded = docker::FromBase64(parts[1])) {
    CUBE_CHECK(decoded->size() <= parts[1].size());
  }
}

CUBE_FUZZ_TARGET(
    docker_config,
    [](Random& random) {
      constexpr const char* kImages[] = {"nginx", "localhost:5000/team/web:1.2",
                                         "docker.io/library/nginx@sha256:"
                                         "0123456789abcdef0123456789abcdef"
                                         "0123456789abcdef0123456789abcdef"};
      return std::string(R"({"auths":{"registry.example:5000":{"auth":"dXNlcjpwYXNz"},)"
                         R"("https://index.docker.io/v1/":{"username":"u","password":"p"}},)"
                         R"("credHelpers":{"other":"x"},"credsStore":"y"})") +
             '\0' + kImages[random.Below(std::size(kImages))];
    },
    &RunDockerConfig);

// ---- the readable feed and outcomes, as the command line reads them -----------------------------

CUBE_FUZZ_TARGET(
    feed,
    [](Random& random) -> std::string {
      constexpr const char* kTexts[] = {
          R"({"time":"2026-01-31T12:00:00Z","task":"web-1","name":"web","node":"n1","attempt":2,)"
          R"("launch":0,"status":"failed","healthy":false,"reason":"exit code 3","exit_code":3})",
          R"({"intent":7,"items":[{"index":0,"id":"web-1","status":"accepted"},{"index":1,)"
          R"("status":"refused","error":{"code":"invalid","message":"is bad","field":"image"}}]})"};
      return kTexts[random.Below(std::size(kTexts))];
    },
    [](std::string_view bytes) {
      if (const auto event = cli::ParseFeedEvent(bytes); !event) CheckError(event.error());
      if (const auto outcome = cli::ParseOutcome(bytes); !outcome) CheckError(outcome.error());
    });

}  // namespace
}  // namespace cube::fuzz
