// Where the engine is and who may pull: what the docker command line itself reads. Pure; the
// environment and the text of config.json come in as arguments.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/error.h"

namespace cube::engine::docker {

// Which engine to speak to, and how.
struct Endpoint {
  std::string unix_socket;                   // path; empty: TCP
  bool same_machine = false;                 // its containers are processes of this machine
  std::string base_url;                      // "http://localhost", "https://10.0.0.7:2376"
  std::string ca_file, cert_file, key_file;  // for https
  std::string api_version;                   // asked for by the user; empty = negotiate
  std::string config_file;  // docker's config.json, with the credentials of registries
  std::string name;         // for messages: "unix:///var/run/docker.sock"
};

// Reads a variable; empty where it is not set.
using Environment = std::function<std::string(const std::string&)>;

// DOCKER_HOST (unix://PATH, tcp://HOST:PORT), DOCKER_TLS_VERIFY, DOCKER_CERT_PATH,
// DOCKER_API_VERSION, DOCKER_CONFIG, HOME. kInvalid where DOCKER_HOST is of another kind.
[[nodiscard]] Result<Endpoint> EndpointFrom(const Environment& environment);

// An image as POST /images/create wants it.
struct ImageRef {
  std::string registry;    // "docker.io", "localhost:5000"
  std::string from_image;  // the name without tag and digest, as the user wrote it
  std::string tag;         // a tag ("latest" where none was given) or a digest "sha256:..."
  std::string full;        // what a create names: from_image:tag or from_image@digest
  friend bool operator==(const ImageRef&, const ImageRef&) = default;
};
// kInvalid (field "image") for what cannot be a reference; the engine has the last word.
[[nodiscard]] Result<ImageRef> ParseImageRef(std::string_view text);

// What is known about a registry's credentials.
struct RegistryAuth {
  std::string header;  // value of X-Registry-Auth; empty = anonymous
  std::string note;    // for the error text if the pull is refused
};
// `config` is the text of config.json (empty = no file). Garbage is reported in `note`: a public
// image can be pulled all the same.
[[nodiscard]] RegistryAuth AuthFor(std::string_view config, const std::string& registry);

// RFC 4648 section 5 (URL-safe), padded: what the engine decodes. And the plain one back.
[[nodiscard]] std::string Base64Url(std::string_view bytes);
[[nodiscard]] std::optional<std::string> FromBase64(std::string_view text);

}  // namespace cube::engine::docker
