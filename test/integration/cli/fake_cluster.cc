#include "test/integration/cli/fake_cluster.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "services/cli/commands.h"
#include "services/cli/settings.h"
#include "services/cli/terminal.h"
#include "services/cli/views.h"
#include "shared/runtime/clock.h"
#include "shared/wire/codec.h"
#include "shared/wire/convert.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr bus::OpId kEnsure = 1;
constexpr bus::SubId kIntents = 1;
constexpr bus::SubId kQueries = 2;
constexpr auto kReadyMax = std::chrono::seconds(30);

bus::NatsBusOptions Options(const std::string& url) {
  bus::NatsBusOptions options;
  options.urls = {url};
  options.name = "fake manager";
  return options;
}

}  // namespace

FakeManager::FakeManager(const std::string& url, Script script)
    : script_(std::move(script)),
      inbox_(10'000),
      bus_(Options(url), [this](bus::Event event) { inbox_.PushAlways(std::move(event)); }),
      thread_([this] { Loop(); }) {
  const MonoTime deadline = SystemClock().now().mono + kReadyMax;
  while (!ready_ && SystemClock().now().mono < deadline) std::this_thread::yield();
  EXPECT_TRUE(ready_) << "the fake manager did not come up";
}

FakeManager::~FakeManager() {
  stopping_ = true;
  inbox_.Wake();
  thread_.join();
}

void FakeManager::Put(const v1::TaskView& task) {
  const std::lock_guard lock(mutex_);
  tasks_[task.id()] = task;
}

void FakeManager::PutNode(const v1::NodeView& node) {
  const std::lock_guard lock(mutex_);
  nodes_.push_back(node);
}

void FakeManager::PutJob(const v1::JobView& job) {
  const std::lock_guard lock(mutex_);
  jobs_.push_back(job);
}

std::optional<v1::TaskView> FakeManager::Get(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto it = tasks_.find(id);
  if (it == tasks_.end()) return std::nullopt;
  return it->second;
}

std::vector<std::string> FakeManager::stopped() {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

void FakeManager::Loop() {
  while (!stopping_) {
    std::vector<bus::Event> events;
    inbox_.TakeUntil(events, 100, MonoTime::max());
    const std::lock_guard lock(mutex_);
    for (auto& event : events) {
      if (const auto* up = std::get_if<bus::Connected>(&event); up != nullptr && up->first) {
        bus_.EnsureStreams(kEnsure, subjects_.Streams({}));
      }
      if (std::holds_alternative<bus::StreamsReady>(event)) {
        bus_.Subscribe(kQueries, subjects_.QueryAll(), "managers");
        bus_.OpenReader(kIntents, subjects_.IntentsStream(), 1);
        bus_.Pull(kIntents, 10'000);
        // A question to ourselves: answered when the subscription stands.
        bus_.Request(2, subjects_.Query("cluster"), {}, "", std::chrono::seconds(20));
      }
      if (std::holds_alternative<bus::Replied>(event)) ready_ = true;
      std::visit([this](auto& e) { On(e); }, event);
    }
  }
}

void FakeManager::On(bus::Read& read) {
  intent_seq_ = read.message.seq;
  if (read.message.subject == subjects_.TasksSubmit()) Submit(read.message);
  if (read.message.subject == subjects_.TasksStop()) Stop(read.message);
}

void FakeManager::Submit(const bus::StreamMessage& message) {
  const auto batch = wire::DecodeIntents(message.subject, message.headers, message.payload);
  Json items = Json::array();
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    const auto* submit = std::get_if<SubmitTask>(&batch.items[i]);
    ASSERT_NE(submit, nullptr) << std::get<InvalidItem>(batch.items[i]).error.Text();
    Json item = {{"index", i}, {"id", submit->id.str()}};
    if (script_.refuse) {
      item["status"] = "refused";
      item["code"] = CodeName(script_.refuse->code);
      item["field"] = script_.refuse->field;
      item["reason"] = script_.refuse->message;
    } else {
      item["status"] = "accepted";
      v1::TaskView& task = tasks_[submit->id.str()];
      task.set_id(submit->id.str());
      wire::ToProto(*submit->spec, *task.mutable_spec());
      task.set_status(script_.status);
      task.set_reason(script_.reason);
      if (script_.exit_code) task.set_exit_code(*script_.exit_code);
      const bool placed = script_.status != "pending";
      task.set_node(placed ? "node-a" : "");
      task.set_attempt(placed ? 1 : 0);
      task.set_healthy(script_.status == "running" && script_.healthy);
      Tell(task);
    }
    items.push_back(std::move(item));
  }
  if (script_.tell_outcome) {
    bus_.Publish(subjects_.Outcome(batch.outcome_token), {},
                 Json({{"intent", message.seq}, {"items", items}}).dump());
  }
}

void FakeManager::Stop(const bus::StreamMessage& message) {
  const auto batch = wire::DecodeIntents(message.subject, message.headers, message.payload);
  Json items = Json::array();
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    const auto& stop = std::get<StopTask>(batch.items[i]);
    stopped_.push_back(stop.id.str());
    v1::TaskView& task = tasks_[stop.id.str()];
    task.set_status(script_.stop_status);
    Tell(task);
    items.push_back({{"index", i}, {"id", stop.id.str()}, {"status", "accepted"}});
  }
  bus_.Publish(subjects_.Outcome(batch.outcome_token), {},
               Json({{"intent", message.seq}, {"items", items}}).dump());
}

void FakeManager::Tell(const v1::TaskView& task) {
  if (!script_.tell_feed) return;
  const Json event = {{"time", "2026-01-01T00:00:00.000Z"},
                      {"task", task.id()},
                      {"name", task.spec().name()},
                      {"node", task.node()},
                      {"attempt", task.attempt()},
                      {"launch", task.launch()},
                      {"status", task.status()},
                      {"healthy", task.healthy()}};
  bus_.Publish(subjects_.Event(task.spec().name(), task.id(), task.status()), {}, event.dump());
}

void FakeManager::On(bus::Message& message) {
  v1::QueryRequest request;
  if (!ready_ || script_.answer) {
    EXPECT_TRUE(request.ParseFromString(message.payload));
    bus_.Publish(message.reply_to, {},
                 Answer(wire::Subjects::LastToken(message.subject), request).SerializeAsString());
  }
}

v1::QueryReply FakeManager::Answer(std::string_view what, const v1::QueryRequest& request) {
  v1::QueryReply reply;
  reply.set_manager("fake");
  reply.set_leading(true);
  if (what == "task") AnswerTask(request, reply);
  if (what == "tasks") AnswerTasks(request, reply);
  if (what == "nodes") {
    for (const auto& node : nodes_) *reply.add_nodes() = node;
  }
  if (what == "jobs") {
    for (const auto& job : jobs_) {
      if (request.match().empty() || job.name() == request.match()) *reply.add_jobs() = job;
    }
  }
  if (what == "cluster") {
    reply.mutable_cluster()->set_cluster("c1c2c3c4d5");
    reply.mutable_cluster()->set_leader("fake");
    reply.mutable_cluster()->set_version("9.9.9");
    (*reply.mutable_cluster()->mutable_tasks())["running"] = 2;
  }
  return reply;
}

void FakeManager::AnswerTask(const v1::QueryRequest& request, v1::QueryReply& reply) {
  ++task_questions_;
  const bool knows = !script_.behind || request.min_intent() >= intent_seq_;
  std::vector<std::string> fitting;
  for (const auto& [id, task] : tasks_) {
    if (!knows) break;
    if (id == request.match()) {
      *reply.add_tasks() = task;
      return;
    }
    const bool named = task.spec().name() == request.match();
    if (named || id.starts_with(request.match())) fitting.push_back(id);
  }
  if (fitting.size() == 1) {
    *reply.add_tasks() = tasks_[fitting.front()];
    return;
  }
  reply.mutable_failure()->set_code(fitting.empty() ? "not_found" : "conflict");
  reply.mutable_failure()->set_field("match");
  reply.mutable_failure()->set_message(fitting.empty() ? "there is no such task" : "ambiguous");
  for (const auto& id : fitting) reply.add_candidates(id);
}

void FakeManager::AnswerTasks(const v1::QueryRequest& request, v1::QueryReply& reply) {
  if (script_.fail_behind_first_page && !request.page().empty()) {
    reply.mutable_failure()->set_code("unavailable");
    reply.mutable_failure()->set_message("still reading the log");
    return;
  }
  int count = 0;
  for (const auto& [id, task] : tasks_) {
    if (!request.page().empty() && id <= request.page()) continue;
    if (!request.include_finished() && IsFinished(task.status())) continue;
    if (!request.node().empty() && task.node() != request.node()) continue;
    if (!request.job().empty() && task.job() != request.job()) continue;
    if (!request.match().empty() && !id.starts_with(request.match()) &&
        task.spec().name() != request.match()) {
      continue;
    }
    const auto& wanted = request.statuses();
    if (!wanted.empty() && std::ranges::find(wanted, task.status()) == wanted.end()) continue;
    if (count++ == script_.page_size) {
      reply.set_next_page(reply.tasks(reply.tasks_size() - 1).id());
      return;
    }
    *reply.add_tasks() = task;
  }
}

// ---- the command line -----------------------------------------------------------------------

void CliTest::SetUp() {
  auto server = bus::NatsServer::Start(server_options_);
  ASSERT_TRUE(server) << server.error().Text();
  server_ = std::move(*server);
  variables_["CUBE_SERVER"] = server_->url();
}

Shown CliTest::Cube(std::vector<std::string> words) {
  std::ostringstream out;
  std::ostringstream err;
  const Terminal terminal{.out = out, .err = err};
  Environment environment{
      .variable = [this](const std::string& name) -> std::optional<std::string> {
        const auto it = variables_.find(name);
        return it == variables_.end() ? std::nullopt : std::optional<std::string>(it->second);
      },
      .read_file = [](const std::string& path) -> Result<std::string> {
        return Fail(Code::kNotFound, path);
      }};
  Shown shown;
  shown.exit_code = Main(words, terminal, std::move(environment));
  shown.out = out.str();
  shown.err = err.str();
  return shown;
}

std::unique_ptr<Client> CliTest::Connect() {
  Settings settings;
  settings.nats.urls = {server_->url()};
  auto client = Client::Connect(settings);
  EXPECT_TRUE(client) << client.error().Text();
  return std::move(*client);
}

v1::TaskView CliTest::TaskOf(const std::string& id, const std::string& name,
                             const std::string& status) {
  v1::TaskView task;
  task.set_id(id);
  task.mutable_spec()->set_name(name);
  task.mutable_spec()->set_image("nginx:1.25");
  task.set_status(status);
  task.set_node("node-a");
  task.set_attempt(1);
  task.set_healthy(status == "running");
  return task;
}

v1::JobView CliTest::JobOf(const std::string& name, const std::string& status) {
  v1::JobView job;
  job.set_name(name);
  job.set_type(v1::JOB_TYPE_SERVICE);
  job.set_status(status);
  job.set_replicas(2);
  job.set_version(1);
  job.mutable_task()->set_name(name);
  job.mutable_task()->set_image("nginx:1.25");
  return job;
}

}  // namespace cube::cli
