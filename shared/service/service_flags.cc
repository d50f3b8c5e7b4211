#include "shared/service/service_flags.h"

#include <cstdlib>
#include <filesystem>

#include "shared/base/version.h"
#include "shared/bus/nats_bus.h"
#include "shared/bus/nats_url.h"
#include "shared/logging/logging.h"
#include "shared/runtime/files.h"

namespace cube::service {

void AddServiceFlags(CLI::App& app, ServiceFlags& flags, const std::string& default_config) {
  app.set_version_flag("--version", std::string(kVersion));
  app.set_config("--config", default_config, "read flags from this file (TOML: name = value)");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.add_option("--server", flags.servers,
                 "NATS server, nats://HOST:PORT; repeat it for a cluster (default "
                 "nats://127.0.0.1:4222) [NATS_URL too]")
      ->envname("CUBE_SERVER")
      ->delimiter(',');
  app.add_option("--creds", flags.nats.creds_file, "NATS credentials file")->envname("CUBE_CREDS");
  app.add_option("--nkey", flags.nats.nkey_seed_file, "file with the seed of a NATS nkey")
      ->envname("CUBE_NKEY");
  app.add_option("--nats-user", flags.nats.user, "NATS user")->envname("CUBE_NATS_USER");
  app.add_option("--nats-password", flags.nats.password, "NATS password")
      ->envname("CUBE_NATS_PASSWORD");
  app.add_option("--nats-token", flags.nats.token, "NATS token")->envname("CUBE_NATS_TOKEN");
  app.add_option("--tlsca", flags.nats.tls_ca_file, "certificate authority (PEM)")
      ->envname("CUBE_TLSCA");
  app.add_option("--tlscert", flags.nats.tls_cert_file, "client certificate (PEM)")
      ->envname("CUBE_TLSCERT");
  app.add_option("--tlskey", flags.nats.tls_key_file, "client key (PEM)")->envname("CUBE_TLSKEY");
  app.add_flag("--allow-unsafe-tls", flags.nats.allow_unsafe_tls,
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

Result<bus::NatsBusOptions> BusOptions(const ServiceFlags& flags) {
  bus::NatsBusOptions options = flags.nats;
  std::string list;
  std::string field = "--server";
  for (const std::string& server : flags.servers) list += server + ",";
  if (const char* url = std::getenv("NATS_URL");
      flags.servers.empty() && url != nullptr && *url != '\0') {
    list = url;
    field = "NATS_URL";
  } else if (flags.servers.empty()) {
    list = bus::kServerDefault;
  }
  CUBE_TRY(options.urls, bus::ParseServers(list, field));
  if (const std::string warning = bus::WarningOf(options); !warning.empty()) {
    logging::Log(logging::Level::kWarning, warning);
  }
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
