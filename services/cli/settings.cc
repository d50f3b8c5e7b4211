#include "services/cli/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "shared/base/json.h"
#include "shared/bus/nats_url.h"

namespace cube::cli {
namespace {

using Json = nlohmann::json;

// A context is one person's settings for one server: a page of text at most.
constexpr std::size_t kContextBytesMax = 64u << 10;

struct Context {
  std::string name;
  Json json = Json::object();

  [[nodiscard]] std::string Text(const char* key) const {
    const auto it = json.find(key);
    return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
  }
};

std::string Trim(std::string text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (!text.empty() && is_space(text.back())) text.pop_back();
  while (!text.empty() && is_space(text.front())) text.erase(0, 1);
  return text;
}

// Where the nats tool keeps its contexts: $XDG_CONFIG_HOME/nats or ~/.config/nats.
std::string NatsFolder(const Environment& environment) {
  if (const auto xdg = environment.Get("XDG_CONFIG_HOME")) return *xdg + "/nats";
  return environment.Get("HOME").value_or("") + "/.config/nats";
}

// The nats tool writes paths in a context as they were typed.
std::string ExpandHome(const std::string& path, const Environment& environment) {
  if (!path.starts_with("~/")) return path;
  return environment.Get("HOME").value_or("") + path.substr(1);
}

Result<Context> ReadContext(const std::string& name, const Environment& environment) {
  if (name.empty() || name.find('/') != std::string::npos || name.find("..") != std::string::npos) {
    return Fail(Code::kInvalid, fmt::format("'{}' cannot be the name of a nats context", name));
  }
  const std::string path = fmt::format("{}/context/{}.json", NatsFolder(environment), name);
  auto text = environment.read_file(path);
  if (!text) {
    return Fail(Code::kInvalid, fmt::format("there is no nats context '{}': {}. 'nats context ls' "
                                            "lists them",
                                            name, text.error().message));
  }
  Context context{.name = name};
  context.json = ParseJsonText(*text);
  if (!context.json.is_object()) {
    return Fail(Code::kInvalid, fmt::format("the nats context in {} is not a JSON object", path));
  }
  return context;
}

// Reads each setting from the first place that has it.
class Resolver {
 public:
  Resolver(const Args& args, const Environment& environment)
      : args_(args), environment_(environment) {}

  Result<Settings> Run() {
    settings_.nats.name = "cube";
    CUBE_TRY_VOID(Server());
    auto pick = [&](const char* flag, const char* variable, const char* key) {
      if (auto named = Named(flag, variable)) return *named;
      return context_ ? context_->Text(key) : std::string();
    };
    // A server takes one way to sign in; what is named here goes before the context's.
    auto pick_alone = [&](const char* flag, const char* variable, const char* key) {
      return SignsInOtherwise(flag) ? Named(flag, variable).value_or("")
                                    : pick(flag, variable, key);
    };
    settings_.nats.user = pick_alone("nats-user", "CUBE_NATS_USER", "user");
    settings_.nats.password = SignsInOtherwise("nats-user")
                                  ? Named("nats-password", "CUBE_NATS_PASSWORD").value_or("")
                                  : pick("nats-password", "CUBE_NATS_PASSWORD", "password");
    settings_.nats.creds_file = Path(pick_alone("creds", "CUBE_CREDS", "creds"));
    settings_.nats.nkey_seed_file = Path(pick_alone("nkey", "CUBE_NKEY", "nkey"));
    settings_.nats.tls_ca_file = Path(pick("tlsca", "CUBE_TLSCA", "ca"));
    settings_.nats.tls_cert_file = Path(pick("tlscert", "CUBE_TLSCERT", "cert"));
    settings_.nats.tls_key_file = Path(pick("tlskey", "CUBE_TLSKEY", "key"));
    settings_.nats.token = pick_alone("nats-token", "CUBE_NATS_TOKEN", "token");
    const auto unsafe = environment_.Get("CUBE_ALLOW_UNSAFE_TLS");
    settings_.nats.allow_unsafe_tls =
        args_.Has("allow-unsafe-tls") || (unsafe && *unsafe != "0" && *unsafe != "false");
    if (const auto root = Named("root", "CUBE_ROOT")) settings_.root = *root;
    CUBE_TRY_VOID(RequestTimeout());
    return std::move(settings_);
  }

 private:
  [[nodiscard]] std::optional<std::string> Named(const char* flag, const char* variable) const {
    if (args_.Has(flag)) return args_.Text(flag);
    return environment_.Get(variable);
  }
  // Another flag or variable than this one says who we are.
  [[nodiscard]] bool SignsInOtherwise(std::string_view flag) const {
    constexpr std::pair<const char*, const char*> kWays[] = {{"creds", "CUBE_CREDS"},
                                                             {"nkey", "CUBE_NKEY"},
                                                             {"nats-user", "CUBE_NATS_USER"},
                                                             {"nats-token", "CUBE_NATS_TOKEN"}};
    return std::any_of(std::begin(kWays), std::end(kWays), [&](const auto& way) {
      return way.first != flag && Named(way.first, way.second).has_value();
    });
  }
  [[nodiscard]] std::string Path(const std::string& path) const {
    return ExpandHome(path, environment_);
  }

  Result<void> Server() {
    const auto server = Named("server", "CUBE_SERVER");
    const auto context = Named("context", "CUBE_CONTEXT");
    const auto nats_url = environment_.Get("NATS_URL");
    if (context) {
      CUBE_TRY(context_, ReadContext(*context, environment_));
    } else if (!server && !nats_url) {
      CUBE_TRY_VOID(SelectedContext());
    }
    std::string list(bus::kServerDefault);
    settings_.server_origin = "the default";
    if (server) {
      list = *server;
      settings_.server_origin = args_.Has("server") ? "--server" : "$CUBE_SERVER";
    } else if (context_ && !context_->Text("url").empty()) {
      list = context_->Text("url");
      settings_.server_origin = "nats context " + context_->name;
    } else if (nats_url) {
      list = *nats_url;
      settings_.server_origin = "$NATS_URL";
    }
    CUBE_TRY(settings_.nats.urls, bus::ParseServers(list, settings_.server_origin));
    return {};
  }

  Result<void> SelectedContext() {
    const auto selected = environment_.read_file(NatsFolder(environment_) + "/context.txt");
    const std::string name = selected ? Trim(*selected) : std::string();
    if (name.empty()) return {};
    CUBE_TRY(context_, ReadContext(name, environment_));
    return {};
  }

  Result<void> RequestTimeout() {
    Args timeout;
    const auto text = Named("request-timeout", "CUBE_REQUEST_TIMEOUT");
    if (!text) return {};
    timeout.Add("request-timeout", *text);
    CUBE_TRY(const auto value, timeout.Time("request-timeout"));
    if (*value <= Duration{0}) return Fail(Code::kInvalid, "--request-timeout must be above 0");
    settings_.nats.request_timeout = *value;
    return {};
  }

  const Args& args_;
  const Environment& environment_;
  std::optional<Context> context_;
  Settings settings_;
};

}  // namespace

std::string Settings::ServersText() const { return bus::UrlsWithoutSecrets(nats.urls); }

Environment Environment::Real() {
  return {.variable = [](const std::string& name) -> std::optional<std::string> {
            const char* value = std::getenv(name.c_str());
            if (value == nullptr) return std::nullopt;
            return std::string(value);
          },
          .read_file = [](const std::string& path) -> Result<std::string> {
            std::ifstream file(path, std::ios::binary);
            if (!file) return Fail(Code::kNotFound, fmt::format("cannot read {}", path));
            std::string text(kContextBytesMax + 1, '\0');
            file.read(text.data(), static_cast<std::streamsize>(text.size()));
            text.resize(static_cast<std::size_t>(file.gcount()));
            if (text.size() > kContextBytesMax) {
              return Fail(Code::kResource, fmt::format("{} is larger than 64 KiB", path));
            }
            return text;
          }};
}

std::optional<std::string> Environment::Get(const std::string& name) const {
  auto value = variable(name);
  if (value && value->empty()) return std::nullopt;
  return value;
}

Result<Settings> ResolveSettings(const Args& args, const Environment& environment) {
  return Resolver(args, environment).Run();
}

}  // namespace cube::cli
