#include "services/worker/engine/docker/docker_config.h"

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>

#include "shared/base/json.h"

namespace cube::engine::docker {
namespace {

using nlohmann::json;

constexpr std::string_view kDefaultSocket = "/var/run/docker.sock";
constexpr std::string_view kHub = "docker.io";
constexpr std::string_view kHubKey = "index.docker.io";  // its name in config.json
constexpr std::size_t kReferenceBytesMax = 512;  // the distribution spec allows 255 for the name

std::string TextOf(const json& object, std::string_view name) {
  if (!object.is_object()) return {};
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// "https://index.docker.io/v1/" -> "index.docker.io".
std::string HostOf(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"})
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  return std::string(key.substr(0, key.find('/')));
}

std::string Encoded(const json& auth) {
  return Base64Url(auth.dump(-1, ' ', false, json::error_handler_t::replace));
}

bool HelperFor(const json& document, const std::string& host) {
  if (!TextOf(document, "credsStore").empty()) return true;
  const auto helpers = document.find("credHelpers");
  return helpers != document.end() && !TextOf(*helpers, host).empty();
}

RegistryAuth FromEntry(const json& entry, const std::string& key) {
  json auth = {{"serveraddress", key}};
  if (const std::string token = TextOf(entry, "identitytoken"); !token.empty()) {
    auth["identitytoken"] = token;
    return {Encoded(auth), {}};
  }
  std::string user = TextOf(entry, "username");
  std::string password = TextOf(entry, "password");
  if (user.empty()) {
    const auto both = FromBase64(TextOf(entry, "auth"));
    const std::size_t colon = both ? both->find(':') : std::string::npos;
    if (colon == std::string::npos)
      return {{}, fmt::format("the entry of {} in docker's config.json holds no credentials", key)};
    user = both->substr(0, colon);
    password = both->substr(colon + 1);
    while (!password.empty() && password.back() == '\0') password.pop_back();
  }
  auth["username"] = user;
  auth["password"] = password;
  return {Encoded(auth), {}};
}

}  // namespace

Result<Endpoint> EndpointFrom(const Environment& environment) {
  Endpoint endpoint;
  endpoint.api_version = environment("DOCKER_API_VERSION");
  const std::string home = environment("HOME");
  std::string folder = environment("DOCKER_CONFIG");
  if (folder.empty() && !home.empty()) folder = home + "/.docker";
  if (!folder.empty()) endpoint.config_file = folder + "/config.json";

  std::string host = environment("DOCKER_HOST");
  if (host.empty()) host = fmt::format("unix://{}", kDefaultSocket);
  endpoint.name = host;
  const std::string_view view = host;
  if (view.starts_with("unix://")) {
    endpoint.unix_socket = view.substr(7);
    endpoint.same_machine = true;
    endpoint.base_url = "http://localhost";
    if (!endpoint.unix_socket.starts_with('/'))
      return Fail(Code::kInvalid, fmt::format("\"{}\" names no absolute path", host),
                  "DOCKER_HOST");
    return endpoint;
  }
  if (!view.starts_with("tcp://") || view.size() == 6 ||
      view.find_first_of("/?# ", 6) != std::string_view::npos)
    return Fail(Code::kInvalid,
                fmt::format("\"{}\" is neither unix:///PATH nor tcp://HOST:PORT", host),
                "DOCKER_HOST");
  const bool tls = !environment("DOCKER_TLS_VERIFY").empty();
  endpoint.base_url = fmt::format("{}://{}", tls ? "https" : "http", view.substr(6));
  if (view.find(':', view.find(']') == std::string_view::npos ? 6 : view.find(']')) ==
      std::string_view::npos)
    endpoint.base_url += tls ? ":2376" : ":2375";
  if (tls) {
    std::string certificates = environment("DOCKER_CERT_PATH");
    if (certificates.empty()) certificates = home + "/.docker";
    endpoint.ca_file = certificates + "/ca.pem";
    endpoint.cert_file = certificates + "/cert.pem";
    endpoint.key_file = certificates + "/key.pem";
  }
  return endpoint;
}

Result<ImageRef> ParseImageRef(std::string_view text) {
  if (text.empty()) return Fail(Code::kInvalid, "an image is needed by this engine", "image");
  if (text.size() > kReferenceBytesMax)
    return Fail(Code::kInvalid, "the reference of the image is too long", "image");
  for (const char c : text)
    if (c <= ' ' || c == 0x7f)
      return Fail(Code::kInvalid, "the reference of the image has a blank or control character",
                  "image");
  ImageRef ref;
  std::string_view name = text;
  std::string digest;
  if (const std::size_t at = name.find('@'); at != std::string_view::npos) {
    digest = name.substr(at + 1);
    name = name.substr(0, at);
    if (digest.find(':') == std::string::npos)
      return Fail(Code::kInvalid, "what follows the @ of the image is no digest", "image");
  }
  // A colon after the last slash begins the tag; one before it belongs to a port.
  const std::size_t slash = name.rfind('/');
  const std::size_t colon = name.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon != std::string_view::npos) {
    ref.tag = name.substr(colon + 1);
    name = name.substr(0, colon);
    if (ref.tag.empty()) return Fail(Code::kInvalid, "the tag of the image is empty", "image");
  }
  if (name.empty()) return Fail(Code::kInvalid, "the name of the image is empty", "image");
  ref.from_image = name;
  if (ref.tag.empty()) ref.tag = "latest";
  if (!digest.empty()) ref.tag = digest;
  ref.full = fmt::format("{}{}{}", name, digest.empty() ? ':' : '@', ref.tag);
  // The first component is a registry only if it looks like a host (docker's own rule).
  const std::string_view first = name.substr(0, name.find('/'));
  const bool is_host =
      first.size() < name.size() &&
      (first.find_first_of(".:") != std::string_view::npos || first == "localhost");
  ref.registry = is_host ? first : kHub;
  return ref;
}

RegistryAuth AuthFor(std::string_view config, const std::string& registry) {
  if (config.empty()) return {{}, "there is no docker config.json with credentials"};
  const json document = ParseJsonText(config);
  if (!document.is_object()) return {{}, "docker's config.json is not a JSON object"};
  const std::string wanted(registry == kHub ? kHubKey : std::string_view(registry));
  const auto auths = document.find("auths");
  if (auths != document.end() && auths->is_object()) {
    for (const auto& [key, entry] : auths->items()) {
      if (HostOf(key) != wanted) continue;
      RegistryAuth auth = FromEntry(entry, key);
      if (!auth.header.empty() || !HelperFor(document, key)) return auth;
    }
  }
  if (HelperFor(document, wanted))
    return {{},
            "docker's config.json names a credential helper, which is not supported; "
            "log in without one"};
  return {{}, fmt::format("docker's config.json has no credentials for {}", registry)};
}

std::string Base64Url(std::string_view bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t j = 0; j < 3; ++j)
      group = (group << 8) | (j < count ? static_cast<std::uint8_t>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      text += j <= count ? kDigits[(group >> (18 - 6 * j)) & 63u] : '=';
  }
  return text;
}

std::optional<std::string> FromBase64(std::string_view text) {
  std::string bytes;
  std::uint32_t group = 0;
  int bits = 0;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  for (const char c : text) {
    std::uint32_t digit = 0;
    if (c >= 'A' && c <= 'Z') {
      digit = static_cast<std::uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      digit = static_cast<std::uint32_t>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint32_t>(c - '0') + 52;
    } else if (c == '+' || c == '-') {
      digit = 62;
    } else if (c == '/' || c == '_') {
      digit = 63;
    } else {
      return std::nullopt;
    }
    group = (group << 6) | digit;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>((group >> bits) & 0xffu);
    }
  }
  return bytes;
}

}  // namespace cube::engine::docker
