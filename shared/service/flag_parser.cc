#include "shared/service/flag_parser.h"

#include <cstdio>
#include <iterator>

#include "shared/service/config_text.h"

namespace cube::service {
namespace {

constexpr int kExitUsage = 64;

}  // namespace

// Reads the file for CLI11, which knows neither lines nor what is wrong in one.
class FlagParser::File : public CLI::ConfigTOML {
 public:
  explicit File(const CLI::App& app) : app_(app) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    const std::string text{std::istreambuf_iterator<char>(input), std::istreambuf_iterator<char>()};
    auto entries = ParseConfig(text);
    if (!entries) throw CLI::ConfigError(entries.error().Text());
    std::vector<CLI::ConfigItem> read;
    for (auto& entry : *entries) {
      const CLI::Option* option = app_.get_option_no_throw("--" + entry.name);
      const std::string where = "line " + std::to_string(entry.line) + ": ";
      if (option == nullptr) throw CLI::ConfigError(where + Unknown(entry.name));
      if (!option->get_configurable()) {
        throw CLI::ConfigError(where + "'" + entry.name + "' cannot be given in a file");
      }
      lines_[entry.name] = entry.line;
      read.push_back({{}, entry.name, std::move(entry.values)});
    }
    return read;
  }

  // Where a flag stands in the file; 0 = it does not.
  [[nodiscard]] int LineOf(const std::string& name) const {
    const auto line = lines_.find(name);
    return line == lines_.end() ? 0 : line->second;
  }

 private:
  [[nodiscard]] std::string Unknown(const std::string& name) const {
    std::string text = "there is no flag --" + name;
    for (const CLI::Option* option : app_.get_options()) {
      // A name of a list in the plural, or the variable's spelling.
      std::string spelled = name;
      for (char& c : spelled) c = c == '_' ? '-' : c;
      if (option->check_lname(spelled) ||
          (spelled.ends_with('s') && option->check_lname(spelled.substr(0, spelled.size() - 1)))) {
        return text + "; did you mean " + option->get_name().substr(2) + "?";
      }
    }
    return text + "; '" + app_.get_name() + " --help' lists them";
  }

  const CLI::App& app_;
  mutable std::map<std::string, int> lines_;  // from_config is const in CLI11
};

FlagParser::FlagParser(CLI::App& app) : app_(app), file_(std::make_shared<File>(app)) {
  app.config_formatter(file_);
}

std::optional<int> FlagParser::Parse(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    given_.emplace(word.substr(0, word.find('=')));
  }
  try {
    app_.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& wanted) {
    return app_.exit(wanted);
  } catch (const CLI::ConfigError& error) {
    return Say(ConfigPath() + ": " + error.what());
  } catch (const CLI::ParseError& error) {
    const std::string what = error.what();
    // CLI11 does not say whose value it is: that one fails again.
    for (CLI::Option* option : app_.get_options()) {
      if (option->empty() || option == app_.get_config_ptr()) continue;
      try {
        option->run_callback();
      } catch (const CLI::ParseError&) {
        return Say(SourceOf(*option) + what);
      }
    }
    return Say(what);
  }
}

int FlagParser::Report(const Error& error) const {
  std::fprintf(stderr, "%s\n", Text(error).c_str());
  return error.code == Code::kInvalid ? kExitUsage : 1;
}

std::string FlagParser::Text(const Error& error) const {
  const CLI::Option* option =
      error.field.starts_with("--") ? app_.get_option_no_throw(error.field) : nullptr;
  return app_.get_name() + ": " + (option == nullptr ? "" : SourceOf(*option)) + error.Text();
}

std::string FlagParser::SourceOf(const CLI::Option& option) const {
  const std::string flag = option.get_name();
  if (given_.contains(flag)) return {};
  if (const int line = file_->LineOf(flag.substr(2)); line > 0) {
    return ConfigPath() + ", line " + std::to_string(line) + ": ";
  }
  return option.empty() || option.get_envname().empty() ? "" : option.get_envname() + ": ";
}

std::string FlagParser::ConfigPath() const { return app_.get_config_ptr()->as<std::string>(); }

int FlagParser::Say(const std::string& text) const {
  std::fprintf(stderr, "%s: %s\nRun '%s --help' for more information.\n", app_.get_name().c_str(),
               text.c_str(), app_.get_name().c_str());
  return kExitUsage;
}

}  // namespace cube::service
