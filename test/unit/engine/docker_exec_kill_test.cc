#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "services/worker/engine/docker/exec_kill.h"

namespace cube::engine::docker {
namespace {

// Numbers that an engine elsewhere gives may be anybody's here.
TEST(DockerExecKill, LeavesAloneWhatIsNotInTheContainer) {
  std::string name = "sleep";
  std::string time = "1000";
  char* arguments[] = {name.data(), time.data(), nullptr};
  pid_t pid = 0;
  ASSERT_EQ(::posix_spawnp(&pid, "sleep", nullptr, nullptr, arguments, environ), 0);
  EXPECT_FALSE(KillInContainer(pid, std::string(64, 'a')));
  EXPECT_FALSE(KillInContainer(pid, "")) << "everything holds an empty text";
  EXPECT_FALSE(KillInContainer(0, std::string(64, 'a')));
  EXPECT_FALSE(KillInContainer(1, std::string(64, 'a')));
  EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), 0) << "it was killed";
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

}  // namespace
}  // namespace cube::engine::docker
