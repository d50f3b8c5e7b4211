// The worker's files and flags.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include <filesystem>
#include <fstream>

#include "services/worker/flags.h"
#include "services/worker/node_folder.h"
#include "services/worker/output_files.h"
#include "shared/base/version.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/files.h"
#include "test/support/temp_dir.h"

namespace cube::worker {
namespace {

LaunchKey Key(const std::string& task, std::uint32_t attempt, std::uint32_t launch) {
  return {TaskId::Trusted(task), attempt, launch};
}

class OutputTest : public ::testing::Test {
 protected:
  void Save(const LaunchKey& key, const std::string& text, Duration age = Duration(0)) {
    const std::string path = files_.PathOf(key);
    std::ofstream(path) << text;
    const auto seconds =
        (ToNanos(now_) - age.count()) / std::chrono::nanoseconds(std::chrono::seconds(1)).count();
    const utimbuf times{seconds, seconds};
    ASSERT_EQ(::utime(path.c_str(), &times), 0);
  }

  test::TempDir dir_;
  OutputFiles files_{dir_.path()};
  WallTime now_ = SystemClock().now().wall;
};

TEST_F(OutputTest, ListsLaunchesOfAnAttemptInOrder) {
  Save(Key("web-1", 1, 0), "x");
  Save(Key("web-1", 2, 10), "x");
  Save(Key("web-1", 2, 9), "x");
  Save(Key("web", 3, 0), "x");
  std::ofstream(dir_.path() + "/web-1.2.frames.new-77") << "left by a crash";
  std::ofstream(dir_.path() + "/web-1.x.1.frames") << "not ours";
  EXPECT_EQ(files_.List(TaskId::Trusted("web-1"), 0),
            (std::vector<LaunchKey>{Key("web-1", 2, 9), Key("web-1", 2, 10)}));
  EXPECT_EQ(files_.List(TaskId::Trusted("web-1"), 1), (std::vector<LaunchKey>{Key("web-1", 1, 0)}));
  EXPECT_TRUE(files_.List(TaskId::Trusted("other"), 0).empty());
}

TEST_F(OutputTest, ReadsWhatWasSaved) {
  Save(Key("a", 1, 0), "2026-01-31T12:00:00.123456789Z stderr F hello\n");
  Result<SavedOutput> saved = files_.Read(Key("a", 1, 0));
  ASSERT_TRUE(saved);
  const auto piece = saved->Next(100);
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->bytes, "hello\n");
  EXPECT_TRUE(piece->is_stderr);
  EXPECT_EQ(files_.Read(Key("a", 1, 1)).error().code, Code::kNotFound);
}

TEST_F(OutputTest, ReadsWhatOlderWorkersHaveSaved) {
  std::ofstream(dir_.path() + "/a.1.0.log") << "2026-01-31T12:00:00.123456789Z stderr F hello\n";
  EXPECT_EQ(files_.List(TaskId::Trusted("a"), 0), (std::vector<LaunchKey>{Key("a", 1, 0)}));
  Result<SavedOutput> saved = files_.Read(Key("a", 1, 0));
  ASSERT_TRUE(saved);
  const auto piece = saved->Next(100);
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->bytes, "2026-01-31T12:00:00.123456789Z stderr F hello\n") << "as it was printed";
}

TEST_F(OutputTest, PrunesByAgeThenBySize) {
  Save(Key("old", 1, 0), "12345", kOutputAgeMax + std::chrono::minutes(1));
  Save(Key("older", 1, 0), "1234567890", std::chrono::hours(3));
  Save(Key("newer", 1, 0), "1234567890", std::chrono::hours(2));
  Save(Key("newest", 1, 0), "1234567890", std::chrono::hours(1));
  EXPECT_EQ(files_.Prune(now_), 1u);
  EXPECT_FALSE(files_.Read(Key("old", 1, 0)));
  EXPECT_EQ(files_.Prune(now_, 20), 1u);
  EXPECT_FALSE(files_.Read(Key("older", 1, 0)));
  EXPECT_TRUE(files_.Read(Key("newer", 1, 0)));
  EXPECT_EQ(files_.Prune(now_, 20), 0u);
}

TEST(NodeFolderTest, RemembersTheName) {
  test::TempDir dir;
  {
    const auto folder = OpenNodeFolder(dir.path(), "edge-1");
    ASSERT_TRUE(folder) << folder.error().Text();
    EXPECT_EQ(folder->how, "flag");
    EXPECT_EQ(folder->dir, dir.path() + "/worker/edge-1");
    EXPECT_TRUE(runtime::Exists(folder->dir + "/output"));
  }
  const auto again = OpenNodeFolder(dir.path(), "");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->name.str(), "edge-1");
  EXPECT_EQ(again->how, "identity");
}

TEST(NodeFolderTest, TakesTheHostsNameElse) {
  test::TempDir dir;
  const auto folder = OpenNodeFolder(dir.path(), "");
  ASSERT_TRUE(folder);
  EXPECT_EQ(folder->how, "host name");
}

TEST(NodeFolderTest, IsForOneWorker) {
  test::TempDir dir;
  const auto folder = OpenNodeFolder(dir.path(), "edge-1");
  ASSERT_TRUE(folder);
  const auto second = OpenNodeFolder(dir.path(), "edge-1");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
}

TEST(NodeFolderTest, ACopiedFolderIsNotASecondNode) {
  test::TempDir dir;
  ASSERT_TRUE(OpenNodeFolder(dir.path(), "edge-1"));
  std::filesystem::copy(dir.path() + "/worker/edge-1", dir.path() + "/worker/edge-2",
                        std::filesystem::copy_options::recursive);
  const auto copy = OpenNodeFolder(dir.path(), "edge-2");
  ASSERT_FALSE(copy);
  EXPECT_EQ(copy.error().code, Code::kPrecondition);
}

TEST(NodeFolderTest, AnIdentityThatIsDamagedIsRefused) {
  test::TempDir dir;
  ASSERT_TRUE(OpenNodeFolder(dir.path(), "edge-1"));
  for (const char* text : {R"({"name":7})", R"({"name":["edge-1"]})", "[]", "{", ""}) {
    std::ofstream(dir.path() + "/worker/edge-1/identity") << text;
    const auto folder = OpenNodeFolder(dir.path(), "edge-1");
    ASSERT_FALSE(folder) << text;
    EXPECT_EQ(folder.error().code, Code::kPrecondition);
  }
}

TEST(NodeFolderTest, RefusesNamesThatAreNone) {
  test::TempDir dir;
  for (const char* name : {"Edge", "a.b", "-a", "../x"}) {
    const auto folder = OpenNodeFolder(dir.path(), name);
    ASSERT_FALSE(folder) << name;
    EXPECT_EQ(folder.error().code, Code::kInvalid);
  }
}

Flags Parse(std::vector<std::string> args) {
  Flags flags;
  CLI::App app;
  AddFlags(app, flags);
  std::reverse(args.begin(), args.end());
  app.parse(args);
  return flags;
}

TEST(FlagsTest, CapacityOfTheFlagsElseOfTheMachine) {
  const auto machine = DescriptionOf(Parse({}), "/tmp");
  ASSERT_TRUE(machine) << machine.error().Text();
  EXPECT_GT(machine->capacity.cpu_millis, 0);
  EXPECT_GT(machine->capacity.memory_bytes, 0);
  EXPECT_GT(machine->capacity.disk_bytes, 0);
  EXPECT_EQ(machine->tasks_max, kTasksMaxDefault);
  EXPECT_EQ(machine->version, kVersion);
  const auto flags = DescriptionOf(
      Parse({"--cpus", "1.5", "--memory", "512Mi", "--disk", "10Gi", "--max-tasks", "7", "--label",
             "zone=a", "--label", "disk=ssd", "--address", "10.0.0.7"}),
      "/tmp");
  ASSERT_TRUE(flags);
  EXPECT_EQ(flags->capacity, (Resources{1500, 512ll << 20, 10ll << 30}));
  EXPECT_EQ(flags->tasks_max, 7u);
  EXPECT_EQ(flags->labels, (std::map<std::string, std::string>{{"disk", "ssd"}, {"zone", "a"}}));
  EXPECT_EQ(flags->address, "10.0.0.7");
}

TEST(FlagsTest, FaultsNameTheFlag) {
  EXPECT_EQ(DescriptionOf(Parse({"--cpus", "many"}), "/tmp").error().field, "--cpus");
  EXPECT_EQ(DescriptionOf(Parse({"--memory", "1 horse"}), "/tmp").error().field, "--memory");
  EXPECT_EQ(DescriptionOf(Parse({"--disk", "-5"}), "/tmp").error().field, "--disk");
  EXPECT_EQ(DescriptionOf(Parse({"--label", "nothing"}), "/tmp").error().field, "--label");
  EXPECT_THROW(Parse({"--engine", "podman"}), CLI::ParseError);
}

TEST(FlagsTest, EnginesAreDockerUnlessNamed) {
  EXPECT_EQ(Parse({}).engines, (std::vector<std::string>{"docker"}));
  EXPECT_EQ(Parse({"--engine", "process", "--engine", "docker"}).engines,
            (std::vector<std::string>{"process", "docker"}));
  EXPECT_EQ(Parse({"--engine", "process,sim"}).engines,
            (std::vector<std::string>{"process", "sim"}));
}

}  // namespace
}  // namespace cube::worker
