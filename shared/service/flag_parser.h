// Reads a service's flags from the command line, the configuration file and the environment, and
// says of a bad value where it came from.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "shared/base/error.h"

namespace cube::service {

class FlagParser {
 public:
  // `app` has its flags already and outlives this.
  explicit FlagParser(CLI::App& app);

  // The exit code if the program ends here: after --help and --version, and after an error, which
  // is said on standard error. 64 = usage.
  [[nodiscard]] std::optional<int> Parse(int argc, const char* const* argv);
  // The same for what is found wrong later; `field` of the error is a flag, or something else.
  [[nodiscard]] int Report(const Error& error) const;
  // "PROGRAM: SOURCE: --flag: what is wrong", the source where it is not the command line.
  [[nodiscard]] std::string Text(const Error& error) const;

 private:
  class File;

  // "CUBE_REPLICAS: ", "/etc/cube/manager.toml, line 3: "; empty for the command line.
  [[nodiscard]] std::string SourceOf(const CLI::Option& option) const;
  [[nodiscard]] std::string ConfigPath() const;
  [[nodiscard]] int Say(const std::string& text) const;

  CLI::App& app_;
  std::shared_ptr<File> file_;
  std::set<std::string> given_;  // on the command line
};

}  // namespace cube::service
