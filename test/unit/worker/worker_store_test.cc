#include "services/worker/worker_store.h"

#include <cube/v1/records.pb.h>
#include <gtest/gtest.h>

#include <functional>

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

}  // namespace
}  // namespace cube::worker
