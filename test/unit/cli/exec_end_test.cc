#include "services/cli/exec_end.h"

#include <gtest/gtest.h>

#include "services/cli/exit_code.h"

namespace cube::cli {
namespace {

ExecSeen Failed(Code code, bool begun) {
  return {.begun = begun, .ended = true, .failure = Error{code, "it broke", {}}};
}

TEST(ExecEnd, TheCommandsOwnCode) {
  const ExecEnd end = ConcludeExec({.begun = true, .ended = true, .failure = {}, .exit_code = 7});
  EXPECT_EQ(end.exit_code, 7);
  EXPECT_EQ(end.text, "");
}

TEST(ExecEnd, CtrlCSaysOnlyWhatIsKnown) {
  ExecSeen seen{.interrupted = true, .begun = true, .failure = {}};
  EXPECT_EQ(ConcludeExec(seen).exit_code, kExitInterrupted);
  EXPECT_NE(ConcludeExec(seen).text.find("not known whether"), std::string::npos);
  seen.ended = true;
  EXPECT_EQ(ConcludeExec(seen).text, "interrupted; the command has ended");
  seen.failure = Error{Code::kInternal, "it may still run", {}};
  EXPECT_EQ(ConcludeExec(seen).text, "interrupted; it may still run");
  EXPECT_EQ(ConcludeExec(seen).exit_code, kExitInterrupted);
}

TEST(ExecEnd, AClosedOutputIsQuiet) {
  ExecSeen seen = Failed(Code::kAborted, true);
  seen.output_gone = true;
  EXPECT_EQ(ConcludeExec(seen).exit_code, kExitOutputGone);
  EXPECT_EQ(ConcludeExec(seen).text, "");
}

TEST(ExecEnd, EndedByOthersIsNotCtrlC) {
  for (const Code code : {Code::kAborted, Code::kTimedOut, Code::kDataLoss}) {
    EXPECT_EQ(ConcludeExec(Failed(code, true)).exit_code, kExitFailed);
    EXPECT_EQ(ConcludeExec(Failed(code, true)).text,
              "the command had begun, and did not end by itself: it broke");
    EXPECT_EQ(ConcludeExec(Failed(code, false)).exit_code, kExitNotStarted);
  }
  EXPECT_EQ(ConcludeExec(Failed(Code::kPermission, true)).exit_code, kExitNotStarted);
  EXPECT_EQ(ConcludeExec(Failed(Code::kUnavailable, true)).exit_code, kExitUnreachable);
}

}  // namespace
}  // namespace cube::cli
