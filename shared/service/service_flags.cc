#include "shared/service/service_flags.h"

#include <cstdlib>
#include <filesystem>

#include "shared/base/version.h"
#include "shared/logging/logging.h"
#include "shared/runtime/files.h"

namespace cube::service {
namespace {
constexpr const char* kServerDefault = "nats://127.0.0.1:4222";
}

void AddServiceFlags(CLI::App& app, ServiceFlags& flags, const std::string& default_config) {
  app.set_version_flag("--version", std::string(kVersion));
  app.set_config("--config", default_config, "read flags from this file (TOML: name = value)");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.add_option("--server", flags.servers,
                 "NATS server, nats://HOST:PORT; repeat it for a cluster (default "
                 "nats://127.0.0.1:4222) [NATS_URL too]")
      ->envname("CUBE_SERVER")
      ->delimiter(',');
  app.add_option("--creds", flags.creds, "NATS credentials file")->envname("CUBE_CREDS");
  app.add_option("--nats-user", flags.user, "NATS user")->envname("CUBE_NATS_USER");
  app.add_option("--nats-password", flags.password, "NATS password")->envname("CUBE_NATS_PASSWORD");
  app.add_option("--nats-token", flags.token, "NATS token")->envname("CUBE_NATS_TOKEN");
  app.add_option("--tlsca", flags.tls_ca, "certificate authority (PEM)")->envname("CUBE_TLSCA");
  app.add_option("--tlscert", flags.tls_cert, "client certificate (PEM)")->envname("CUBE_TLSCERT");
  app.add_option("--tlskey", flags.tls_key, "client key (PEM)")->envname("CUBE_TLSKEY");
  app.add_flag("--allow-unsafe-tls", flags.allow_unsafe_tls,
               "use TLS with a NATS client library older than 3.11, which locks it badly")
      ->envname("CUBE_ALLOW_UNSAFE_TLS");
  app.add_option("--root", flags.root, "first token of all subjects")
      ->envname("CUBE_ROOT")
      ->capture_default_str();
  app.add_option("--state-dir", flags.state_dir,
                 "folder for state (default /var/lib/cube as root, else ~/.local/state/cube)")
      ->envname("CUBE_STATE_DIR");
  app.add_option("--store", flags.store,
                 "lmdb, or memory: forgets at exit and reads everything from NATS again")
      ->envname("CUBE_STORE")
      ->check(CLI::IsMember({"lmdb", "memory"}))
      ->capture_default_str();
  app.add_option("--log-format", flags.log_format, "text or json")
      ->envname("CUBE_LOG_FORMAT")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warn or error")
      ->envname("CUBE_LOG_LEVEL")
      ->capture_default_str();
  app.add_option("--metrics-listen", flags.metrics_listen,
                 "HOST:PORT where Prometheus may scrape /metrics (default: no listener)")
      ->envname("CUBE_METRICS_LISTEN");
}

Result<void> ConfigureLogging(const ServiceFlags& flags) {
  logging::Options options;
  auto named = [](Error error, const char* flag) {
    error.field = flag;
    return std::unexpected(std::move(error));
  };
  Result<logging::Format> format = logging::ParseFormat(flags.log_format);
  if (!format) return named(std::move(format).error(), "--log-format");
  Result<logging::Level> level = logging::ParseLevel(flags.log_level);
  if (!level) return named(std::move(level).error(), "--log-level");
  options.format = *format;
  options.level = *level;
  logging::Configure(options);
  return {};
}

bus::NatsBusOptions BusOptions(const ServiceFlags& flags, const std::string& client_name) {
  bus::NatsBusOptions options;
  options.urls = flags.servers;
  if (options.urls.empty()) {
    const char* url = std::getenv("NATS_URL");
    options.urls = {url != nullptr && *url != '\0' ? url : kServerDefault};
  }
  options.name = client_name;
  options.creds_file = flags.creds;
  options.user = flags.user;
  options.password = flags.password;
  options.token = flags.token;
  options.tls_ca_file = flags.tls_ca;
  options.tls_cert_file = flags.tls_cert;
  options.tls_key_file = flags.tls_key;
  options.allow_unsafe_tls = flags.allow_unsafe_tls;
  return options;
}

Result<wire::Subjects> SubjectsOf(const ServiceFlags& flags) {
  return wire::Subjects::Make(flags.root);
}

Result<std::string> StateDirOf(const ServiceFlags& flags) {
  std::string dir = flags.state_dir;
  if (dir.empty()) {
    CUBE_TRY(dir, runtime::DefaultStateDir());
  }
  CUBE_TRY_VOID(runtime::MakeDirectories(dir));
  return dir;
}

std::uint64_t FileBytes(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<std::uint64_t>(bytes);
}

}  // namespace cube::service
