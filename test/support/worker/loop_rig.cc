#include "test/support/worker/loop_rig.h"

#include "shared/base/check.h"
#include "shared/wire/codec.h"

namespace cube::worker {

LoopRig::LoopRig(std::vector<std::string> engines, OnExit on_exit)
    : engines_(std::move(engines)), on_exit_(on_exit) {
  Make();
}

void LoopRig::Make() {
  auto stored = LoadState(store_, kNode);
  CUBE_CHECK(stored.has_value());
  if (stored->meta.instance == 0) stored->meta.instance = kInstance;
  LoopOptions options;
  options.node = kNode;
  options.engines = engines_;
  options.description.tasks_max = 10;
  options.metrics = false;
  options.on_exit = on_exit_;
  options.seed = 1;
  loop_ = std::make_unique<WorkerLoop>(std::move(options), *std::move(stored), now_);
}

void LoopRig::Restart() {
  replies_.clear();
  Make();
}

std::string LoopRig::Step(std::vector<Input> inputs) {
  for (Input& reply : replies_) inputs.push_back(std::move(reply));
  replies_.clear();
  Operations operations = loop_->Step(inputs, now_);
  std::string text;
  for (Operation& operation : operations) {
    const bool ends = std::holds_alternative<Exit>(operation);
    text += Execute(operation);
    if (ends) break;  // as the process does
  }
  return text;
}

std::string LoopRig::Assign(const AssignBatch& batch) {
  return Step({FromBus{bus::Message{1, "cube.assign.n1", "", {}, wire::EncodeAssign(batch)}}});
}

std::string LoopRig::Desired(const DesiredPage& page) {
  return Step({FromBus{bus::Message{2, "cube.desired.n1.0", "", {}, wire::EncodeDesired(page)}}});
}

FactBatch LoopRig::AppendedFacts() const {
  auto facts = wire::DecodeFacts(kNode.str(), append_.payload);
  CUBE_CHECK(facts.has_value());
  return *std::move(facts);
}

std::string LoopRig::ExecuteBus(bus::Operation& operation) {
  if (auto* append = std::get_if<bus::Append>(&operation)) {
    append_ = std::move(append->request);
    const FactBatch facts = AppendedFacts();
    std::string text = "append " + std::to_string(facts.first_number) + ":";
    for (const Fact& fact : facts.facts) text += " " + Text(fact) + ";";
    return text + "\n";
  }
  if (auto* publish = std::get_if<bus::Publish>(&operation)) {
    std::string text = "publish " + publish->subject + "\n";
    published_.push_back(std::move(*publish));
    return text;
  }
  if (const auto* subscribe = std::get_if<bus::Subscribe>(&operation)) {
    return "subscribe " + subscribe->subject + "\n";
  }
  if (const auto* get = std::get_if<bus::Get>(&operation)) {
    return "get " + get->stream + " " + std::to_string(get->seq) + " op" + std::to_string(get->op) +
           "\n";
  }
  if (const auto* last = std::get_if<bus::GetLast>(&operation)) {
    if (last->subject == wire::Subjects().Heartbeat(kLeaderHeartbeat)) {
      Heartbeat beat;
      beat.node = kLeaderHeartbeat;
      beat.nodes = cluster_nodes_;
      bus::StreamMessage message;
      message.payload = wire::EncodeHeartbeat(beat);
      replies_.emplace_back(FromBus{bus::Got{last->op, std::move(message)}});
      return {};
    }
    return "get-last " + last->subject + " op" + std::to_string(last->op) + "\n";
  }
  return "other\n";
}

namespace {

std::string ExecText(const ExecCall& call) {
  const auto number = [](std::uint64_t exec) { return std::to_string(exec); };
  if (const auto* run = std::get_if<RunExec>(&call)) {
    std::string text = "exec " + number(run->exec) + " " + Text(run->key);
    for (const std::string& word : run->request.command) text += " " + word;
    return text + (run->request.input ? " <input" : "") + "\n";
  }
  if (const auto* credit = std::get_if<CreditExec>(&call))
    return "exec-credit " + number(credit->exec) + " " + std::to_string(credit->bytes) + "\n";
  if (const auto* input = std::get_if<InputExec>(&call))
    return "exec-input " + number(input->exec) + " " + input->bytes + (input->last ? "$" : "") +
           "\n";
  return "exec-cancel " + number(std::get<CancelExec>(call).exec) + "\n";
}

}  // namespace

std::string LoopRig::Execute(Operation& operation) {
  if (auto* call = std::get_if<bus::Operation>(&operation)) return ExecuteBus(*call);
  if (const auto* commit = std::get_if<Commit>(&operation)) {
    CUBE_CHECK(store_.Commit(commit->batch).has_value());
    return "commit\n";
  }
  if (const auto* beat = std::get_if<Beat>(&operation)) {
    auto decoded = wire::DecodeHeartbeat(beat->payload);
    CUBE_CHECK(decoded.has_value());
    beat_ = *decoded;
    ++beats_;
    return beat_.hello ? "hello at " + std::to_string(beat_.position) + "\n" : "";
  }
  if (const auto* call = std::get_if<EngineCall>(&operation)) return Text(*call) + "\n";
  if (const auto* open = std::get_if<OpenLogs>(&operation)) {
    return "open-logs " + std::to_string(open->stream) + " " + Text(open->key) +
           (open->options.follow ? " follow" : "") +
           (open->options.tail_lines >= 0 ? " tail" + std::to_string(open->options.tail_lines)
                                          : "") +
           "\n";
  }
  if (const auto* credit = std::get_if<LogCredit>(&operation)) {
    return "log-credit " + std::to_string(credit->stream) + " " + std::to_string(credit->bytes) +
           "\n";
  }
  if (const auto* close = std::get_if<CloseLogs>(&operation)) {
    return "close-logs " + std::to_string(close->stream) + "\n";
  }
  if (const auto* exec = std::get_if<ExecCall>(&operation)) return ExecText(*exec);
  if (const auto* read = std::get_if<ReadOutbox>(&operation)) {
    auto facts = ReadOutboxFrom(store_, kNode, read->from, read->facts_max);
    CUBE_CHECK(facts.has_value());
    replies_.emplace_back(OutboxRead{*std::move(facts)});
    return "read-outbox " + std::to_string(read->from) + "\n";
  }
  if (const auto* list = std::get_if<ListOutput>(&operation)) {
    return "list-output " + list->task.str() + "/" + std::to_string(list->attempt) + "\n";
  }
  if (const auto* saved = std::get_if<ReadOutput>(&operation)) {
    return "read-output " + Text(saved->key) + "\n";
  }
  if (const auto* line = std::get_if<LogLine>(&operation)) {
    logged_.push_back(line->text);
    return "";
  }
  if (const auto* exit = std::get_if<Exit>(&operation)) {
    return "exit " + std::to_string(exit->code) + (exit->again ? " again" : "") + "\n";
  }
  return "sample\n";
}

void LoopRig::BecomeReady() {
  Step();
  Connect();
  Accept();
  Assign(Batch(9, 0, {Welcomed{kInstance, 1}}));
  Desired(Set(10, {}));
  Engine(engine::Up{"1", true});
  Engine(engine::Listed{});
  while (OutboxCount() > 0) Accept();
  published_.clear();
  logged_.clear();
}

}  // namespace cube::worker
