// cube job: jobs with their tasks.
#include "services/cli/job.h"

#include <fmt/format.h>

#include <charconv>

#include "services/cli/commands.h"
#include "services/cli/details.h"
#include "services/cli/exit_code.h"
#include "services/cli/intents.h"
#include "services/cli/interrupt.h"
#include "services/cli/job_views.h"
#include "services/cli/job_watch.h"
#include "services/cli/render/format.h"
#include "services/cli/show.h"
#include "services/cli/views.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;

// kExitDone, or what the outcome of the one item means; says why.
int ReportOutcome(const Terminal& terminal, const std::string& name, const IntentResult& sent) {
  const auto item = sent.items.find(name);
  if (item != sent.items.end() && item->second.status == "refused") {
    terminal.Say(fmt::format("job {} was refused: {}", name, item->second.error.Text()));
    const Code code = item->second.error.code;
    return code == Code::kInvalid ? kExitFailed : ExitCodeOf(item->second.error);
  }
  if (!sent.manager_heard) {
    terminal.Say(
        fmt::format("job {}: it is in the log and will be decided on, but no manager "
                    "answers now",
                    name));
    return kExitUnreachable;
  }
  if (item != sent.items.end() && item->second.status == "unchanged") {
    terminal.err << "job " << name << " is as it was asked for already" << std::endl;
  }
  return kExitDone;
}

// Waits and says what became of it.
Result<int> WaitFor(Session& session, JobWatch& watch, Progress& progress, Goal goal,
                    const std::string& name, std::uint64_t min_intent) {
  const Terminal& terminal = session.terminal();
  CUBE_TRY(Client * client, session.client());
  CUBE_TRY(const auto timeout, session.args().Time("timeout"));
  const MonoTime deadline =
      timeout && *timeout > Duration{0} ? client->In(*timeout) : MonoTime::max();
  const auto reached = watch.Wait(deadline, min_intent);
  progress.Clear();
  if (Interrupted()) {
    terminal.Say(
        fmt::format("stopped watching; job {} goes on. 'cube status {}' follows", name, name));
    return kExitInterrupted;
  }
  CUBE_TRY_VOID(reached);
  if (!*reached) {
    terminal.Say(
        fmt::format("job {} is not {} after {}: {}. 'cube status {}' says why", name,
                    goal == Goal::kEnded ? "stopped" : "up", session.args().Text("timeout"),
                    watch.job() ? JobSentence(*watch.job()) : "nothing is known of it yet", name));
    return watch.job() ? kExitNotConverged : kExitUnreachable;
  }
  if (IsGood(goal, *watch.job())) return kExitDone;
  terminal.Say(fmt::format("job {}: {}", name, JobSentence(*watch.job())));
  return kExitFailed;
}

Result<int> List(Session& session) {
  CUBE_TRY(Client * client, session.client());
  CUBE_TRY(const auto jobs, client->Jobs(session.args().Has("all")));
  const Terminal& terminal = session.terminal();
  const Format format = FormatOf(session.args());
  if (format == Format::kName) {
    for (const auto& job : jobs) terminal.out << job.name() << "\n";
  } else if (format == Format::kJson || format == Format::kYaml) {
    Json all = Json::array();
    for (const auto& job : jobs) all.push_back(JobJson(job));
    ShowJson(session, all);
  } else {
    const ViewOptions options{
        .now = client->Wall(), .wide = format == Format::kWide, .cluster = {}};
    terminal.out << JobTable(jobs, options).Render(LayoutOf(session.args(), terminal));
  }
  return kExitDone;
}

Result<v1::JobView> NamedJob(Client& client, const std::string& name) {
  CUBE_TRY(auto job, FindJob(client, name));
  if (job) return *std::move(job);
  return Fail(Code::kNotFound,
              fmt::format("there is no job '{}'. 'cube job ls -a' lists them", name));
}

Result<int> Inspect(Session& session) {
  CUBE_TRY(Client * client, session.client());
  const Format format = FormatOf(session.args());
  const bool people = format == Format::kTable || format == Format::kWide;
  Json all = Json::array();
  for (const auto& name : session.args().operands) {
    CUBE_TRY(const auto job, NamedJob(*client, name));
    if (people) {
      CUBE_TRY_VOID(ShowJobDetails(session, *client, job));
    } else if (format == Format::kName) {
      session.terminal().out << job.name() << "\n";
    } else {
      all.push_back(JobDetailJson(job));
    }
  }
  if (format == Format::kJson || format == Format::kYaml) ShowJson(session, all);
  return kExitDone;
}

Result<int> Stop(Session& session) {
  CUBE_TRY(Client * client, session.client());
  CUBE_TRY(const auto grace, session.args().Time("time"));
  int exit_code = kExitDone;
  for (const auto& name : session.args().operands) {
    CUBE_TRY_VOID(NamedJob(*client, name));
    CUBE_TRY(const int code, StopJobAndWait(session, *client, name, grace));
    if (exit_code == kExitDone) exit_code = code;
  }
  return exit_code;
}

Result<int> Scale(Session& session) {
  const std::string& name = session.args().operands[0];
  const std::string& text = session.args().operands[1];
  std::uint32_t replicas = 0;
  const char* end = text.data() + text.size();
  const auto [stop, bad] = std::from_chars(text.data(), end, replicas);
  if (bad != std::errc() || stop != end || replicas > kReplicasMax) {
    return Fail(Code::kInvalid,
                fmt::format("'{}' is no number of tasks: it is 0 to {}", text, kReplicasMax));
  }
  CUBE_TRY(const TaskName job, TaskName::Parse(name, "name"));
  CUBE_TRY(Client * client, session.client());
  CUBE_TRY_VOID(NamedJob(*client, name));
  Progress progress(session.terminal());
  JobWatch watch(*client, progress, Goal::kScaled, name);
  CUBE_TRY(const IntentResult sent, SendScaleJob(*client, {job, replicas}));
  const int refused = ReportOutcome(session.terminal(), name, sent);
  if (refused == kExitUnreachable && session.args().Has("detach")) return kExitDone;
  if (refused != kExitDone) return refused;
  session.terminal().out << name << std::endl;
  if (session.args().Has("detach")) return kExitDone;
  return WaitFor(session, watch, progress, Goal::kScaled, name, sent.last_intent);
}

}  // namespace

Result<std::optional<v1::JobView>> FindJob(Client& client, const std::string& name) {
  if (!CheckToken(name, "name", kTaskNameLengthMax)) return std::nullopt;
  auto job = client.Job(name);
  if (job) return *std::move(job);
  if (job.error().code == Code::kNotFound) return std::nullopt;
  return std::unexpected(job.error());
}

Result<std::optional<v1::JobView>> JobMeant(Client& client, const std::string& word) {
  CUBE_TRY(auto job, FindJob(client, word));
  if (!job) return std::nullopt;
  const auto task = client.FindKnown(word);
  if (task && task->id() == word) return std::nullopt;
  // What lives wins over what has ended.
  if (JobHasEnded(*job) && task && !IsFinished(task->status())) return std::nullopt;
  return job;
}

Result<int> RunJob(Session& session, const JobSpec& spec) {
  const Args& args = session.args();
  const Terminal& terminal = session.terminal();
  if (args.Has("attach")) {
    return Fail(Code::kInvalid,
                "--attach needs exactly one task: leave --replicas and --type out, or follow the "
                "job with 'cube logs -f'");
  }
  CUBE_TRY(Client * client, session.client());
  const std::string& name = spec.name.str();
  Progress progress(terminal);
  JobWatch watch(*client, progress, Goal::kUp, name);
  CUBE_TRY(const IntentResult sent, SendSubmitJob(*client, spec));
  const int refused = ReportOutcome(terminal, name, sent);
  if (refused == kExitUnreachable && args.Has("detach")) return kExitDone;
  if (refused != kExitDone) return refused;
  terminal.out << name << std::endl;
  if (args.Has("detach")) return kExitDone;
  return WaitFor(session, watch, progress, Goal::kUp, name, sent.last_intent);
}

Result<int> StopJobAndWait(Session& session, Client& client, const std::string& name,
                           std::optional<Duration> grace) {
  const Terminal& terminal = session.terminal();
  Progress progress(terminal);
  JobWatch watch(client, progress, Goal::kEnded, name);
  CUBE_TRY(const IntentResult sent, SendStopJob(client, {TaskName::Trusted(name), grace}));
  const int refused = ReportOutcome(terminal, name, sent);
  if (refused == kExitUnreachable && session.args().Has("detach")) return kExitDone;
  if (refused != kExitDone) return refused;
  if (!session.args().Has("detach")) {
    CUBE_TRY(const int code,
             WaitFor(session, watch, progress, Goal::kEnded, name, sent.last_intent));
    // A job that had failed before has ended too, and that was asked for.
    if (code != kExitDone && code != kExitFailed) return code;
  }
  terminal.out << name << std::endl;
  return kExitDone;
}

CommandSpec JobCommand() {
  const std::vector<int> reading = {kExitDone, kExitNotFound, kExitUsage, kExitUnreachable};
  const std::vector<int> changing = {kExitDone,        kExitFailed,     kExitNotConverged,
                                     kExitNotFound,    kExitConflict,   kExitUsage,
                                     kExitUnreachable, kExitInterrupted};
  const FlagSpec detach{
      .name = "detach", .letter = 'd', .help = "return as soon as it is accepted"};
  const FlagSpec timeout{.name = "timeout",
                         .value = "TIME",
                         .help = "how long to wait; 0 = for ever",
                         .fallback = "5m"};
  std::vector<FlagSpec> list_flags = {{.name = "all", .letter = 'a', .help = "ended ones too"}};
  for (const auto& flag : ReadFlags()) list_flags.push_back(flag);
  return {
      .name = "job",
      .summary = "Show, scale and stop jobs.",
      .examples = {{"all jobs", "cube job"},
                   {"five tasks instead of three", "cube job scale web 5"}},
      .exit_codes = changing,
      .children =
          {{.name = "ls",
            .summary = "List jobs with how many of their tasks are up.",
            .flags = list_flags,
            .examples = {{"what has not ended", "cube job ls"},
                         {"all of them, for a program", "cube job ls -a -o json"}},
            .exit_codes = reading,
            .run = List},
           {.name = "inspect",
            .summary = "Show all about jobs: their specification, tasks and last events.",
            .operands = "JOB...",
            .flags = ReadFlags(),
            .examples = {{"one job", "cube job inspect web"},
                         {"its specification, to be changed and run again",
                          "cube job inspect -o json web"}},
            .exit_codes = reading,
            .operands_min = 1,
            .operands_max = kOperandsMany,
            .word = Word::kJob,
            .run = Inspect},
           {.name = "scale",
            .summary = "Change the number of a job's tasks, and wait until they are up.",
            .operands = "JOB REPLICAS",
            .flags = {detach, timeout},
            .examples = {{"five tasks", "cube job scale web 5"},
                         {"none for now, without waiting", "cube job scale -d web 0"}},
            .exit_codes = changing,
            .operands_min = 2,
            .operands_max = 2,
            .word = Word::kJob,
            .run = Scale},
           {.name = "stop",
            .summary = "Stop jobs with all their tasks, and wait until they have ended.",
            .operands = "JOB...",
            .flags = {{.name = "time",
                       .letter = 't',
                       .value = "SECONDS",
                       .help = "time between the stop signal and SIGKILL (default: the job's own)"},
                      detach,
                      timeout},
            .examples = {{"one job", "cube job stop web"},
                         {"two at once, without waiting", "cube job stop -d web load"}},
            .exit_codes = changing,
            .operands_min = 1,
            .operands_max = kOperandsMany,
            .word = Word::kJob,
            .run = Stop}},
      .default_child = "ls"};
}

}  // namespace cube::cli
