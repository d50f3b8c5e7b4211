// One run of the program: what was asked for, where output goes, and the way to the cluster.
#pragma once

#include <memory>

#include "services/cli/args.h"
#include "services/cli/client.h"
#include "services/cli/settings.h"
#include "services/cli/terminal.h"

namespace cube::cli {

class Session {
 public:
  Session(const CommandSpec& root, Invocation invocation, const Terminal& terminal,
          Environment environment)
      : root_(root),
        invocation_(std::move(invocation)),
        terminal_(terminal),
        environment_(std::move(environment)) {}

  [[nodiscard]] const CommandSpec& root() const { return root_; }
  [[nodiscard]] const Invocation& invocation() const { return invocation_; }
  [[nodiscard]] const Args& args() const { return invocation_.args; }
  [[nodiscard]] const Terminal& terminal() const { return terminal_; }
  [[nodiscard]] const Environment& environment() const { return environment_; }

  // Flags, environment and contexts, read once.
  [[nodiscard]] Result<const Settings*> settings();
  // Connects at the first call.
  [[nodiscard]] Result<Client*> client();

 private:
  const CommandSpec& root_;
  Invocation invocation_;
  const Terminal& terminal_;
  Environment environment_;
  std::optional<Settings> settings_;
  std::unique_ptr<Client> client_;
};

}  // namespace cube::cli
