// What the contract of engines (contract.h) needs to know of one kind of engine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "services/worker/engine/engine.h"

namespace cube::engine {

class EngineFixture {
 public:
  virtual ~EngineFixture() = default;

  // A new engine on this machine. Its destructor leaves launches running.
  virtual std::unique_ptr<Engine> MakeEngine(Sink sink) = 0;

  // Lets simulated time pass and returns true; engines with a thread of their own return false.
  virtual bool Pump() { return false; }

  // Runs until stopped; ends at once on SIGTERM, by exit code or by signal.
  virtual TaskSpec LongRunning() = 0;
  // Runs until stopped; ignores SIGTERM.
  virtual TaskSpec Stubborn() = 0;
  // What Stubborn prints once it really ignores SIGTERM, since a program is killed by a signal that
  // comes before it has said so. Empty = it prints nothing, and signals are that slow.
  virtual std::string StubbornPrints() { return {}; }
  // Prints `out` to stdout, then `err` to stderr, then exits with `code`. `out` and `err` are
  // printable, without quotes; they may have newlines.
  virtual TaskSpec ExitsWith(int code, std::string out, std::string err) = 0;
  // Runs for about `run_time`, then exits with `code`.
  virtual TaskSpec ExitsAfter(Duration run_time, int code) = 0;
  // Prints the value of the environment variable, a newline, and exits with 0.
  virtual TaskSpec PrintsEnv(const std::string& variable) = 0;
  // Prints `out`, then runs until stopped (as LongRunning).
  virtual TaskSpec PrintsAndRuns(std::string out) = 0;
  // Computes until stopped (as LongRunning).
  virtual TaskSpec Busy() = 0;
  // Cannot be started (no such program).
  virtual TaskSpec FailsToStart() = 0;

  // ---- commands inside a launch of LongRunning
  using Words = std::vector<std::string>;
  // Prints as ExitsWith does, and exits.
  virtual Words ExecSays(const std::string& out, const std::string& err, int code) = 0;
  // Copies its input to its output.
  virtual Words ExecCopies() = 0;
  // Runs until it is killed. Where the machine is real, `mark` can be found in the command line
  // of the process, or of one that it has started and waits for.
  virtual Words ExecRuns(const std::string& mark) = 0;
  virtual Words ExecPrintsEnv(const std::string& variable) = 0;
  // Whether a command of ExecRuns(mark) runs anywhere on the machine; always false where nothing
  // really runs.
  virtual bool ExecIsRunning(const std::string& mark) = 0;
  [[nodiscard]] virtual bool MakesProcesses() const { return true; }
};

}  // namespace cube::engine
