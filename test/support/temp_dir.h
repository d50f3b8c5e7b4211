// A folder of one test, removed with all in it at the end.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "shared/base/check.h"

namespace cube::test {

// A parent for tests that write little but sync often: memory where there is some.
inline std::string FastTempParent() {
  constexpr const char* kSharedMemory = "/dev/shm/";
  return ::access(kSharedMemory, W_OK | X_OK) == 0 ? kSharedMemory : testing::TempDir();
}

class TempDir {
 public:
  // `parent` ends in a slash.
  explicit TempDir(const std::string& parent = testing::TempDir())
      : path_(parent + "cube-test-XXXXXX") {
    CUBE_CHECK(::mkdtemp(path_.data()) != nullptr);
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  // "<folder>/<name>".
  [[nodiscard]] std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace cube::test
