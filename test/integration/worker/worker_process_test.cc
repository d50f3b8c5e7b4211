// cube-worker as a process: how it starts where something is wrong, and how it ends.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

#include "shared/base/check.h"
#include "shared/bus/nats_bus.h"
#include "shared/wire/codec.h"
#include "shared/wire/subjects.h"
#include "test/support/bus/nats_server.h"
#include "test/support/temp_dir.h"

namespace cube::worker {
namespace {

using std::chrono::steady_clock;

// How long a condition may take on a loaded machine.
constexpr std::chrono::seconds kWaitMax{60};

// A cube-worker with its output in a file; killed at the end if it still runs.
class WorkerProcess {
 public:
  WorkerProcess(std::string log, std::vector<std::string> args) : log_(std::move(log)) {
    args.insert(args.begin(), CUBE_WORKER);
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    CUBE_CHECK(::posix_spawn_file_actions_init(&actions) == 0);
    ::posix_spawn_file_actions_addopen(&actions, 2, log_.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                       0600);
    const int error = ::posix_spawn(&pid_, CUBE_WORKER, &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    CUBE_CHECK(error == 0);
  }
  ~WorkerProcess() {
    if (pid_ <= 0) return;
    Signal(SIGKILL);
    (void)Wait();
  }
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  void Signal(int number) const { ::kill(pid_, number); }
  // Exit code, or minus the signal; -1000 = it does not end.
  int Wait() {
    const auto deadline = steady_clock::now() + kWaitMax;
    int status = 0;
    while (::waitpid(pid_, &status, WNOHANG) == 0) {
      if (steady_clock::now() >= deadline) return -1000;
      ::usleep(10'000);
    }
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  [[nodiscard]] std::string Log() const {
    std::ifstream file(log_);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  bool WaitForLog(const std::string& text) const {
    const auto deadline = steady_clock::now() + kWaitMax;
    while (Log().find(text) == std::string::npos) {
      if (steady_clock::now() >= deadline) return false;
      ::usleep(10'000);
    }
    return true;
  }

 private:
  std::string log_;
  pid_t pid_ = 0;
};

class WorkerProcessTest : public ::testing::Test {
 protected:
  std::vector<std::string> Args(const std::string& url) const {
    return {"--server", url, "--state-dir", dir_.File("state"), "--name", "n1", "--engine", "sim"};
  }
  test::TempDir dir_;
  std::string log_ = dir_.File("log");
};

// Nothing listens on port 1.
constexpr const char* kNowhere = "nats://127.0.0.1:1";

TEST_F(WorkerProcessTest, TriesOnWithoutNatsAndEndsWhenTold) {
  WorkerProcess worker(log_, Args(kNowhere));
  ASSERT_TRUE(worker.WaitForLog("cube-worker started"));
  worker.Signal(SIGTERM);
  EXPECT_EQ(worker.Wait(), 0) << worker.Log();
}

TEST_F(WorkerProcessTest, OneWorkerPerFolder) {
  WorkerProcess first(log_, Args(kNowhere));
  ASSERT_TRUE(first.WaitForLog("cube-worker started"));
  WorkerProcess second(dir_.File("log2"), Args(kNowhere));
  EXPECT_EQ(second.Wait(), 1);
  EXPECT_NE(second.Log().find("is in use by process"), std::string::npos) << second.Log();
}

TEST_F(WorkerProcessTest, WrongCredentialsEndIt) {
  bus::NatsServerOptions options;
  options.extra_config = "authorization { user: right, password: secret }\n";
  options.user_info = "right:secret";
  auto server = bus::NatsServer::Start(std::move(options));
  ASSERT_TRUE(server) << server.error().Text();
  auto args = Args((*server)->url());
  args.insert(args.end(), {"--nats-user", "right", "--nats-password", "wrong"});
  WorkerProcess worker(log_, std::move(args));
  EXPECT_EQ(worker.Wait(), 1);
  EXPECT_NE(worker.Log().find("error"), std::string::npos) << worker.Log();
  EXPECT_EQ(worker.Log().find("secret"), std::string::npos);
}

TEST_F(WorkerProcessTest, ADamagedStoreIsSetAside) {
  {
    WorkerProcess worker(log_, Args(kNowhere));
    ASSERT_TRUE(worker.WaitForLog("cube-worker started"));
    const std::string data = dir_.File("state/worker/n1/view/data.mdb");
    const auto deadline = steady_clock::now() + kWaitMax;
    while (!std::filesystem::exists(data) && steady_clock::now() < deadline) ::usleep(10'000);
    worker.Signal(SIGTERM);
    ASSERT_EQ(worker.Wait(), 0);
  }
  std::filesystem::resize_file(dir_.File("state/worker/n1/view/data.mdb"), 5000);
  WorkerProcess worker(dir_.File("log2"), Args(kNowhere));
  EXPECT_TRUE(worker.WaitForLog("the store begins anew")) << worker.Log();
  worker.Signal(SIGTERM);
  EXPECT_EQ(worker.Wait(), 0);
}

TEST_F(WorkerProcessTest, BadFlagsAreUsageErrors) {
  auto args = Args(kNowhere);
  args.insert(args.end(), {"--cpus", "many"});
  WorkerProcess worker(log_, std::move(args));
  EXPECT_EQ(worker.Wait(), 64);
  EXPECT_NE(worker.Log().find("--cpus"), std::string::npos) << worker.Log();
}

// Waits for facts of node n1 on a real server.
class FactsReader {
 public:
  explicit FactsReader(const std::string& url) {
    bus::NatsBusOptions options;
    options.urls = {url};
    bus_ = std::make_unique<bus::NatsBus>(options, [this](bus::Event event) {
      const std::lock_guard lock(mutex_);
      if (std::holds_alternative<bus::Connected>(event)) connected_ = true;
      if (std::holds_alternative<bus::StreamsReady>(event)) ready_ = true;
      if (auto* read = std::get_if<bus::Read>(&event)) facts_.push_back(read->message.payload);
      changed_.notify_all();
    });
    WaitUntil(connected_);
    bus_->EnsureStreams(1, wire::Subjects().Streams({}));
    WaitUntil(ready_);
    bus_->OpenReader(2, wire::Subjects().FactsStream(), 1);
    bus_->Pull(2, 100);
  }
  ~FactsReader() { bus_.reset(); }

  template <class What>
  std::optional<FactBatch> WaitFor() {
    std::unique_lock lock(mutex_);
    std::optional<FactBatch> found;
    changed_.wait_for(lock, kWaitMax, [&] {
      for (const std::string& payload : facts_) {
        const auto batch = wire::DecodeFacts("n1", payload);
        if (batch && std::holds_alternative<What>(batch->facts.front().what)) found = *batch;
      }
      return found.has_value();
    });
    return found;
  }
  bus::NatsBus& bus() { return *bus_; }

 private:
  void WaitUntil(const bool& happened) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kWaitMax, [&happened] { return happened; }));
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool connected_ = false;
  bool ready_ = false;
  std::vector<std::string> facts_;
  std::unique_ptr<bus::NatsBus> bus_;
};

TEST_F(WorkerProcessTest, JoinsARealServerAndIsRefused) {
  auto server = bus::NatsServer::Start();
  ASSERT_TRUE(server) << server.error().Text();
  FactsReader reader((*server)->url());
  WorkerProcess worker(log_, Args((*server)->url()));
  const auto joined = reader.WaitFor<NodeJoined>();
  ASSERT_TRUE(joined) << worker.Log();
  EXPECT_EQ(joined->incarnation, 0u);
  EXPECT_NE(joined->instance, 0u);
  AssignBatch answer;
  answer.term = {.epoch = 1, .id = 7};
  answer.node = NodeName::Trusted("n1");
  answer.instance = joined->instance;
  answer.seq = 1;
  answer.items = {JoinRefused{joined->instance, "another worker is node n1"}};
  reader.bus().Publish(wire::Subjects().Assign("n1"), {}, wire::EncodeAssign(answer));
  EXPECT_EQ(worker.Wait(), 1);
  EXPECT_NE(worker.Log().find("--name"), std::string::npos) << worker.Log();
}

// Welcomes the worker as the first node of a cluster.
void Welcome(FactsReader& reader, const WorkerProcess& worker) {
  const auto joined = reader.WaitFor<NodeJoined>();
  ASSERT_TRUE(joined) << worker.Log();
  AssignBatch answer;
  answer.term = {.epoch = 1, .id = 7};
  answer.node = NodeName::Trusted("n1");
  answer.instance = joined->instance;
  answer.incarnation = 1;
  answer.seq = 1;
  answer.cluster = "c1";
  answer.items = {Welcomed{joined->instance, 1}};
  reader.bus().Publish(wire::Subjects().Assign("n1"), {}, wire::EncodeAssign(answer));
  const auto described = reader.WaitFor<NodeDescribed>();
  ASSERT_TRUE(described) << worker.Log();
  EXPECT_EQ(described->incarnation, 1u);
  EXPECT_EQ(described->first_number, 1u);
}

TEST_F(WorkerProcessTest, SaysGoodByeWhenItIsWelcome) {
  auto server = bus::NatsServer::Start();
  ASSERT_TRUE(server) << server.error().Text();
  FactsReader reader((*server)->url());
  WorkerProcess worker(log_, Args((*server)->url()));
  ASSERT_NO_FATAL_FAILURE(Welcome(reader, worker));
  worker.Signal(SIGTERM);
  EXPECT_EQ(worker.Wait(), 0);
  EXPECT_TRUE(reader.WaitFor<NodeLeft>());
}

// A server that takes nothing holds up the last facts, and then each connection's end.
TEST_F(WorkerProcessTest, EndsInTimeWhateverItWaitsFor) {
  auto server = bus::NatsServer::Start();
  ASSERT_TRUE(server) << server.error().Text();
  FactsReader reader((*server)->url());
  WorkerProcess worker(log_, Args((*server)->url()));
  ASSERT_NO_FATAL_FAILURE(Welcome(reader, worker));
  (*server)->Pause();
  const auto told = steady_clock::now();
  worker.Signal(SIGTERM);
  EXPECT_EQ(worker.Wait(), 0) << worker.Log();
  const auto took = steady_clock::now() - told;
  (*server)->Resume();
  // 2 s, and what a loaded machine may take to notice.
  EXPECT_LT(took, std::chrono::milliseconds(2800)) << worker.Log();
}

}  // namespace
}  // namespace cube::worker
