// run, stop, ps, status and what they say when something is missing.
#include <gmock/gmock.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "services/cli/exit_code.h"
#include "test/integration/cli/fake_cluster.h"
#include "test/support/cli/child.h"
#include "test/support/temp_dir.h"

namespace cube::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;

using CliRunTest = CliTest;
using CliStopTest = CliTest;
using CliPsTest = CliTest;
using CliErrorsTest = CliTest;

TEST_F(CliRunTest, ReturnsWhenTheTaskRuns) {
  FakeManager manager(server_->url(), {});
  const Shown shown = Cube({"run", "--name", "web", "-e", "A=1", "nginx:1.25", "sleep", "9"});
  EXPECT_EQ(shown.exit_code, kExitDone) << shown.err;
  ASSERT_THAT(shown.out, StartsWith("web-"));
  const std::string id = shown.out.substr(0, shown.out.size() - 1);  // nothing but the id
  EXPECT_EQ(id.size(), std::string("web-").size() + 8);
  EXPECT_THAT(shown.err, HasSubstr(id + ": running on node-a"));
  const auto task = manager.Get(id);
  ASSERT_TRUE(task);
  EXPECT_EQ(task->spec().image(), "nginx:1.25");
  EXPECT_EQ(task->spec().env().at("A"), "1");
}

TEST_F(CliRunTest, WithoutTheFeedAndTheOutcomeItAsks) {
  FakeManager manager(server_->url(), {.tell_outcome = false, .tell_feed = false});
  const Shown shown = Cube({"--request-timeout", "300ms", "run", "--id", "web-1", "nginx"});
  EXPECT_EQ(shown.exit_code, kExitDone) << shown.err;
  EXPECT_EQ(shown.out, "web-1\n");
}

TEST_F(CliRunTest, AConflictIsCode4AndNamesTheField) {
  FakeManager manager(server_->url(), {.refuse = Error{Code::kConflict, "it is taken", "id"}});
  const Shown shown = Cube({"run", "--id", "web-1", "nginx"});
  EXPECT_EQ(shown.exit_code, kExitConflict);
  EXPECT_EQ(shown.out, "");
  EXPECT_THAT(shown.err, HasSubstr("web-1 was refused: id: it is taken"));
}

TEST_F(CliRunTest, ATaskThatFailsIsCode1) {
  FakeManager manager(server_->url(),
                      {.status = "failed", .reason = "no such image", .exit_code = std::nullopt});
  const Shown shown = Cube({"run", "--id", "web-1", "nginx"});
  EXPECT_EQ(shown.exit_code, kExitFailed);
  const std::string failure = "web-1: failed on node-a: no such image";
  EXPECT_THAT(shown.err, HasSubstr("cube: " + failure));
  EXPECT_EQ(shown.err.find(failure), shown.err.rfind(failure)) << "said once: " << shown.err;
}

TEST_F(CliRunTest, ATaskThatWaitsIsCode2AndSaysWhy) {
  FakeManager manager(server_->url(), {.status = "pending", .reason = "no node has 64 cpus"});
  const Shown shown = Cube({"run", "--id", "web-1", "--timeout", "200ms", "nginx"});
  EXPECT_EQ(shown.exit_code, kExitNotConverged);
  EXPECT_EQ(shown.out, "web-1\n");
  EXPECT_THAT(shown.err, HasSubstr("pending: no node has 64 cpus"));
  EXPECT_TRUE(manager.stopped().empty());  // it stays
}

TEST_F(CliRunTest, ATaskThatRunsAndIsNotHealthyIsCode2AndSaysSo) {
  FakeManager manager(server_->url(), {.healthy = false});
  const Shown shown =
      Cube({"run", "--id", "web-1", "--health-tcp", "--timeout", "200ms", "-p", "80", "nginx"});
  EXPECT_EQ(shown.exit_code, kExitNotConverged);
  EXPECT_THAT(shown.err, HasSubstr("web-1 is not healthy after 200ms: running (not healthy yet) on "
                                   "node-a"));
}

TEST_F(CliRunTest, AFileOfTasks) {
  FakeManager manager(server_->url(), {});
  const test::TempDir folder;
  std::ofstream(folder.File("tasks.yaml"))
      << "- {id: a-1, name: a, image: nginx}\n- {id: b-1, name: b, image: redis}\n";
  const Shown shown = Cube({"run", "-f", folder.File("tasks.yaml")});
  EXPECT_EQ(shown.exit_code, kExitDone) << shown.err;
  EXPECT_EQ(shown.out, "a-1\nb-1\n");
  EXPECT_EQ(manager.Get("b-1")->spec().image(), "redis");
}

TEST_F(CliRunTest, ManyTasksGoInMessagesThatFit) {
  FakeManager manager(server_->url(), {});
  const test::TempDir folder;
  std::ofstream file(folder.File("tasks.json"));
  file << "[";
  for (int i = 0; i < 60; ++i) {  // 60 times 30 KB: more than one message may carry
    file << (i == 0 ? "" : ",") << R"({"id":"t-)" << i << R"(","name":"t","image":"x","env":{"A":")"
         << std::string(30'000, static_cast<char>('a' + i % 26)) << i << R"("}})";
  }
  file << "]";
  file.close();
  const Shown shown = Cube({"run", "-d", "-f", folder.File("tasks.json")});
  EXPECT_EQ(shown.exit_code, kExitDone) << shown.err;
  EXPECT_EQ(std::ranges::count(shown.out, '\n'), 60);
  EXPECT_TRUE(manager.Get("t-59"));
}

TEST_F(CliRunTest, WithoutAManagerTheTaskIsInTheLogAllTheSame) {
  {
    FakeManager makes_the_streams(server_->url(), {});
  }
  const Shown waits = Cube({"--request-timeout", "300ms", "run", "--id", "web-1", "nginx"});
  EXPECT_EQ(waits.exit_code, kExitUnreachable);
  EXPECT_THAT(waits.err, HasSubstr("web-1 is in the log and will be decided on, but no manager"));
  const Shown detached =
      Cube({"--request-timeout", "300ms", "run", "-d", "--id", "web-2", "nginx"});
  EXPECT_EQ(detached.exit_code, kExitDone);
  EXPECT_EQ(detached.out, "web-2\n");
  FakeManager manager(server_->url(), {});
  EXPECT_EQ(Cube({"wait", "--timeout", "100ms", "web-2"}).exit_code, kExitNotConverged);
  EXPECT_TRUE(manager.Get("web-1"));
}

TEST_F(CliRunTest, CtrlCEndsTheWatchingNotTheWork) {
  FakeManager manager(server_->url(), {.status = "pending", .reason = "no room"});
  test::ChildProcess cube({CUBE_BINARY, "run", "--id", "web-1", "nginx"},
                          {{"CUBE_SERVER", server_->url()}});
  ASSERT_TRUE(cube.ReadUntil("pending: no room")) << cube.output();
  cube.Signal(SIGINT);
  EXPECT_EQ(cube.Wait(), kExitInterrupted);
  EXPECT_THAT(cube.output(), HasSubstr("stopped watching; web-1 goes on"));
  EXPECT_TRUE(manager.stopped().empty());
}

// ---- stop -----------------------------------------------------------------------------------

TEST_F(CliStopTest, ByNameIdAndPrefix) {
  FakeManager manager(server_->url(), {});
  manager.Put(TaskOf("web-aaaa1111", "web", "running"));
  manager.Put(TaskOf("web-old00000", "web", "completed"));  // a name of the past is no obstacle
  manager.Put(TaskOf("db-bbbb2222", "db", "running"));
  manager.Put(TaskOf("api-cccc3333", "api", "pending"));
  const Shown shown = Cube({"stop", "web", "db-bbbb2222", "api-cc"});
  EXPECT_EQ(shown.exit_code, kExitDone) << shown.err;
  EXPECT_EQ(shown.out, "web-aaaa1111\ndb-bbbb2222\napi-cccc3333\n");
  EXPECT_THAT(manager.stopped(), ElementsAre("web-aaaa1111", "db-bbbb2222", "api-cccc3333"));
}

TEST_F(CliStopTest, NothingVagueIsStopped) {
  FakeManager manager(server_->url(), {});
  manager.Put(TaskOf("webserver-aaaa1111", "webserver", "running"));
  manager.Put(TaskOf("db-bbbb1111", "db", "running"));
  manager.Put(TaskOf("db-bbbb2222", "db", "running"));
  const Shown prefix = Cube({"stop", "webs"});
  EXPECT_EQ(prefix.exit_code, kExitUsage);
  EXPECT_THAT(prefix.err, HasSubstr("too short"));
  const Shown ambiguous = Cube({"stop", "db"});
  EXPECT_EQ(ambiguous.exit_code, kExitConflict);
  EXPECT_THAT(ambiguous.err, HasSubstr("db-bbbb1111, db-bbbb2222"));
  const Shown unknown = Cube({"stop", "nosuch"});
  EXPECT_EQ(unknown.exit_code, kExitNotFound);
  EXPECT_THAT(unknown.err, HasSubstr("there is no task 'nosuch'"));
  EXPECT_TRUE(manager.stopped().empty());
}

TEST_F(CliStopTest, ATaskOfAJobIsNotStoppedByItself) {
  FakeManager manager(server_->url(), {});
  v1::TaskView task = TaskOf("web-v1-0", "web", "running");
  task.set_job("web");
  manager.Put(task);
  const Shown shown = Cube({"stop", "web-v1-0"});
  EXPECT_EQ(shown.exit_code, kExitFailed) << "the command was right";
  EXPECT_THAT(shown.err, HasSubstr("'cube job scale web N'"));
}

TEST_F(CliStopTest, OneUnknownNameDoesNotKeepTheOthers) {
  FakeManager manager(server_->url(), {});
  manager.Put(TaskOf("web-aaaa1111", "web", "running"));
  const Shown shown = Cube({"stop", "nosuch", "web"});
  EXPECT_EQ(shown.exit_code, kExitNotFound);
  EXPECT_EQ(shown.out, "web-aaaa1111\n");
}

// The manager that answers may not have read yet what was submitted a moment ago.
TEST_F(CliStopTest, WhatTheManagerHasNotReadYetIsAskedForOnceMore) {
  FakeManager manager(server_->url(), {.behind = true});
  ASSERT_EQ(Cube({"run", "-d", "--id", "web-1", "nginx"}).exit_code, kExitDone);
  const int before = manager.task_questions();
  const Shown shown = Cube({"stop", "-d", "web-1"});
  EXPECT_EQ(shown.exit_code, kExitDone) << shown.err;
  EXPECT_EQ(manager.task_questions(), before + 2);
  EXPECT_THAT(manager.stopped(), ElementsAre("web-1"));
  for (const char* command : {"inspect", "status"}) {
    const Shown found = command == std::string("inspect") ? Cube({"task", "inspect", "web-1"})
                                                          : Cube({"status", "web-1"});
    EXPECT_EQ(found.exit_code, kExitDone) << command << ": " << found.err;
  }
  EXPECT_EQ(Cube({"stop", "-d", "nosuch"}).exit_code, kExitNotFound);
}

TEST_F(CliStopTest, WhatIsKnownIsAskedForOnce) {
  FakeManager manager(server_->url(), {});
  manager.Put(TaskOf("web-aaaa1111", "web", "running"));
  EXPECT_EQ(Cube({"task", "inspect", "web-aaaa1111"}).exit_code, kExitDone);
  EXPECT_EQ(manager.task_questions(), 1);
}

TEST_F(CliStopTest, WaitsForTheEndUnlessToldNotTo) {
  FakeManager manager(server_->url(), {.stop_status = "stopping"});
  manager.Put(TaskOf("web-aaaa1111", "web", "running"));
  const Shown shown = Cube({"stop", "--timeout", "200ms", "web"});
  EXPECT_EQ(shown.exit_code, kExitNotConverged);
  EXPECT_THAT(shown.err, HasSubstr("has not ended after 200ms"));
  EXPECT_EQ(Cube({"stop", "-d", "web"}).exit_code, kExitDone);
}

TEST_F(CliStopTest, WhatHasEndedIsNoFailure) {
  FakeManager manager(server_->url(), {});
  manager.Put(TaskOf("web-aaaa1111", "web", "completed"));
  const Shown shown = Cube({"stop", "web"});
  EXPECT_EQ(shown.exit_code, kExitDone);
  EXPECT_THAT(shown.err, HasSubstr("had ended already"));
  EXPECT_TRUE(manager.stopped().empty());
}

// ---- reading --------------------------------------------------------------------------------

TEST_F(CliPsTest, FormatsAndPages) {
  FakeManager manager(server_->url(), {.page_size = 1});
  manager.Put(TaskOf("web-1", "web", "running"));
  manager.Put(TaskOf("web-2", "web", "running"));
  manager.Put(TaskOf("web-3", "web", "failed"));
  EXPECT_EQ(Cube({"ps", "-q"}).out, "web-1\nweb-2\n");
  EXPECT_EQ(Cube({"ps", "-aq"}).out, "web-1\nweb-2\nweb-3\n");
  EXPECT_EQ(Cube({"ps", "-q", "--filter", "state=failed"}).out, "web-3\n");
  const Json json = Json::parse(Cube({"ps", "-a", "-o", "json"}).out);
  ASSERT_EQ(json.size(), 3u);
  EXPECT_EQ(json[2]["status"], "failed");
  const Shown table = Cube({"ps"});
  EXPECT_THAT(table.out, StartsWith("ID      NAME   NODE     STATE     CREATED   CONTAINERNAME"));
  EXPECT_EQ(table.err, "");
  EXPECT_THAT(Cube({"ps", "--no-headers"}).out, StartsWith("web-1"));
  EXPECT_THAT(Cube({"ps", "-o", "yaml"}).out, HasSubstr("- id: web-1\n"));
}

TEST_F(CliPsTest, APageThatFailsIsAnErrorAndNothingIsShown) {
  FakeManager manager(server_->url(), {.page_size = 1, .fail_behind_first_page = true});
  manager.Put(TaskOf("web-1", "web", "running"));
  manager.Put(TaskOf("web-2", "web", "running"));
  for (const char* format : {"name", "json", "table"}) {
    const Shown shown = Cube({"ps", "-o", format});
    EXPECT_EQ(shown.exit_code, kExitUnreachable) << format;
    EXPECT_EQ(shown.out, "") << format;
    EXPECT_THAT(shown.err, HasSubstr("still reading the log"));
  }
}

TEST_F(CliPsTest, StatusOfAllOfATaskAndOfANode) {
  FakeManager manager(server_->url(), {});
  manager.Put(TaskOf("web-1", "web", "running"));
  v1::NodeView node;
  node.set_name("node-a");
  node.set_status("ready");
  manager.PutNode(node);
  const Shown all = Cube({"status"});
  EXPECT_EQ(all.exit_code, kExitDone) << all.err;
  EXPECT_THAT(all.out, HasSubstr("Cluster     c1c2c3c4d5"));
  EXPECT_THAT(all.out, HasSubstr("Tasks       2 running"));
  EXPECT_THAT(all.out, HasSubstr("web-1"));
  EXPECT_THAT(Cube({"status", "web"}).out, HasSubstr("Status      running on node-a"));
  EXPECT_THAT(Cube({"status", "node-a"}).out, HasSubstr("Node        node-a"));
  EXPECT_THAT(Cube({"node", "inspect", "node"}).out, HasSubstr("Node        node-a"));
  EXPECT_EQ(Json::parse(Cube({"status", "web-1", "-o", "json"}).out)["spec"]["image"],
            "nginx:1.25");
  EXPECT_EQ(Cube({"status", "nosuch"}).exit_code, kExitNotFound);
  EXPECT_EQ(Cube({"node", "inspect", "nosuch"}).exit_code, kExitNotFound);
  EXPECT_EQ(Json::parse(Cube({"node", "-o", "json"}).out)[0]["name"], "node-a");
}

TEST_F(CliPsTest, WhatWasRefusedIsNoState) {
  const Shown shown = Cube({"ps", "--filter", "state=refused"});
  EXPECT_EQ(shown.exit_code, kExitUsage);
  EXPECT_THAT(shown.err, HasSubstr("what was refused is no task: 'cube events' shows it"));
  EXPECT_THAT(shown.err, HasSubstr("stopped, lost"));
}

TEST_F(CliPsTest, WhatLivesWinsOverAJobOfItsNameThatHasEnded) {
  FakeManager manager(server_->url(), {});
  manager.PutJob(JobOf("web", "stopped"));
  v1::TaskView old = TaskOf("web-v1-0", "web", "stopped");
  old.set_job("web");
  manager.Put(old);
  EXPECT_THAT(Cube({"status", "web"}).out, StartsWith("Job ")) << "nothing of this name lives";
  manager.Put(TaskOf("web-aaaa1111", "web", "running"));
  EXPECT_THAT(Cube({"status", "web"}).out, StartsWith("Task        web-aaaa1111"));
  EXPECT_THAT(Cube({"why", "web"}).out, StartsWith("web-aaaa1111: running on node-a"));
}

TEST_F(CliPsTest, WhyOfAJobSaysWhereToLook) {
  FakeManager manager(server_->url(), {});
  manager.PutJob(JobOf("web", "running"));
  for (const char* id : {"web-v1-0", "web-v1-1"}) {
    v1::TaskView task = TaskOf(id, "web", "running");
    task.set_job("web");
    manager.Put(task);
  }
  const Shown shown = Cube({"why", "web"});
  EXPECT_EQ(shown.exit_code, kExitConflict);
  EXPECT_THAT(shown.err, HasSubstr("'web' is a job: 'cube job inspect web' shows it with its tasks "
                                   "and last events, and 'cube why web-v1-0' one of its tasks"));
  manager.PutJob(JobOf("idle", "running"));
  EXPECT_THAT(Cube({"why", "idle"}).err, HasSubstr("'idle' is a job: 'cube job inspect idle'"));
}

TEST_F(CliPsTest, VersionsOfAllThree) {
  FakeManager manager(server_->url(), {});
  const Json json = Json::parse(Cube({"version", "-o", "json"}).out);
  EXPECT_EQ(json["manager"], "9.9.9");
  EXPECT_TRUE(json["server"].is_string()) << json.dump();
}

TEST_F(CliPsTest, CompletionKnowsTheNames) {
  FakeManager manager(server_->url(), {});
  manager.Put(TaskOf("web-1", "web", "running"));
  EXPECT_EQ(Cube({"__complete", "stop", "w"}).out, "web-1\trunning\n");
}

// ---- what is missing ------------------------------------------------------------------------

TEST_F(CliErrorsTest, NoManagerIs69) {
  const Shown shown = Cube({"ps"});
  EXPECT_EQ(shown.exit_code, kExitUnreachable);
  EXPECT_THAT(shown.err, HasSubstr("no manager answers on cube.query.*"));
  EXPECT_THAT(shown.err, HasSubstr("cube manager"));
}

TEST_F(CliErrorsTest, NoStreamsIs69) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"run", "nginx"}, {"events"}}) {
    const Shown shown = Cube(words);
    EXPECT_EQ(shown.exit_code, kExitUnreachable) << words[0];
    EXPECT_THAT(shown.err, HasSubstr("no manager has run there yet")) << words[0];
  }
}

TEST_F(CliErrorsTest, AnotherRootIsAnotherCluster) {
  FakeManager manager(server_->url(), {});
  EXPECT_EQ(Cube({"ps"}).exit_code, kExitDone);
  EXPECT_EQ(Cube({"--root", "staging", "ps"}).exit_code, kExitUnreachable);
  EXPECT_EQ(Cube({"--root", "Not.Valid", "ps"}).exit_code, kExitUsage);
}

TEST_F(CliErrorsTest, AManagerThatHangsIs69AfterTheRequestTimeout) {
  FakeManager manager(server_->url(), {.answer = false});
  const Shown shown = Cube({"--request-timeout", "200ms", "ps"});
  EXPECT_EQ(shown.exit_code, kExitUnreachable);
  EXPECT_THAT(shown.err, HasSubstr("no answer within 200ms"));
}

class CliCredentialsTest : public CliTest {
 protected:
  CliCredentialsTest() {
    server_options_.extra_config = "authorization { user: me, password: secret }\n";
    server_options_.user_info = "me:secret";
  }
};

TEST_F(CliCredentialsTest, WrongOnesAre69AndSaySo) {
  const Shown shown = Cube({"--nats-user", "me", "--nats-password", "wrong", "ps"});
  EXPECT_EQ(shown.exit_code, kExitUnreachable);
  EXPECT_THAT(shown.err, HasSubstr("does not let us in"));
  EXPECT_THAT(shown.err, Not(HasSubstr("wrong")));
  EXPECT_THAT(Cube({"--nats-user", "me", "--nats-password", "secret", "ps"}).err,
              HasSubstr("no manager answers"));
}

}  // namespace
}  // namespace cube::cli
