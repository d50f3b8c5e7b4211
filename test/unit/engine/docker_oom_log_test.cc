#include <gtest/gtest.h>

#include <string>

#include "services/worker/engine/docker/oom_log.h"

namespace cube::engine::docker {
namespace {

constexpr std::string_view kId = "f20684dafb750b05221a8645da6b4cf8899b702082f8309ee9f095577a89a4fa";

TEST(DockerOomLog, FindsTheContainerWhoseLimitWasReached) {
  const std::string record =
      "6,1042,3467720055,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,"
      "mems_allowed=0,oom_memcg=/docker/" +
      std::string(kId) + ",task_memcg=/docker/" + std::string(kId) + ",task=sh,pid=28480,uid=0\n";
  EXPECT_TRUE(IsOomKillOf(record, kId));
  EXPECT_FALSE(IsOomKillOf(record, std::string(64, 'a')));
  EXPECT_FALSE(IsOomKillOf(record, "")) << "everything holds an empty text";
  const std::string systemd =
      "oom-kill:x,oom_memcg=/system.slice/docker-" + std::string(kId) + ".scope,task_memcg=y";
  EXPECT_TRUE(IsOomKillOf(systemd, kId));
  // Killed since the machine ran out: not this container's limit.
  const std::string global = "oom-kill:constraint=CONSTRAINT_NONE,global_oom,task_memcg=/docker/" +
                             std::string(kId) + ",task=sh\n";
  EXPECT_FALSE(IsOomKillOf(global, kId));
  EXPECT_FALSE(IsOomKillOf("oom_memcg=/docker/" + std::string(kId), kId));
}

TEST(DockerOomLog, AnotherContainerWasNotKilled) {
  EXPECT_FALSE(KernelKilledForMemory(std::string(64, 'f')));
}

}  // namespace
}  // namespace cube::engine::docker
