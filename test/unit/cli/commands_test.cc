#include "services/cli/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "services/cli/exit_code.h"
#include "services/cli/help.h"
#include "services/cli/settings.h"
#include "services/cli/spec_file.h"
#include "services/cli/spec_flags.h"
#include "services/cli/terminal.h"

namespace cube::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Nothing of this machine; no server answers there.
Environment Empty() {
  return {.variable = [](const std::string& name) -> std::optional<std::string> {
            if (name == "CUBE_SERVER") return "nats://127.0.0.1:1";
            if (name == "COLOR") return "red";
            return std::nullopt;
          },
          .read_file = [](const std::string& path) -> Result<std::string> {
            if (path == "vars") return "# comment\nA=1\n\n  B=2=3\r\nCOLOR\nMISSING\n";
            return Fail(Code::kNotFound, "cannot read " + path);
          }};
}

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

Outcome RunMain(const std::vector<std::string>& words) {
  std::ostringstream out;
  std::ostringstream err;
  const Terminal terminal{.out = out, .err = err};
  Outcome outcome;
  outcome.exit_code = Main(words, terminal, Empty());
  outcome.out = out.str();
  outcome.err = err.str();
  return outcome;
}

void EachCommand(const CommandSpec& command, std::vector<const CommandSpec*> path,
                 const std::function<void(const std::vector<const CommandSpec*>&)>& visit) {
  path.push_back(&command);
  if (command.hidden) return;
  visit(path);
  for (const auto& child : command.children) EachCommand(child, path, visit);
}

// CUBE_UPDATE_GOLDEN=1 writes the file; a person reads the diff.
TEST(Help, OfEveryCommandIsAsAgreed) {
  const CommandSpec root = RootCommand();
  std::string all;
  EachCommand(root, {}, [&](const auto& path) {
    all += "---- " + PathText(path) + " --help\n" + RenderHelp(path);
  });
  const std::string file = std::string(CUBE_GOLDEN_DIR) + "/help.txt";
  if (std::getenv("CUBE_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(file) << all;
    return;
  }
  std::ifstream golden(file);
  std::stringstream expected;
  expected << golden.rdbuf();
  EXPECT_EQ(all, expected.str());
}

TEST(Help, HasEverythingThatTheConventionsAskFor) {
  const CommandSpec root = RootCommand();
  EachCommand(root, {}, [](const auto& path) {
    const CommandSpec& command = *path.back();
    const std::string name = PathText(path);
    EXPECT_TRUE(command.summary.ends_with('.')) << name;
    EXPECT_EQ(command.examples.size(), 2u) << name;
    for (const auto& example : command.examples) {
      EXPECT_THAT(example.line, HasSubstr("cube")) << name;
    }
    EXPECT_TRUE(command.passes_through || !command.exit_codes.empty()) << name;
    std::set<char> letters;
    std::set<std::string> names;
    for (const FlagSpec* flag : FlagsOf(command)) {
      EXPECT_TRUE(names.insert(flag->name).second) << name << " --" << flag->name;
      EXPECT_TRUE(flag->letter == 0 || letters.insert(flag->letter).second) << name;
      EXPECT_FALSE(flag->help.empty()) << name << " --" << flag->name;
    }
    std::istringstream lines(RenderHelp(path));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  });
}

TEST(Help, IsFoundByWhoeverLooksForIt) {
  EXPECT_EQ(RunMain({"help"}).out, RunMain({"--help"}).out);
  const Outcome run = RunMain({"help", "run"});
  EXPECT_EQ(run.exit_code, kExitDone);
  EXPECT_EQ(run.out, RunMain({"run", "--help"}).out);
  for (const char* word : {"--version", "-v"}) {
    EXPECT_THAT(RunMain({word}).out, ::testing::MatchesRegex("cube [0-9.]+\n"));
  }
}

// The examples are real: they parse.
TEST(Help, ExamplesAreAccepted) {
  const CommandSpec root = RootCommand();
  EachCommand(root, {}, [&](const auto& path) {
    for (const auto& example : path.back()->examples) {
      if (!example.line.starts_with("cube ")) continue;
      std::string line = example.line.substr(5);
      line = line.substr(0, line.find(" >"));
      const auto words = SplitWords(line);
      ASSERT_TRUE(words) << example.line;
      const auto parsed = Parse(root, *words);
      EXPECT_TRUE(parsed) << example.line << ": " << (parsed ? "" : parsed.error().Text());
    }
  });
}

TEST(Main, UsageErrorsAre64AndSayWhatToDo) {
  EXPECT_EQ(RunMain({}).exit_code, kExitUsage);
  const Outcome typo = RunMain({"sttus"});
  EXPECT_EQ(typo.exit_code, kExitUsage);
  EXPECT_THAT(typo.err, HasSubstr("Did you mean 'cube status'?"));
  EXPECT_EQ(typo.out, "");
  EXPECT_EQ(RunMain({"run"}).exit_code, kExitUsage);
  EXPECT_EQ(RunMain({"stop"}).exit_code, kExitUsage);
  EXPECT_EQ(RunMain({"ps", "--filter", "state=runing"}).exit_code, kExitUsage);
}

TEST(Main, AnUnreachableServerIs69AndSaysWhereAndWhy) {
  const Outcome outcome = RunMain({"ps"});
  EXPECT_EQ(outcome.exit_code, kExitUnreachable);
  EXPECT_THAT(outcome.err, HasSubstr("cube: cannot reach NATS at nats://127.0.0.1:1"));
  EXPECT_THAT(outcome.err, HasSubstr("connection refused"));
  EXPECT_THAT(outcome.err, HasSubstr("Try 'cube dev' or set --server."));
  EXPECT_EQ(outcome.out, "");
}

TEST(Main, VersionWorksWithoutACluster) {
  const Outcome outcome = RunMain({"version", "-o", "json"});
  EXPECT_EQ(outcome.exit_code, kExitDone);
  EXPECT_THAT(outcome.out, HasSubstr("\"server\": null"));
}

TEST(Completion, TheScriptForBashIsValid) {
  const Outcome script = RunMain({"completion", "bash"});
  EXPECT_EQ(script.exit_code, kExitDone);
  const std::string file = testing::TempDir() + "/cube-completion.bash";
  std::ofstream(file) << script.out;
  EXPECT_EQ(std::system(("bash -n " + file).c_str()), 0);
  EXPECT_EQ(RunMain({"completion", "tcsh"}).exit_code, kExitUsage);
  EXPECT_THAT(RunMain({"completion", "zsh"}).out, HasSubstr("cube __complete"));
  EXPECT_THAT(RunMain({"completion", "fish"}).out, HasSubstr("cube __complete"));
}

// The script in a real bash, with a `cube` that answers as ours does.
TEST(Completion, BashAsksAndOffersTheAnswers) {
  const std::string folder = testing::TempDir();
  std::ofstream(folder + "/cube-completion.bash") << RunMain({"completion", "bash"}).out;
  std::ofstream(folder + "/try.bash")
      << "cube() { printf 'status\\tShow it.\\nstop\\tStop it.\\n'; }\n"
      << "source " << folder << "/cube-completion.bash\n"
      << "COMP_WORDS=(cube st); COMP_CWORD=1; _cube; echo \"${COMPREPLY[*]}\" > " << folder
      << "/try.out\n";
  ASSERT_EQ(std::system(("bash " + folder + "/try.bash").c_str()), 0);
  std::ifstream result(folder + "/try.out");
  std::string line;
  std::getline(result, line);
  EXPECT_EQ(line, "status stop");
}

TEST(Completion, WithoutAClusterThereAreNoNamesButNoError) {
  const Outcome outcome = RunMain({"__complete", "stop", ""});
  EXPECT_EQ(outcome.exit_code, kExitDone);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(RunMain({"__complete", "sta"}).out, HasSubstr("status\t"));
}

// ---- cube run's flags ---------------------------------------------------------------------------

Result<SubmitTask> Flags(std::vector<std::string> words) {
  const CommandSpec root = RootCommand();
  words.insert(words.begin(), "run");
  CUBE_TRY(const auto invocation, Parse(root, words));
  return SpecFromFlags(invocation.args, Empty());
}

TEST(SpecFlags, Health) {
  const auto http =
      Flags({"-p", "80", "--health-http", "/health", "--health-port", "8080", "--health-interval",
             "5s", "--health-timeout", "1", "--health-retries", "4", "--health-start-period", "1m",
             "--health-successes", "2", "--health-on-failure", "none", "nginx"});
  ASSERT_TRUE(http) << http.error().Text();
  HealthCheck wanted;
  wanted.kind = HealthCheck::Kind::kHttp;
  wanted.http_path = "/health";
  wanted.port = 8080;
  wanted.interval = std::chrono::seconds(5);
  wanted.timeout = std::chrono::seconds(1);
  wanted.retries = 4;
  wanted.start_period = std::chrono::minutes(1);
  wanted.successes = 2;
  wanted.on_failure = HealthCheck::OnFailure::kNone;
  EXPECT_EQ(http->spec->health, wanted);
  const auto tcp = Flags({"-p", "80", "--health-tcp", "nginx"});
  ASSERT_TRUE(tcp) << tcp.error().Text();
  EXPECT_EQ(tcp->spec->health->kind, HealthCheck::Kind::kTcp);
  const auto command = Flags({"--health-cmd", "curl -f localhost || exit 1", "nginx"});
  ASSERT_TRUE(command) << command.error().Text();
  EXPECT_EQ(command->spec->health->command,
            (std::vector<std::string>{"/bin/sh", "-c", "curl -f localhost || exit 1"}));
  EXPECT_FALSE(Flags({"--no-healthcheck", "nginx"})->spec->health);
}

TEST(SpecFlags, HealthErrorsNameTheFlag) {
  const auto error = [](std::vector<std::string> words) {
    words.emplace_back("nginx");
    const auto task = Flags(std::move(words));
    return task ? "" : task.error().Text();
  };
  EXPECT_THAT(error({"--health-interval", "5s"}), HasSubstr("--health-interval needs a check"));
  EXPECT_THAT(error({"--health-tcp", "--health-http", "/"}), HasSubstr("a task has one check"));
  EXPECT_THAT(error({"--health-tcp", "--no-healthcheck"}), HasSubstr("exclude each other"));
  EXPECT_THAT(error({"--health-http", "/"}), StartsWith("--health-port: is required"));
  EXPECT_THAT(error({"--health-http", "x", "-p", "80"}),
              StartsWith("--health-http: must be a path"));
  EXPECT_THAT(error({"--health-tcp", "-p", "80", "--health-interval", "1ns"}),
              StartsWith("--health-interval: "));
  EXPECT_THAT(error({"--reschedule", "maybe"}), HasSubstr("--reschedule: 'maybe' is no"));
  EXPECT_EQ(Flags({"--reschedule", "on-failure:2", "nginx"})->spec->reschedule.moves_max, 2U);
}

TEST(SpecFlags, AsDockersMean) {
  const auto task = Flags({"--name",
                           "web",
                           "-p",
                           "8080:80",
                           "-p",
                           "53/udp",
                           "-e",
                           "A=b=c",
                           "-e",
                           "COLOR",
                           "-e",
                           "MISSING",
                           "-l",
                           "tier=front",
                           "-m",
                           "256m",
                           "--cpus",
                           "0.5",
                           "-u",
                           "1000",
                           "-w",
                           "/srv",
                           "--restart",
                           "always",
                           "--constraint",
                           "disk=ssd",
                           "--affinity",
                           "zone in a,b:-5",
                           "--distinct",
                           "2",
                           "--scheduler",
                           "roundrobin",
                           "--priority",
                           "7",
                           "--stop-timeout",
                           "3",
                           "nginx:1.25",
                           "-g",
                           "daemon off;"});
  ASSERT_TRUE(task) << task.error().Text();
  const TaskSpec& spec = *task->spec;
  EXPECT_EQ(spec.name.str(), "web");
  EXPECT_EQ(spec.image, "nginx:1.25");
  EXPECT_THAT(spec.command, ElementsAre("-g", "daemon off;"));
  EXPECT_EQ(spec.ports.at(0), (PortSpec{80, 8080, Protocol::kTcp, ""}));
  EXPECT_EQ(spec.ports.at(1), (PortSpec{53, 0, Protocol::kUdp, ""}));
  EXPECT_EQ(spec.env, (std::map<std::string, std::string>{{"A", "b=c"}, {"COLOR", "red"}}));
  EXPECT_EQ(spec.labels.at("tier"), "front");
  EXPECT_EQ(spec.resources.memory_bytes, 256 << 20);
  EXPECT_EQ(spec.resources.cpu_millis, 500);
  EXPECT_EQ(spec.user, "1000");
  EXPECT_EQ(spec.workdir, "/srv");
  EXPECT_EQ(spec.restart.mode, RestartMode::kAlways);
  EXPECT_EQ(spec.constraints.size(), 1u);
  EXPECT_EQ(spec.affinities.at(0).weight, -5);
  EXPECT_EQ(spec.distinct, 2u);
  EXPECT_EQ(spec.scheduler, "round-robin");
  EXPECT_EQ(spec.priority, 7);
  EXPECT_EQ(spec.stop_grace, std::chrono::seconds(3));
}

TEST(SpecFlags, EnvFilesAndFlagsOverThem) {
  const auto task = Flags({"--env-file", "vars", "-e", "A=9", "nginx"});
  ASSERT_TRUE(task) << task.error().Text();
  EXPECT_EQ(task->spec->env,
            (std::map<std::string, std::string>{{"A", "9"}, {"B", "2=3"}, {"COLOR", "red"}}));
  EXPECT_FALSE(Flags({"--env-file", "nosuch", "nginx"}));
}

TEST(SpecFlags, TheProcessEngineHasNoImage) {
  const auto task = Flags({"--engine", "process", "/bin/sleep", "60"});
  ASSERT_TRUE(task) << task.error().Text();
  EXPECT_EQ(task->spec->image, "");
  EXPECT_EQ(task->spec->name.str(), "sleep");
  EXPECT_THAT(task->spec->command, ElementsAre("/bin/sleep", "60"));
}

TEST(SpecFlags, WhoAttachesDecidesAboutRestarts) {
  EXPECT_EQ(Flags({"nginx"})->spec->restart.mode, RestartMode::kOnFailure);
  EXPECT_EQ(Flags({"--attach", "nginx"})->spec->restart.mode, RestartMode::kNo);
  EXPECT_EQ(Flags({"--attach", "--restart", "always", "nginx"})->spec->restart.mode,
            RestartMode::kAlways);
}

TEST(SpecFlags, NamesFromImages) {
  EXPECT_EQ(NameFor("nginx"), "nginx");
  EXPECT_EQ(NameFor("docker.io/library/nginx:1.25"), "nginx");
  EXPECT_EQ(NameFor("host:5000/Team/My_App@sha256:0123"), "my-app");
  EXPECT_EQ(NameFor("___"), "task");
  EXPECT_EQ(NameFor(std::string(80, 'x')).size(), kTaskNameLengthMax);
}

TEST(SpecFlags, BadOnesNameTheFlag) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"-p", "99999", "x"}, "publish"},
      {{"-m", "lots", "x"}, "--memory"},
      {{"--cpus", "-1", "x"}, "--cpus"},
      {{"--restart", "often", "x"}, "--restart"},
      {{"--name", "A B", "x"}, "--name"},
      {{"-e", "=x", "x"}, "--env"},
      {{"--priority", "high", "x"}, "--priority"},
      {{"--id", "X", "x"}, "--id"},
      {{"--affinity", "gpu", "x"}, "--affinity"},
      {{"--scheduler", "x", "x"}, "--scheduler"},
      {{"--distinct", "-1", "x"}, "--distinct"},
      {{"--constraint", "", "x"}, "--constraint"},
      {{"--entrypoint", "'x", "x"}, "--entrypoint"}};
  for (const auto& [words, flag] : cases) {
    const auto task = Flags(words);
    ASSERT_FALSE(task) << flag;
    EXPECT_EQ(ExitCodeOf(task.error()), kExitUsage);
    EXPECT_THAT(task.error().Text(), HasSubstr(flag));
  }
}

TEST(SpecFlags, WhatTheSpecificationRefusesNamesTheFlagToo) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"-v", "data:/a", "-v", "data:rel", "x"}, "--volume 'data:rel': "},
      {{"-p", "8080:80", "-p", "8080:81", "x"}, "--publish '8080:81': 8080 is used twice"},
      {{"-m", "1m", "x"}, "--memory: must be at least 6Mi"},
      {{"--stop-timeout", "100h", "x"}, "--stop-timeout: "},
      {{"-w", "rel", "x"}, "--workdir: must be an absolute path"},
      {{"-l", "cube.x=1", "x"}, "--label: "},
      {{"a b"}, "IMAGE: "}};
  for (const auto& [words, start] : cases) {
    const auto task = Flags(words);
    ASSERT_FALSE(task) << start;
    EXPECT_THAT(task.error().Text(), StartsWith(start));
  }
}

TEST(SpecFlags, WordsAsAShellSplitsThem) {
  EXPECT_THAT(SplitWords(R"(a "b c" d\ e 'f"g' "")").value(),
              ElementsAre("a", "b c", "d e", "f\"g", ""));
  EXPECT_THAT(SplitWords("").value(), ElementsAre());
  EXPECT_FALSE(SplitWords("a 'b"));
}

// ---- files ------------------------------------------------------------------------------------

TEST(SpecFile, OneTaskOrAList) {
  const auto one = ParseSpecText("a.yaml", "name: web\nimage: nginx\nmemory: 64Mi\n");
  ASSERT_TRUE(one) << one.error().Text();
  EXPECT_EQ(one->tasks.at(0).spec->resources.memory_bytes, 64 << 20);
  const auto two =
      ParseSpecText("a.json", R"([{"name":"a","image":"x"},{"id":"b-1","name":"b","image":"y"}])");
  ASSERT_TRUE(two) << two.error().Text();
  EXPECT_EQ(two->tasks.size(), 2u);
  EXPECT_EQ(two->tasks.at(1).id.str(), "b-1");
}

TEST(SpecFile, AListAsInAMessage) {
  const auto file = ParseSpecText("a.yaml", "tasks:\n- {name: a, image: x}\n- {name: b, image: y}");
  ASSERT_TRUE(file) << file.error().Text();
  ASSERT_EQ(file->tasks.size(), 2u);
  EXPECT_EQ(file->tasks[1].spec->name.str(), "b");
  EXPECT_FALSE(ParseSpecText("a.yaml", "tasks: []"));
  EXPECT_FALSE(ParseSpecText("a.yaml", "{tasks: [], name: a}"));
}

TEST(SpecFile, AJob) {
  const auto job =
      ParseSpecText("a.yaml", "name: web\ntype: service\nreplicas: 3\ntask:\n  image: nginx\n");
  ASSERT_TRUE(job) << job.error().Text();
  ASSERT_TRUE(job->job);
  EXPECT_EQ(job->job->replicas, 3u);
  EXPECT_EQ(job->job->task->name.str(), "web");
  const auto bad = ParseSpecText("a.yaml", "name: web\nreplicas: 3\ntask:\n  imge: nginx\n");
  EXPECT_THAT(bad.error().Text(), HasSubstr("task.imge"));
}

TEST(SpecFile, ErrorsNameFileTaskAndField) {
  const auto bad = ParseSpecText("a.json", R"([{"name":"a","image":"x"},{"name":"b","imge":"y"}])");
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().Text(), StartsWith("a.json: task 2: imge: is no field"));
  EXPECT_THAT(bad.error().Text(), HasSubstr("imge"));
  EXPECT_FALSE(ParseSpecText("a.json", "{"));
  EXPECT_FALSE(ParseSpecText("a.yaml", "a: [1"));
  EXPECT_FALSE(ParseSpecText("a.json", "[]"));
  EXPECT_THAT(ReadSpecFile("/nonexistent/x.yaml").error().Text(),
              HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace cube::cli
