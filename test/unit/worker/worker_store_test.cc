#include "services/worker/worker_store.h"

#include <cube/v1/records.pb.h>
#include <gtest/gtest.h>

#include <functional>

#include "shared/store/memory_store.h"
#include "shared/wire/codec.h"
#include "shared/wire/convert.h"
#include "test/support/worker/loop_rig.h"

namespace cube::worker {
namespace {

class WorkerStoreTest : public ::testing::Test {
 protected:
  WorkerStoreTest() {
    rig_.BecomeReady();
    (void)rig_.Assign(Batch(11, 10, {Start("web")}));
    (void)rig_.Engine(engine::Changed{Status(Key("web"), LaunchState::kRunning)});
  }
  // The state, with the assignment's record changed.
  Result<StoredState> With(const std::function<void(v1::AssignmentRecord&)>& change) {
    store::WriteBatch batch;
    EXPECT_TRUE(rig_.store().Scan(kAssignmentsTable, "", [&](auto key, auto value) {
      v1::AssignmentRecord record;
      EXPECT_TRUE(record.ParseFromString(std::string(value)));
      change(record);
      batch.Put(kAssignmentsTable, std::string(key), record.SerializeAsString());
      return true;
    }));
    EXPECT_TRUE(rig_.store().Commit(batch));
    return LoadState(rig_.store(), kNode);
  }

  LoopRig rig_;
};

TEST_F(WorkerStoreTest, WhatIsStoredIsReadBack) {
  const auto state = With([](v1::AssignmentRecord&) {});
  ASSERT_TRUE(state) << state.error().Text();
  ASSERT_EQ(state->attempts.size(), 1u);
  EXPECT_EQ(state->attempts[0].key, (AttemptKey{TaskId::Trusted("web"), 1}));
}

// Else the worker would neither start nor set its store aside.
TEST_F(WorkerStoreTest, AValueThatIsNoneIsALossOfData) {
  const std::function<void(v1::AssignmentRecord&)> damages[] = {
      [](v1::AssignmentRecord& record) { record.set_task("../x"); },
      [](v1::AssignmentRecord& record) { record.mutable_spec()->set_name("A B"); },
      [](v1::AssignmentRecord& record) {
        record.mutable_last_fact()->set_state(static_cast<v1::LaunchState>(77));
      },
      [](v1::AssignmentRecord& record) { record.clear_spec(); }};
  for (const auto& damage : damages) {
    v1::AssignmentRecord before;
    const auto state = With([&](v1::AssignmentRecord& record) {
      before = record;
      damage(record);
    });
    ASSERT_FALSE(state);
    EXPECT_EQ(state.error().code, Code::kDataLoss) << state.error().Text();
    ASSERT_TRUE(With([&](v1::AssignmentRecord& record) { record = before; }));
  }
}

// ---- specifications are encoded once

Attempt SomeAttempt(const TaskSpecPtr& spec) {
  Attempt a;
  a.key = {TaskId::Trusted("web"), 2};
  a.placement = {7, 9};
  a.spec = spec;
  a.grace = std::chrono::seconds(3);
  a.launch = 4;
  a.launch_min = 1;
  a.launches_at = {WallTime(std::chrono::seconds(50))};
  return a;
}

TaskSpecPtr SomeSpec(const std::string& image) {
  TaskSpec spec;
  spec.name = TaskName::Trusted("web");
  spec.image = image;
  spec.env = {{"A", "1"}, {"B", "2"}};
  return std::make_shared<const TaskSpec>(std::move(spec));
}

LaunchFact FactOf(const Attempt& a, std::uint32_t launch, LaunchState state) {
  LaunchFact fact;
  fact.key = {a.key.task, a.key.attempt, launch};
  fact.placement = a.placement;
  fact.state = state;
  if (state == LaunchState::kExited) fact.cause = ExitCause::kSignaled;
  return fact;
}

// As a start reads it.
Attempt ReadBack(const store::WriteBatch& batch) {
  store::MemoryStore store(WorkerSchema());
  store::WriteBatch meta;
  Meta known;
  known.instance = 1;
  PutMeta(meta, known);
  EXPECT_TRUE(store.Commit(meta));
  EXPECT_TRUE(store.Commit(batch));
  auto state = LoadState(store, kNode);
  EXPECT_TRUE(state) << state.error().Text();
  EXPECT_EQ(state->attempts.size(), 1u);
  return state->attempts.at(0);
}

void ExpectSame(const Attempt& back, Attempt put) {
  EXPECT_EQ(back.spec == nullptr, put.spec == nullptr);
  if (back.spec && put.spec) {
    EXPECT_EQ(*back.spec, *put.spec);
  }
  put.spec = back.spec;
  EXPECT_EQ(back, put);
}

TEST(AttemptRecord, IsTheSameWithASpecificationThatIsKnown) {
  SpecBytes specs;
  Attempt a = SomeAttempt(SomeSpec("web:1"));
  for (int again = 0; again < 2; ++again) {
    store::WriteBatch batch;
    PutAttempt(batch, a, specs);
    ExpectSame(ReadBack(batch), a);
  }
  EXPECT_EQ(specs.size(), 1u);
  Attempt other = SomeAttempt(SomeSpec("web:2"));
  store::WriteBatch batch;
  PutAttempt(batch, other, specs);
  ExpectSame(ReadBack(batch), other);
}

TEST(AttemptRecord, HasNoSpecificationOnceItIsDone) {
  SpecBytes specs;
  Attempt a = SomeAttempt(nullptr);
  a.done = true;
  a.final_fact = 12;
  a.last_fact = FactOf(a, 4, LaunchState::kExited);
  store::WriteBatch batch;
  PutAttempt(batch, a, specs);
  ExpectSame(ReadBack(batch), a);
  EXPECT_EQ(specs.size(), 0u);
}

TEST(SpecBytes, AreForgottenWhenTheLaunchIsUp) {
  SpecBytes specs;
  Attempt a = SomeAttempt(SomeSpec("web:1"));
  const auto put = [&](std::uint32_t launch, LaunchState state) {
    store::WriteBatch batch;
    a.last_fact = FactOf(a, launch, state);
    PutAttempt(batch, a, specs);
    ExpectSame(ReadBack(batch), a);
    return specs.size();
  };
  EXPECT_EQ(put(3, LaunchState::kExited), 1u) << "of the launch before";
  EXPECT_EQ(put(4, LaunchState::kStarting), 1u);
  EXPECT_EQ(put(4, LaunchState::kRunning), 0u);
}

TEST(SpecBytes, AreKeptAsTheyCame) {
  AssignBatch told;
  told.term = {1, 1};
  told.node = NodeName::Trusted("n1");
  told.seq = 1;
  for (const char* image : {"web", "db"}) {
    told.items.emplace_back(
        Assignment{TaskId::Trusted(image), 1, {1, 1}, SomeSpec(image), false, {}});
  }
  const std::string payload = wire::EncodeAssign(told);
  std::vector<wire::EncodedSpec> came;
  const auto batch = wire::DecodeAssignAndSpecs(payload, came);
  ASSERT_TRUE(batch) << batch.error().Text();
  ASSERT_EQ(came.size(), 2u);
  SpecBytes kept;
  for (const wire::EncodedSpec& one : came) kept.Keep(one.spec, one.bytes);
  EXPECT_EQ(kept.size(), 2u);
  for (std::size_t i = 0; i < came.size(); ++i) {
    const TaskSpecPtr& spec = std::get<Assignment>(batch->items[i]).spec;
    EXPECT_EQ(came[i].spec, spec);
    const std::string bytes = kept.Of(spec);
    v1::AssignmentRecord record;
    ASSERT_TRUE(record.ParseFromString(bytes));
    const auto back = wire::FromProto(record.spec());
    ASSERT_TRUE(back) << back.error().Text();
    EXPECT_EQ(*back, *spec);
    kept.Keep(spec, "other");
    EXPECT_EQ(kept.Of(spec), bytes) << "known already";
  }
}

TEST(SpecBytes, AreLimited) {
  SpecBytes specs;
  std::vector<TaskSpecPtr> held;
  for (std::size_t i = 0; i < 2 * kSpecBytesMax; ++i) {
    held.push_back(SomeSpec("web"));
    (void)specs.Of(held.back());
  }
  EXPECT_EQ(specs.size(), kSpecBytesMax);
  held.clear();
  (void)specs.Of(SomeSpec("web"));
  EXPECT_EQ(specs.size(), 1u) << "those that nobody has any more are dropped";
}

}  // namespace
}  // namespace cube::worker
