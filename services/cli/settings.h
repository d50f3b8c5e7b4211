// Where the cluster is and how to get in: flags, their twins in the environment, the nats tool's
// contexts. The first that says something wins, per setting:
//   flag, CUBE_<FLAG>, for the server NATS_URL, the context.
// The context is --context or CUBE_CONTEXT, else the one that the nats tool has selected, the
// latter only if neither a server nor NATS_URL was named.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "services/cli/args.h"
#include "shared/base/error.h"
#include "shared/base/time.h"
#include "shared/bus/nats_options.h"

namespace cube::cli {

struct Settings {
  bus::NatsBusOptions nats;
  std::string server_origin;  // "--server", "NATS_URL", "nats context prod", ...: for messages
  std::string root = "cube";

  // The servers without passwords, for people.
  [[nodiscard]] std::string ServersText() const;
};

// What settings are read from; tests bring their own.
struct Environment {
  std::function<std::optional<std::string>(const std::string& name)> variable{};
  // kNotFound if there is no such file.
  std::function<Result<std::string>(const std::string& path)> read_file{};

  [[nodiscard]] static Environment Real();
  // The variable, unless it is unset or empty.
  [[nodiscard]] std::optional<std::string> Get(const std::string& name) const;
};

[[nodiscard]] Result<Settings> ResolveSettings(const Args& args, const Environment& environment);

}  // namespace cube::cli
