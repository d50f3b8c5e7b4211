// What encoding and decoding cost per task, for a batch of a thousand. Each line is the best of
// several runs: the machine's noise only ever adds.
#include <cube/v1/decisions.pb.h>

#include <chrono>
#include <cstdio>
#include <functional>

#include "shared/base/check.h"
#include "shared/wire/codec.h"
#include "shared/wire/human.h"

namespace cube {
namespace {

constexpr std::size_t kTasks = 1000;
constexpr int kRuns = 30;
constexpr std::size_t kNodes = 50;

using Clock = std::chrono::steady_clock;

double Measure(const char* what, std::size_t bytes, const std::function<void()>& run) {
  auto best = Clock::duration::max();
  for (int i = 0; i < kRuns; ++i) {
    const auto start = Clock::now();
    run();
    best = std::min(best, Clock::now() - start);
  }
  const double nanos = std::chrono::duration<double, std::nano>(best).count();
  std::printf("%-46s %8.0f ns/task %8.1f B/task\n", what, nanos / kTasks,
              static_cast<double>(bytes) / kTasks);
  return nanos;
}

// What protobuf itself takes for the same message, and how much more we take: conversion, tables,
// checks.
void MeasureLimit(const std::string& name, const std::string& bytes, double encode, double decode) {
  v1::Decisions message;
  CUBE_CHECK(message.ParseFromString(bytes));
  const double serialize = Measure((name + ": protobuf alone, encode").c_str(), bytes.size(), [&] {
    CUBE_CHECK(message.SerializeAsString().size() == bytes.size());
  });
  const double parse = Measure((name + ": protobuf alone, decode").c_str(), bytes.size(), [&] {
    v1::Decisions parsed;
    CUBE_CHECK(parsed.ParseFromString(bytes));
  });
  std::printf("%-46s encode %.1f, decode %.1f\n", (name + ": times protobuf's").c_str(),
              encode / serialize, decode / parse);
}

TaskSpecPtr Spec(std::size_t variant) {
  TaskSpec spec;
  spec.name = TaskName::Trusted("web");
  spec.image = "registry.example.com/team/web:1.27";
  spec.command = {"serve", "--port", "8080"};
  spec.env = {{"MODE", "production"}, {"INSTANCE", std::to_string(variant)}};
  spec.ports = {{8080, 0, Protocol::kTcp, "http"}};
  spec.resources = {500, 256 << 20, 0};
  return std::make_shared<const TaskSpec>(std::move(spec));
}

enum class Sharing { kPointer, kValue, kNone };

std::vector<TaskSpecPtr> Specs(Sharing sharing) {
  std::vector<TaskSpecPtr> specs;
  const TaskSpecPtr one = Spec(0);
  for (std::size_t i = 0; i < kTasks; ++i) {
    if (sharing == Sharing::kPointer) specs.push_back(one);
    if (sharing == Sharing::kValue) specs.push_back(Spec(0));
    if (sharing == Sharing::kNone) specs.push_back(Spec(i));
  }
  return specs;
}

TaskId Id(std::size_t i) { return TaskId::Trusted("web-" + std::to_string(10'000'000 + i)); }
NodeName Node(std::size_t i) { return NodeName::Trusted("node-" + std::to_string(i % kNodes)); }

void BenchSubmit(const char* how, const std::vector<TaskSpecPtr>& specs) {
  std::vector<SubmitTask> tasks;
  for (std::size_t i = 0; i < kTasks; ++i) tasks.push_back({Id(i), specs[i]});
  const std::string bytes = wire::EncodeSubmit(tasks);
  const std::string name = std::string("submit, ") + how;
  Measure((name + ": encode").c_str(), bytes.size(),
          [&] { CUBE_CHECK(wire::EncodeSubmit(tasks).size() == bytes.size()); });
  Measure((name + ": decode").c_str(), bytes.size(), [&] {
    CUBE_CHECK(wire::DecodeIntents("cube.tasks.submit", {}, bytes).items.size() == kTasks);
  });
}

void BenchDecisions(const char* how, const std::vector<TaskSpecPtr>& specs) {
  DecisionBatch batch;
  batch.term = {1, 2};
  batch.cycle = 1;
  for (std::size_t i = 0; i < kTasks; ++i) {
    const Explanation why{"spread", kNodes, {{"memory", 3}}, static_cast<std::int64_t>(i / 20),
                          1,        Node(1)};
    batch.items.emplace_back(StartAttempt{Id(i), 1, Node(i), specs[i], why});
  }
  const std::string bytes = wire::EncodeDecisions(batch);
  const std::string name = std::string("decisions, ") + how;
  const double encode = Measure((name + ": encode").c_str(), bytes.size(), [&] {
    CUBE_CHECK(wire::EncodeDecisions(batch).size() == bytes.size());
  });
  const double decode = Measure((name + ": decode").c_str(), bytes.size(), [&] {
    CUBE_CHECK(wire::DecodeDecisions(bytes)->items.size() == kTasks);
  });
  Measure((name + ": EncodedSizeMax").c_str(), bytes.size(), [&] {
    std::size_t size = 0;
    for (const DecisionItem& item : batch.items) size += wire::EncodedSizeMax(item);
    CUBE_CHECK(size >= bytes.size() / 2);
  });
  MeasureLimit(name, bytes, encode, decode);
}

void BenchFacts() {
  FactBatch batch;
  batch.node = Node(0);
  batch.instance = 1;
  batch.incarnation = 1;
  batch.first_number = 1;
  for (std::size_t i = 0; i < kTasks; ++i) {
    LaunchFact fact;
    fact.key = {Id(i), 1, 0};
    fact.placement = {2, 1};
    fact.state = LaunchState::kRunning;
    fact.container_id = std::string(64, 'c');
    fact.ports = {{8080, 32768, Protocol::kTcp}};
    fact.started_at = WallFromNanos(1'700'000'000'000'000'000);
    batch.facts.push_back({fact.started_at, fact});
  }
  const std::string bytes = wire::EncodeFacts(batch);
  Measure("facts (running): encode", bytes.size(),
          [&] { CUBE_CHECK(wire::EncodeFacts(batch).size() == bytes.size()); });
  Measure("facts (running): decode", bytes.size(),
          [&] { CUBE_CHECK(wire::DecodeFacts(batch.node.str(), bytes)->facts.size() == kTasks); });
}

void BenchAssign(const char* how, const std::vector<TaskSpecPtr>& specs) {
  AssignBatch batch;
  batch.term = {1, 2};
  batch.node = Node(0);
  batch.seq = 2;
  batch.stamp = {2, 1};
  for (std::size_t i = 0; i < kTasks; ++i) {
    batch.items.emplace_back(Assignment{Id(i), 1, batch.stamp, specs[i], false, Duration(0)});
  }
  const std::string bytes = wire::EncodeAssign(batch);
  const std::string name = std::string("assign, ") + how;
  Measure((name + ": encode").c_str(), bytes.size(),
          [&] { CUBE_CHECK(wire::EncodeAssign(batch).size() == bytes.size()); });
  Measure((name + ": decode").c_str(), bytes.size(),
          [&] { CUBE_CHECK(wire::DecodeAssign(bytes)->items.size() == kTasks); });
}

void BenchHuman(const std::vector<TaskSpecPtr>& specs) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const TaskSpecPtr& spec : specs) list.push_back(wire::SpecToHuman(*spec));
  const std::string text = list.dump();
  Measure("human form (JSON list): decode", text.size(), [&] {
    CUBE_CHECK(wire::DecodeIntents("cube.tasks.submit", {}, text).items.size() == kTasks);
  });
}

void Run() {
  const auto shared = Specs(Sharing::kPointer);
  const auto equal = Specs(Sharing::kValue);
  const auto different = Specs(Sharing::kNone);
  BenchSubmit("one spec shared", shared);
  BenchSubmit("equal specs", equal);
  BenchSubmit("different specs", different);
  BenchDecisions("one spec shared", shared);
  BenchDecisions("equal specs", equal);
  BenchDecisions("different specs", different);
  BenchAssign("one spec shared", shared);
  BenchAssign("different specs", different);
  BenchFacts();
  BenchHuman(different);
}

}  // namespace
}  // namespace cube

int main() {
  cube::Run();
  return 0;
}
