// logs and run --attach, with a scripted worker.
#include <gmock/gmock.h>

#include <algorithm>
#include <tuple>

#include "services/cli/exit_code.h"
#include "test/integration/cli/fake_cluster.h"

namespace cube::cli {
namespace {

using ::testing::HasSubstr;

// Sends a text in chunks, never more than the caller's credit allows.
class FakeWorker {
 public:
  FakeWorker(const std::string& url, std::string text)
      : text_(std::move(text)),
        inbox_(10'000),
        bus_(Options(url), [this](bus::Event event) { inbox_.PushAlways(std::move(event)); }) {
    bus_.Subscribe(1, wire::Subjects().Logs("node-a"), "");
    thread_ = std::thread([this] { Loop(); });
  }
  ~FakeWorker() {
    stopping_ = true;
    inbox_.Wake();
    thread_.join();
  }
  FakeWorker(const FakeWorker&) = delete;
  FakeWorker& operator=(const FakeWorker&) = delete;

  std::atomic<std::uint64_t> credit_messages{0};
  std::atomic<std::uint32_t> tail{0};
  std::atomic<v1::LogsNotice> notice{v1::LOGS_NOTICE_UNSPECIFIED};  // said with each message

 private:
  static bus::NatsBusOptions Options(const std::string& url) {
    bus::NatsBusOptions options;
    options.urls = {url};
    return options;
  }
  struct Stream {
    std::string reply_to;
    std::uint64_t credit = 0;
    std::size_t sent = 0;
    std::uint64_t number = 0;
  };

  void Loop() {
    while (!stopping_) {
      std::vector<bus::Event> events;
      inbox_.TakeUntil(events, 100, MonoTime::max());
      for (auto& event : events) {
        if (auto* message = std::get_if<bus::Message>(&event)) On(*message);
      }
    }
  }
  void On(const bus::Message& message) {
    v1::LogsRequest request;
    ASSERT_TRUE(request.ParseFromString(message.payload));
    if (request.has_open()) {
      streams_[request.stream()] = {message.reply_to, request.open().credit_bytes(), 0, 0};
      tail = request.open().tail_lines();
    } else if (request.has_close()) {
      streams_.erase(request.stream());
    } else {
      ++credit_messages;
      streams_[request.stream()].credit += request.credit_bytes();
    }
    const auto it = streams_.find(request.stream());
    if (it != streams_.end()) Send(it->first, it->second);
  }
  void Send(std::uint64_t id, Stream& stream) {
    constexpr std::size_t kChunk = 60'000;
    while (true) {
      v1::LogsReply reply;
      reply.set_stream(id);
      reply.set_number(stream.number);
      reply.set_notice(notice);
      const std::size_t rest = text_.size() - stream.sent;
      const std::size_t take = std::min({rest, kChunk, static_cast<std::size_t>(stream.credit)});
      if (rest > 0 && take == 0) return;
      if (rest == 0) {
        reply.set_end(true);
      } else {
        auto* chunk = reply.add_chunks();
        chunk->set_data(text_.substr(stream.sent, take));
      }
      ++stream.number;
      stream.sent += take;
      stream.credit -= take;
      bus_.Publish(stream.reply_to, {}, reply.SerializeAsString());
      if (rest == 0) return;
    }
  }

  const std::string text_;
  std::map<std::uint64_t, Stream> streams_;
  std::atomic<bool> stopping_{false};
  Inbox<bus::Event> inbox_;
  bus::NatsBus bus_;
  std::thread thread_;
};

class CliLogsTest : public CliTest {
 protected:
  // The worker has answered once: its subscription stands.
  void AwaitWorker() {
    const MonoTime deadline = SystemClock().now().mono + std::chrono::seconds(30);
    while (Cube({"--request-timeout", "1s", "logs", "probe-1"}).exit_code != kExitDone) {
      ASSERT_LT(SystemClock().now().mono, deadline) << "the fake worker did not come up";
    }
  }
};

TEST_F(CliLogsTest, AllOutputOfOneTask) {
  FakeManager manager(server_->url(), {});
  manager.Put(TaskOf("web-1", "web", "running"));
  manager.Put(TaskOf("probe-1", "probe", "running"));
  // More than the credit window: the rest needs credit.
  std::string text;
  while (text.size() < (3u << 20)) text += "line " + std::to_string(text.size()) + "\n";
  FakeWorker worker(server_->url(), text);
  AwaitWorker();
  const Shown shown = Cube({"logs", "--tail", "7", "web"});
  EXPECT_EQ(shown.exit_code, kExitDone) << shown.err;
  EXPECT_TRUE(shown.out == text) << shown.out.size() << " of " << text.size() << " bytes";
  EXPECT_GT(worker.credit_messages, 0u);
  EXPECT_EQ(worker.tail, 7u);
}

TEST_F(CliLogsTest, SeveralTasksHavePrefixes) {
  FakeManager manager(server_->url(), {});
  manager.Put(TaskOf("web-1", "web", "running"));
  manager.Put(TaskOf("worker-1", "worker", "running"));
  manager.Put(TaskOf("probe-1", "probe", "running"));
  FakeWorker worker(server_->url(), "hello\nworld\n");
  AwaitWorker();
  const Shown shown = Cube({"logs", "web", "worker"});
  EXPECT_EQ(shown.exit_code, kExitDone) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("web-1    | hello\n"));
  EXPECT_THAT(shown.out, HasSubstr("worker-1 | world\n"));
}

// One line for each kind, and only lines that were missed are a failure.
TEST_F(CliLogsTest, WhatDoesNotComeIsSaidOnce) {
  FakeManager manager(server_->url(), {});
  manager.Put(TaskOf("web-1", "web", "running"));
  manager.Put(TaskOf("probe-1", "probe", "running"));
  FakeWorker worker(server_->url(), "output\n");
  AwaitWorker();
  const std::string gone = "cube: the beginning of the output of web-1 is not kept any more\n";
  for (const auto& [notice, code, text] :
       {std::tuple{v1::LOGS_NOTICE_BEGINNING_GONE, kExitDone, gone.c_str()},
        {v1::LOGS_NOTICE_BEGINNING_MAYBE_GONE, kExitDone, "may not be kept any more"},
        {v1::LOGS_NOTICE_NOT_STARTED, kExitDone, "it has not started"},
        {v1::LOGS_NOTICE_LINES_LOST, kExitFailed, "some output of web-1 is missing"}}) {
    worker.notice = notice;
    const Shown shown = Cube({"logs", "web"});
    EXPECT_EQ(shown.exit_code, code) << shown.err;
    EXPECT_EQ(shown.out, "output\n");
    EXPECT_THAT(shown.err, HasSubstr(text));
    EXPECT_EQ(std::count(shown.err.begin(), shown.err.end(), '\n'), 1) << shown.err;
  }
}

TEST_F(CliLogsTest, AttachReturnsTheTasksOwnCode) {
  FakeManager manager(server_->url(), {.status = "failed", .reason = {}, .exit_code = 7});
  manager.Put(TaskOf("probe-1", "probe", "running"));
  FakeWorker worker(server_->url(), "output\n");
  AwaitWorker();
  const Shown shown = Cube({"run", "--attach", "--id", "web-1", "nginx"});
  EXPECT_EQ(shown.exit_code, 7) << shown.err;
  EXPECT_EQ(shown.out, "output\n");  // nothing but the task's output
}

TEST_F(CliLogsTest, WithoutItsWorkerThereIsAClearError) {
  FakeManager manager(server_->url(), {});
  manager.Put(TaskOf("web-1", "web", "running"));
  const Shown shown = Cube({"--request-timeout", "300ms", "logs", "web"});
  EXPECT_EQ(shown.exit_code, kExitUnreachable);
  EXPECT_THAT(shown.err, HasSubstr("the worker of node-a"));
}

TEST_F(CliLogsTest, ATaskThatWasNeverPlacedHasNone) {
  FakeManager manager(server_->url(), {});
  v1::TaskView task = TaskOf("web-1", "web", "pending");
  task.clear_node();
  task.set_attempt(0);
  manager.Put(task);
  const Shown shown = Cube({"logs", "web"});
  EXPECT_EQ(shown.exit_code, kExitDone) << "it is not there yet";
  EXPECT_THAT(shown.err, HasSubstr("web-1 has no output: pending"));
}

}  // namespace
}  // namespace cube::cli
