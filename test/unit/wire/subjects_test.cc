#include "shared/wire/subjects.h"

#include <gtest/gtest.h>

#include <map>

namespace cube::wire {
namespace {

TEST(Subjects, Names) {
  const Subjects s;
  EXPECT_EQ(s.TasksSubmit(), "cube.tasks.submit");
  EXPECT_EQ(s.TasksStop(), "cube.tasks.stop");
  EXPECT_EQ(s.Decisions(), "cube.decisions");
  EXPECT_EQ(s.Facts("n1"), "cube.facts.n1");
  EXPECT_EQ(s.SnapshotChunks(), "cube.snapshots.chunks");
  EXPECT_EQ(s.SnapshotManifest(), "cube.snapshots.manifest");
  EXPECT_EQ(s.Desired("n1", 3), "cube.desired.n1.3");
  EXPECT_EQ(s.DesiredAll("n1"), "cube.desired.n1.*");
  EXPECT_EQ(s.Heartbeat("n1"), "cube.heartbeats.n1");
  EXPECT_EQ(s.HeartbeatAll(), "cube.heartbeats.*");
  EXPECT_EQ(s.Metrics("n1"), "cube.metrics.n1");
  EXPECT_EQ(s.MetricsAll(), "cube.metrics.*");
  EXPECT_EQ(s.Assign("n1"), "cube.assign.n1");
  EXPECT_EQ(s.Event("web", "web-1", "running"), "cube.events.web.web-1.running");
  EXPECT_EQ(s.EventsOfTask("web-1"), "cube.events.*.web-1.*");
  EXPECT_EQ(s.EventsAll(), "cube.events.>");
  EXPECT_EQ(s.Outcome("abc"), "cube.outcome.abc");
  EXPECT_EQ(s.Query("tasks"), "cube.query.tasks");
  EXPECT_EQ(s.QueryAll(), "cube.query.*");
  EXPECT_EQ(s.Logs("n1"), "cube.logs.n1");
  EXPECT_EQ(s.Exec("n1"), "cube.exec.n1");
  EXPECT_EQ(s.LeaseKey(), "$KV.CUBE_LEADER.leader");
  EXPECT_EQ(Subjects::LastToken("cube.facts.n1"), "n1");
  EXPECT_EQ(Subjects::LastToken("n1"), "n1");
}

TEST(Subjects, AnotherRoot) {
  const auto s = Subjects::Make("staging");
  ASSERT_TRUE(s);
  EXPECT_EQ(s->TasksSubmit(), "staging.tasks.submit");
  EXPECT_EQ(s->IntentsStream(), "STAGING_INTENTS");
  EXPECT_EQ(s->LeaseStream(), "KV_STAGING_LEADER");
  EXPECT_EQ(s->LeaseKey(), "$KV.STAGING_LEADER.leader");
  for (const bus::StreamConfig& stream : s->Streams({})) {
    EXPECT_NE(stream.name.find("STAGING_"), std::string::npos) << stream.name;
  }
}

TEST(Subjects, RefusesOtherRoots) {
  for (const char* bad : {"", "Cube", "a.b", "a-b", "a*", "12345678901234567"}) {
    const auto s = Subjects::Make(bad);
    ASSERT_FALSE(s) << bad;
    EXPECT_EQ(s.error().field, "root");
  }
}

TEST(Subjects, Streams) {
  StreamLimits limits;
  limits.replicas = 3;
  limits.lease = std::chrono::seconds(7);
  std::map<std::string, bus::StreamConfig> streams;
  for (const bus::StreamConfig& stream : Subjects().Streams(limits)) {
    EXPECT_EQ(stream.replicas, 3) << stream.name;
    EXPECT_TRUE(stream.description.starts_with("Cube: ")) << stream.name;
    EXPECT_EQ(stream.description.find('\n'), std::string::npos) << stream.name;
    streams[stream.name] = stream;
  }
  ASSERT_EQ(streams.size(), 8U);
  const std::vector<std::string> intents{"cube.tasks.*", "cube.jobs.*", "cube.nodes.*"};
  EXPECT_EQ(streams["CUBE_INTENTS"].subjects, intents);
  EXPECT_EQ(streams["CUBE_DECISIONS"].subjects, std::vector<std::string>{"cube.decisions"});
  EXPECT_EQ(streams["CUBE_FACTS"].subjects, std::vector<std::string>{"cube.facts.*"});
  const std::vector<std::string> snapshots{"cube.snapshots.chunks", "cube.snapshots.manifest"};
  EXPECT_EQ(streams["CUBE_SNAPSHOTS"].subjects, snapshots);
  EXPECT_EQ(streams["CUBE_SNAPSHOTS"].messages_per_subject_max, -1);
  EXPECT_EQ(streams["CUBE_DESIRED"].subjects, std::vector<std::string>{"cube.desired.*.*"});
  EXPECT_EQ(streams["CUBE_HEARTBEATS"].subjects, std::vector<std::string>{"cube.heartbeats.*"});
  EXPECT_EQ(streams["CUBE_METRICS"].subjects, std::vector<std::string>{"cube.metrics.*"});
  EXPECT_EQ(streams["KV_CUBE_LEADER"].subjects, std::vector<std::string>{"$KV.CUBE_LEADER.>"});
  for (const char* log : {"CUBE_INTENTS", "CUBE_DECISIONS", "CUBE_FACTS"}) {
    EXPECT_GT(streams[log].bytes_max, 0) << log;
    EXPECT_EQ(streams[log].messages_per_subject_max, -1) << log;
    EXPECT_EQ(streams[log].age_max, Duration(0)) << log;
  }
  for (const char* newest : {"CUBE_DESIRED", "CUBE_HEARTBEATS", "CUBE_METRICS", "KV_CUBE_LEADER"}) {
    EXPECT_EQ(streams[newest].messages_per_subject_max, 1) << newest;
  }
  EXPECT_EQ(streams["KV_CUBE_LEADER"].age_max, limits.lease);
}

}  // namespace
}  // namespace cube::wire
