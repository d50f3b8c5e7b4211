// A manager and a worker that do what a test's script says, on a real nats-server; and the command
// line, run inside the test.
#pragma once

#include <cube/v1/queries.pb.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "services/cli/client.h"
#include "shared/bus/nats_bus.h"
#include "shared/runtime/inbox.h"
#include "shared/wire/subjects.h"
#include "test/support/bus/nats_server.h"

namespace cube::cli {

// What becomes of each submitted task, and how the manager behaves.
struct Script {
  std::string status = "running";
  std::string reason{};
  std::optional<int> exit_code{};
  std::optional<Error> refuse{};  // every submission
  bool healthy = true;            // what runs
  bool tell_outcome = true;
  bool tell_feed = true;
  bool answer = true;   // queries
  bool behind = false;  // knows a task only for a question that names the newest intent
  int page_size = 100;  // tasks in a page
  bool fail_behind_first_page = false;
  std::string stop_status = "stopped";
};

class FakeManager {
 public:
  FakeManager(const std::string& url, Script script);
  ~FakeManager();
  FakeManager(const FakeManager&) = delete;
  FakeManager& operator=(const FakeManager&) = delete;

  // A task that is there already.
  void Put(const v1::TaskView& task);
  void PutNode(const v1::NodeView& node);
  void PutJob(const v1::JobView& job);
  [[nodiscard]] std::optional<v1::TaskView> Get(const std::string& id);
  [[nodiscard]] std::vector<std::string> stopped();
  [[nodiscard]] int task_questions() const { return task_questions_; }

 private:
  void Loop();
  void On(bus::Read& read);
  void On(bus::Message& message);
  template <class Other>
  void On(Other& /*event*/) {}
  void Submit(const bus::StreamMessage& message);
  void Stop(const bus::StreamMessage& message);
  void Tell(const v1::TaskView& task);
  [[nodiscard]] v1::QueryReply Answer(std::string_view what, const v1::QueryRequest& request);
  void AnswerTask(const v1::QueryRequest& request, v1::QueryReply& reply);
  void AnswerTasks(const v1::QueryRequest& request, v1::QueryReply& reply);

  const Script script_;
  const wire::Subjects subjects_;
  std::mutex mutex_;
  std::map<std::string, v1::TaskView> tasks_;
  std::vector<v1::NodeView> nodes_;
  std::vector<v1::JobView> jobs_;
  std::vector<std::string> stopped_;
  std::uint64_t intent_seq_ = 0;
  std::atomic<int> task_questions_{0};
  std::atomic<bool> ready_{false};
  std::atomic<bool> stopping_{false};
  Inbox<bus::Event> inbox_;
  bus::NatsBus bus_;
  std::thread thread_;
};

struct Shown {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// One nats-server for each test.
class CliTest : public ::testing::Test {
 protected:
  void SetUp() override;
  [[nodiscard]] Shown Cube(std::vector<std::string> words);
  [[nodiscard]] std::unique_ptr<Client> Connect();
  [[nodiscard]] static v1::TaskView TaskOf(const std::string& id, const std::string& name,
                                           const std::string& status);
  [[nodiscard]] static v1::JobView JobOf(const std::string& name, const std::string& status);

  bus::NatsServerOptions server_options_;
  std::unique_ptr<bus::NatsServer> server_;
  std::map<std::string, std::string> variables_;
};

}  // namespace cube::cli
