// A program that a test runs and talks with: its output of both kinds, signals, exit code.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cube::test {

class ChildProcess {
 public:
  // `words[0]` is the program's path. `variables` come on top of our own environment.
  ChildProcess(std::vector<std::string> words, const std::map<std::string, std::string>& variables);
  // Kills it if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Reads until the text has come. False: it ended or 60 s passed before that.
  [[nodiscard]] bool ReadUntil(const std::string& text);
  void Signal(int signal);
  // Reads to the end and waits. -1: killed by a signal, or still running after 60 s.
  [[nodiscard]] int Wait();
  // All that it has written so far.
  [[nodiscard]] const std::string& output() const { return output_; }

 private:
  // False: end of output, or the time is over.
  bool ReadSome(int timeout_ms);

  pid_t pid_ = -1;
  int fd_ = -1;
  std::string output_;
};

}  // namespace cube::test
