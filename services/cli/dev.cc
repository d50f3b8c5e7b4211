// cube dev: nats-server, a manager and a worker on this machine until Ctrl-C.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>

#include "services/cli/commands.h"
#include "services/cli/exit_code.h"
#include "services/cli/intents.h"
#include "services/cli/interrupt.h"
#include "services/cli/programs.h"
#include "services/cli/session.h"
#include "services/cli/watch.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/fd.h"
#include "shared/runtime/files.h"
#include "shared/runtime/lock_file.h"

namespace cube::cli {
namespace {

constexpr std::uint16_t kPortDefault = 4222;
// Server, manager and worker together are up in about a second; a slow disk may take longer.
constexpr Duration kReadyMax = std::chrono::seconds(30);
constexpr int kPollMs = 200;
// On Ctrl-C the tasks are stopped; the default grace of a task is 10 s.
constexpr Duration kStopTasksMax = std::chrono::seconds(15);
constexpr std::size_t kTailLines = 8;

// A port of this machine that nobody listens on: `wanted`, or any if that is 0. 0 = it is taken.
std::uint16_t FreePort(std::uint16_t wanted) {
  const runtime::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(wanted);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int yes = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd.get(), generic, sizeof(address)) != 0) return 0;
  socklen_t size = sizeof(address);
  if (getsockname(fd.get(), generic, &size) != 0) return 0;
  return ntohs(address.sin_port);
}

// Is there a Docker engine? DOCKER_HOST says where, else the usual socket.
bool DockerAnswers(const Environment& environment) {
  const std::string host = environment.Get("DOCKER_HOST").value_or("unix:///var/run/docker.sock");
  if (!host.starts_with("unix://")) return true;  // the worker will tell
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = host.substr(7);
  if (path.size() >= sizeof(address.sun_path)) return false;
  path.copy(address.sun_path, path.size());
  const runtime::Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

// The end of a child's output, for whoever has to find out why it ended.
std::string TailOf(const std::string& path) {
  std::ifstream file(path);
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back("  " + line);
    if (lines.size() > kTailLines) lines.pop_front();
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

struct DevOptions {
  std::string folder;
  std::uint16_t port = 0;
  bool keep_tasks = false;
  bool docker = false;
  std::string nats_server;
  std::string manager;
  std::string worker;
  [[nodiscard]] std::string Url() const { return fmt::format("nats://127.0.0.1:{}", port); }
};

Result<DevOptions> OptionsOf(Session& session) {
  const Args& args = session.args();
  DevOptions options;
  if (const auto folder = args.Get("state-dir")) {
    options.folder = *folder;
  } else {
    CUBE_TRY(const std::string state, runtime::DefaultStateDir());
    options.folder = state + "/dev";
  }
  CUBE_TRY_VOID(runtime::MakeDirectories(options.folder + "/log"));
  CUBE_TRY(const auto port, args.Integer("port", 1, 65'535));
  if (port) {
    options.port = FreePort(static_cast<std::uint16_t>(*port));
    if (options.port == 0) {
      return Fail(Code::kConflict,
                  fmt::format("port {} of this machine is taken; leave --port out", *port));
    }
  } else {
    options.port = FreePort(kPortDefault);
    if (options.port == 0) options.port = FreePort(0);
  }
  options.keep_tasks = args.Has("keep-tasks");
  options.docker = DockerAnswers(session.environment());
  CUBE_TRY(options.nats_server, FindProgram("nats-server"));
  CUBE_TRY(options.manager, FindProgram("cube-manager"));
  CUBE_TRY(options.worker, FindProgram("cube-worker"));
  return options;
}

// The processes of a cluster on this machine. Destroyed in the opposite order of their start.
class DevCluster {
 public:
  explicit DevCluster(DevOptions options) : options_(std::move(options)) {}
  ~DevCluster() {
    while (!children_.empty()) children_.pop_back();
  }
  DevCluster(const DevCluster&) = delete;
  DevCluster& operator=(const DevCluster&) = delete;

  Result<void> Start() {
    const std::string& folder = options_.folder;
    CUBE_TRY_VOID(Add(
        "nats-server", options_.nats_server,
        {"-js", "-sd", folder + "/nats", "-a", "127.0.0.1", "-p", std::to_string(options_.port)}));
    CUBE_TRY_VOID(Add("manager", options_.manager,
                      {"--server", options_.Url(), "--state-dir", folder, "--name", "dev"}));
    std::vector<std::string> worker = {"--server", options_.Url(), "--state-dir", folder,
                                       "--name",   "dev",          "--address",   "127.0.0.1"};
    if (options_.docker) worker.insert(worker.end(), {"--engine", "docker"});
    worker.insert(worker.end(), {"--engine", "process"});
    return Add("worker", options_.worker, worker);
  }

  // kPrecondition: one has ended, with the end of its output.
  Result<void> Check() {
    for (auto& child : children_) {
      if (const auto end = child.Ended()) {
        return Fail(Code::kInternal,
                    fmt::format("the {} has ended ({}). The end of {}:\n{}", child.name(), *end,
                                child.output_file(), TailOf(child.output_file())));
      }
    }
    return {};
  }

 private:
  Result<void> Add(const std::string& name, const std::string& path,
                   const std::vector<std::string>& args) {
    CUBE_TRY(auto child,
             Child::Start(name, path, args, fmt::format("{}/log/{}.log", options_.folder, name)));
    children_.push_back(std::move(child));
    return {};
  }

  const DevOptions options_;
  std::deque<Child> children_;
};

Settings SettingsFor(const DevOptions& options) {
  Settings settings;
  settings.nats.urls = {options.Url()};
  settings.server_origin = "--server";
  settings.nats.request_timeout = std::chrono::seconds(2);
  return settings;
}

// Waits until a node can take tasks.
Result<std::unique_ptr<Client>> AwaitReady(DevCluster& cluster, const DevOptions& options,
                                           Progress& progress) {
  const MonoTime deadline = SystemClock().now().mono + kReadyMax;
  std::unique_ptr<Client> client;
  while (true) {
    CUBE_TRY_VOID(cluster.Check());
    if (Interrupted()) return Fail(Code::kAborted, "interrupted");
    if (SystemClock().now().mono >= deadline) {
      return Fail(Code::kTimedOut, fmt::format("the cluster is not ready after {}; see {}/log",
                                               FormatDuration(kReadyMax), options.folder));
    }
    progress.Waiting("starting");
    if (client == nullptr) {
      auto connected = Client::Connect(SettingsFor(options));
      if (connected) client = std::move(*connected);
    } else if (const auto nodes = client->Nodes()) {
      for (const auto& node : *nodes) {
        if (node.status() == "ready") return client;
      }
    }
    poll(nullptr, 0, kPollMs);
  }
}

// Nobody expects containers to outlive the cluster that they were tried on.
void StopAllTasks(Client& client, const Terminal& terminal) {
  const auto live = client.Tasks({});
  if (!live || live->empty()) return;
  terminal.Say(fmt::format("stopping {} task{}; Ctrl-C again leaves them", live->size(),
                           live->size() == 1 ? "" : "s"));
  std::vector<StopTask> stops;
  std::vector<std::string> ids;
  for (const auto& task : *live) {
    stops.push_back({TaskId::Trusted(task.id()), std::nullopt});
    ids.push_back(task.id());
  }
  Progress progress(terminal);
  TaskWatch watch(client, progress, Goal::kEnded, ids);
  const auto sent = StopTasks(client, stops);
  if (!sent) {
    terminal.Say(sent.error().Text());
    return;
  }
  const auto ended = watch.Wait(client.In(kStopTasksMax), sent->last_intent);
  progress.Clear();
  if (!ended || !*ended) terminal.Say("some tasks have not ended; they go on when it starts again");
}

void Welcome(const Terminal& terminal, const DevOptions& options) {
  const bool usual = options.port == kPortDefault;
  terminal.out << fmt::format(
      "Cube runs on this machine until Ctrl-C: nats-server, a manager and a worker.\n"
      "  server   {}\n  state    {}\n  logs     {}/log\n  engine   {}\n\nIn another terminal:\n",
      options.Url(), options.folder, options.folder,
      options.docker ? "docker, process" : "process (no Docker engine answers)");
  if (!usual) terminal.out << fmt::format("  export CUBE_SERVER={}\n", options.Url());
  terminal.out << (options.docker ? "  cube run --name web -p 8080:80 nginx:1.25\n"
                                  : "  cube run --engine process sleep 600\n")
               << "  cube status\n"
               << (usual ? "  nats sub 'cube.events.>'\n"
                         : fmt::format("  nats sub -s {} 'cube.events.>'\n", options.Url()))
               << std::flush;
}

Result<int> Dev(Session& session) {
  const Terminal& terminal = session.terminal();
  CUBE_TRY(const DevOptions options, OptionsOf(session));
  const auto lock = runtime::LockFile::Acquire(options.folder + "/lock");
  if (!lock) {
    return Annotate(Error(lock.error()), "another 'cube dev' uses " + options.folder);
  }
  DevCluster cluster(options);
  CUBE_TRY_VOID(cluster.Start());
  Progress progress(terminal);
  auto client = AwaitReady(cluster, options, progress);
  progress.Clear();
  if (!client) {
    if (Interrupted()) return kExitDone;
    return std::unexpected(client.error());
  }
  Welcome(terminal, options);
  while (!Interrupted()) {
    CUBE_TRY_VOID(cluster.Check());
    poll(nullptr, 0, kPollMs);
  }
  ForgetInterrupt();
  if (!options.keep_tasks) StopAllTasks(**client, terminal);
  client->reset();
  terminal.Say("stopping");
  return kExitDone;
}

}  // namespace

CommandSpec DevCommand() {
  return {.name = "dev",
          .summary = "Run nats-server, a manager and a worker on this machine until Ctrl-C.",
          .flags = {{.name = "port",
                     .value = "PORT",
                     .help = "port of the NATS server (default: 4222, or a free one if that is "
                             "taken)"},
                    {.name = "state-dir",
                     .value = "FOLDER",
                     .help = "where it keeps everything (default: dev/ in Cube's state folder)",
                     .word = Word::kFile},
                    {.name = "keep-tasks", .help = "leave tasks running at the end"}},
          .examples = {{"a cluster to try things on", "cube dev"},
                       {"a second one beside it", "cube dev --port 4333 --state-dir /tmp/cube2"}},
          .exit_codes = {kExitDone, kExitFailed, kExitNotFound, kExitConflict, kExitUsage},
          .run = Dev};
}

}  // namespace cube::cli
