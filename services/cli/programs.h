// Finding and starting the project's other programs.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "shared/base/error.h"

namespace cube::cli {

// Beside our own executable, else in PATH; absolute. kNotFound says where it was looked for.
[[nodiscard]] Result<std::string> FindProgram(const std::string& name);

// Becomes that program; returns only if that fails.
[[nodiscard]] Error Exec(const std::string& path, const std::vector<std::string>& args);

// A program that this process has started. It gets SIGTERM when this process dies, and does not see
// the terminal's Ctrl-C.
class Child {
 public:
  // Output of both kinds is appended to the file.
  [[nodiscard]] static Result<Child> Start(const std::string& name, const std::string& path,
                                           const std::vector<std::string>& args,
                                           const std::string& output_file);
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  Child(const Child&) = delete;
  // Ends it: SIGTERM, a time, SIGKILL.
  ~Child();

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& output_file() const { return output_file_; }
  // How it ended, in words; nullopt while it runs.
  [[nodiscard]] std::optional<std::string> Ended();
  // SIGTERM, then SIGKILL after `grace_ms`; returns when it is gone.
  void Stop(int grace_ms);

 private:
  Child(std::string name, pid_t pid, std::string output_file)
      : name_(std::move(name)), pid_(pid), output_file_(std::move(output_file)) {}

  std::string name_;
  pid_t pid_ = -1;  // -1 = none, or gone
  std::string output_file_;
  std::string ended_;
};

}  // namespace cube::cli
