// Managers on a server whose streams are small: snapshots are written and read back, the log behind
// them is trimmed, and a manager that knows nothing begins with what was kept.
#include "services/manager/retention.h"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/manager/manager_loop.h"
#include "services/manager/store_port.h"
#include "services/manager/view_store.h"
#include "shared/store/memory_store.h"
#include "shared/wire/codec.h"
#include "test/support/bus/sim_bus.h"
#include "test/support/bus/sim_clock.h"

namespace cube::manager {
namespace {

using std::chrono::seconds;

constexpr std::int64_t kStreamBytes = 32 << 10;

// A manager's process, with its store.
class Manager {
 public:
  Manager(bus::SimServer& server, SimClock& clock, std::string name,
          std::shared_ptr<store::MemoryStore> store = nullptr)
      : clock_(clock), store_(store ? std::move(store) : NewStore()), port_(*store_) {
    ManagerOptions options;
    options.name = options.owner = name;
    options.seed = std::hash<std::string>()(name);
    options.limits.intents_bytes_max = options.limits.decisions_bytes_max =
        options.limits.facts_bytes_max = kStreamBytes;
    options.retention.chunk_bytes = 2048;
    loop_ = *ManagerLoop::Make(std::move(options),
                               [this](ViewRecords& records) { return records.Load(*store_); });
    bus_ = std::make_unique<bus::SimBus>(
        server, name, [this](bus::Event event) { inbox_.push_back({std::move(event), {}}); });
  }
  static std::shared_ptr<store::MemoryStore> NewStore() {
    return std::make_shared<store::MemoryStore>(ViewSchema());
  }

  // -> whether there was anything to do.
  bool Run() {
    if (inbox_.empty() && DueAt() > clock_.now().mono) return false;
    while (!delayed_.empty() && delayed_.front().first <= clock_.now().mono) {
      bus::Execute(*bus_, std::move(delayed_.front().second));
      delayed_.pop_front();
    }
    std::vector<Input> inputs(std::make_move_iterator(inbox_.begin()),
                              std::make_move_iterator(inbox_.end()));
    inbox_.clear();
    for (Operation& operation : loop_->Step(inputs, clock_.now(), false)) {
      if (operations_left == 0) return false;
      --operations_left;
      Execute(operation);
    }
    return true;
  }
  [[nodiscard]] MonoTime DueAt() const {
    const MonoTime due = loop_->NextDeadline();
    return delayed_.empty() ? due : std::min(due, delayed_.front().first);
  }
  [[nodiscard]] const ManagerLoop& loop() const { return *loop_; }
  [[nodiscard]] const std::shared_ptr<store::MemoryStore>& store() const { return store_; }
  [[nodiscard]] bool Said(std::string_view text) const {
    for (const std::string& line : lines_) {
      if (line.contains(text)) return true;
    }
    return false;
  }
  // The store does nothing from the next reading of a scan on, until it goes on.
  void StallStore() { stalls_ = true; }
  void GoOn() {
    stalls_ = false;
    for (; !waiting_.empty(); waiting_.pop_front()) DoInStore(waiting_.front());
  }
  [[nodiscard]] bool IsStalled() const { return !waiting_.empty(); }
  void Reconnect() {
    inbox_.push_back({bus::Disconnected{"gone"}, {}});
    inbox_.push_back({bus::Connected{"2.10.25"}, {}});
  }
  Duration latency{0};  // what is asked of the bus gets there so much later
  int scans = 0;        // that were begun
  // What the store held when the newest one was.
  store::MemoryStore::Contents frozen;
  // The newest decision when the last snapshot was begun.
  std::uint64_t frozen_at = 0;
  // Then it is killed.
  std::uint64_t operations_left = std::numeric_limits<std::uint64_t>::max();

 private:
  void Execute(Operation& operation) {
    if (auto* call = std::get_if<bus::Operation>(&operation)) {
      if (latency == Duration{0}) return bus::Execute(*bus_, std::move(*call));
      delayed_.emplace_back(clock_.now().mono + latency, std::move(*call));
    } else if (const auto* line = std::get_if<LogLine>(&operation)) {
      lines_.push_back(line->text);
    } else {
      if (std::holds_alternative<Freeze>(operation)) {
        frozen_at = loop_->view().valid_seq;
        ++scans;
      }
      const bool waits = stalls_ && std::holds_alternative<ReadFrozen>(operation);
      if (waits || IsStalled()) {
        waiting_.push_back(std::move(operation));
      } else {
        DoInStore(operation);
      }
    }
  }
  void DoInStore(const Operation& operation) {
    if (const auto* commit = std::get_if<Commit>(&operation)) {
      ASSERT_TRUE(port_.Commit(commit->batch));
    } else if (std::holds_alternative<Freeze>(operation)) {
      port_.Freeze();
      frozen = store_->contents();
    } else if (const auto* read = std::get_if<ReadFrozen>(&operation)) {
      inbox_.push_back({{}, port_.ReadFrozen(read->bytes_max)});
    } else if (std::holds_alternative<Thaw>(operation)) {
      port_.Thaw();
    }
  }

  SimClock& clock_;
  std::shared_ptr<store::MemoryStore> store_;
  StorePort port_;
  std::unique_ptr<ManagerLoop> loop_;
  std::unique_ptr<bus::SimBus> bus_;
  std::deque<Input> inbox_;
  std::deque<std::pair<MonoTime, bus::Operation>> delayed_;
  bool stalls_ = false;
  std::deque<Operation> waiting_;  // for the store
  std::vector<std::string> lines_;
};

class RetentionTest : public testing::Test {
 protected:
  Manager& Start(const std::string& name, std::shared_ptr<store::MemoryStore> store = nullptr) {
    manager_ = std::make_unique<Manager>(server_, clock_, name, std::move(store));
    Pass(seconds(8));  // the lease of the one before has run out
    return *manager_;
  }
  void Pass(Duration time) {
    const MonoTime until = clock_.now().mono + time;
    while (clock_.now().mono < until) {
      while (server_.Step()) {
      }
      if (manager_ && manager_->Run()) continue;
      MonoTime next = until;
      if (server_.NextEventAt()) next = std::min(next, *server_.NextEventAt());
      if (manager_ && manager_->operations_left > 0) {
        next = std::min(next, manager_->DueAt());
      }
      clock_.AdvanceTo(std::max(next, clock_.now().mono + Duration(1)));
    }
  }
  // A task that waits for ever (there are no nodes), of about 500 bytes.
  void Submit(const std::string& id) {
    TaskSpec spec;
    spec.name = TaskName::Trusted("t");
    spec.image = "i";
    spec.env["B"] = std::string(400, 'x') + id;
    server_.PublishAs(names_.TasksSubmit(), {},
                      wire::EncodeSubmit({{TaskId::Trusted(id),
                                           std::make_shared<const TaskSpec>(std::move(spec))}}));
  }
  // Submits and stops so many that the streams have been full more than once.
  void Fill(int tasks = 200) {
    for (int i = 0; i < tasks; ++i) {
      const std::string id = "t-" + std::to_string(next_++);
      Submit(id);
      if (i % 10 != 0) {
        server_.PublishAs(names_.TasksStop(), {}, wire::EncodeStop({{TaskId::Trusted(id), {}}}));
      }
      Pass(std::chrono::milliseconds(50));
    }
    Pass(seconds(1));
  }
  std::uint64_t FirstOf(const std::string& stream) {
    return server_.FindStream(stream)->State().first_seq;
  }
  StoredManifest Newest() {
    const bus::StreamMessage* message =
        server_.FindStream(names_.SnapshotsStream())->FindLast(names_.SnapshotManifest());
    return {*wire::DecodeSnapshotManifest(message->payload), message->seq};
  }
  // What a manager that never stopped knows of the tasks.
  static std::string Tasks(const View& view) {
    std::string lines;
    for (const std::string& line : ViewLines(view)) {
      if (line.starts_with("task ")) lines += line + "\n";
    }
    return lines;
  }

  SimClock clock_;
  bus::SimServer server_{clock_, Random(1)};
  wire::Subjects names_;
  std::unique_ptr<Manager> manager_;
  int next_ = 0;
};

TEST_F(RetentionTest, NothingIsTrimmedBeforeAStreamFillsUp) {
  Start("a");
  Fill(30);
  EXPECT_EQ(FirstOf(names_.IntentsStream()), 1U);
  EXPECT_EQ(FirstOf(names_.DecisionsStream()), 1U);
  EXPECT_GE(manager_->loop().figures().retention.snapshots, 1U) << "but it could be";
}

TEST_F(RetentionTest, TheLogIsTrimmedBehindTheSnapshotBeforeTheNewest) {
  Start("a");
  Fill();
  for (const std::string& stream : {names_.IntentsStream(), names_.DecisionsStream()}) {
    const bus::StreamState state = server_.FindStream(stream)->State();
    EXPECT_GT(state.first_seq, 1U) << stream;
    EXPECT_LT(state.bytes, static_cast<std::uint64_t>(kStreamBytes)) << stream;
  }
  const SnapshotManifest manifest = Newest().manifest;
  ASSERT_TRUE(manifest.previous);
  EXPECT_LE(FirstOf(names_.IntentsStream()), manifest.previous->cover.intents.seq);
  EXPECT_LE(FirstOf(names_.DecisionsStream()), manifest.previous->cover.decision);
  EXPECT_EQ(FirstOf(names_.SnapshotsStream()), manifest.previous->first_chunk)
      << "older ones are removed";
}

// The view is saved each second only; in less time a stream can fill.
TEST_F(RetentionTest, ASnapshotIsOfAllThatIsDecided) {
  Start("a");
  manager_->latency = std::chrono::milliseconds(10);
  std::size_t snapshots = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::string id = "t-" + std::to_string(i);
    Submit(id);
    server_.PublishAs(names_.TasksStop(), {}, wire::EncodeStop({{TaskId::Trusted(id), {}}}));
    Pass(std::chrono::milliseconds(5));
    if (manager_->loop().figures().retention.snapshots == snapshots) continue;
    snapshots = manager_->loop().figures().retention.snapshots;
    EXPECT_EQ(Newest().manifest.cover.decision, manager_->frozen_at) << "snapshot " << snapshots;
  }
  EXPECT_GE(snapshots, 4U);
}

// The store is busy; meanwhile the connection is lost and comes back, and another scan is begun.
TEST_F(RetentionTest, WhatAnotherScanGivesLateIsNotPutIntoASnapshot) {
  Manager& manager = Start("a");
  manager.latency = std::chrono::milliseconds(10);
  manager.StallStore();
  for (int i = 0; i < 400 && !manager.IsStalled(); ++i) {
    Submit("t-" + std::to_string(i));
    Pass(std::chrono::milliseconds(20));
  }
  ASSERT_TRUE(manager.IsStalled());
  const int begun = manager.scans;
  manager.Reconnect();
  Pass(seconds(10));
  ASSERT_GT(manager.scans, begun);
  const std::uint64_t before = manager.loop().figures().retention.snapshots;
  manager.GoOn();
  Pass(seconds(10));
  ASSERT_GT(manager.loop().figures().retention.snapshots, before);
  std::size_t rows = 0;
  for (const auto& table : manager.frozen) rows += table.size();
  EXPECT_EQ(Newest().manifest.rows, rows);
}

TEST_F(RetentionTest, AManagerThatKnowsNothingBeginsWithTheSnapshot) {
  Start("a");
  Fill();
  const std::string known = Tasks(manager_->loop().view());
  Start("b");
  EXPECT_TRUE(manager_->Said("reading the snapshot"));
  EXPECT_TRUE(manager_->loop().leading());
  EXPECT_EQ(Tasks(manager_->loop().view()), known);
}

TEST_F(RetentionTest, OneThatWasAwayTooLongBeginsWithTheSnapshot) {
  Start("a");
  Fill(20);
  const auto old = std::make_shared<store::MemoryStore>(*manager_->store());
  Fill();
  const std::string known = Tasks(manager_->loop().view());
  Start("a", old);
  EXPECT_TRUE(manager_->Said("reading the snapshot"));
  EXPECT_EQ(Tasks(manager_->loop().view()), known);
}

TEST_F(RetentionTest, OneThatKnowsEnoughReadsTheLogOn) {
  Start("a");
  Fill();
  const auto store = manager_->store();
  Start("a", store);
  EXPECT_FALSE(manager_->Said("reading the snapshot"));
  EXPECT_TRUE(manager_->loop().leading());
}

TEST_F(RetentionTest, ABrokenSnapshotGivesWayToTheOneBefore) {
  Start("a");
  Fill();
  const std::string known = Tasks(manager_->loop().view());
  manager_.reset();
  const StoredManifest good = Newest();
  SnapshotManifest broken = good.manifest;
  broken.snapshot = 99;
  broken.previous = SnapshotReference{good.seq, good.manifest.first_chunk, good.manifest.cover};
  server_.PublishAs(names_.SnapshotManifest(), {}, wire::EncodeSnapshotManifest(broken));
  Start("b");
  EXPECT_TRUE(manager_->Said("cannot be used"));
  EXPECT_TRUE(manager_->loop().leading());
  EXPECT_EQ(Tasks(manager_->loop().view()), known);
}

TEST_F(RetentionTest, ASnapshotOfAnotherVersionGivesWay) {
  Start("a");
  Fill();
  const std::string known = Tasks(manager_->loop().view());
  manager_.reset();
  const StoredManifest good = Newest();
  SnapshotManifest other = good.manifest;
  other.schema += 1;
  other.previous = SnapshotReference{good.seq, good.manifest.first_chunk, good.manifest.cover};
  server_.PublishAs(names_.SnapshotManifest(), {}, wire::EncodeSnapshotManifest(other));
  Start("b");
  EXPECT_TRUE(manager_->Said("another version"));
  EXPECT_EQ(Tasks(manager_->loop().view()), known);
}

TEST_F(RetentionTest, ATrimmedLogWithoutSnapshotIsNotLed) {
  Start("a");
  Fill();
  manager_.reset();
  server_.DeleteStream(names_.SnapshotsStream());
  Start("b");
  EXPECT_TRUE(manager_->Said("no snapshot of it is there"));
  EXPECT_FALSE(manager_->loop().leading());
}

// Wherever the reading of a snapshot is cut off, the next start begins it anew.
TEST_F(RetentionTest, AReadingThatIsCutOffBeginsAnew) {
  Start("a");
  Fill();
  const std::string known = Tasks(manager_->loop().view());
  for (std::uint64_t operations = 10; operations < 40; ++operations) {
    manager_ = std::make_unique<Manager>(server_, clock_, "b");
    manager_->operations_left = operations;
    Pass(seconds(4));
    const auto store = manager_->store();
    Start("c" + std::to_string(operations), store);
    ASSERT_TRUE(manager_->loop().leading()) << operations;
    ASSERT_EQ(Tasks(manager_->loop().view()), known) << operations;
  }
}

// Snapshots stay when the streams of the log are made anew: they are of another log.
TEST_F(RetentionTest, SnapshotsOfAnotherLogAreNotBelieved) {
  Start("a");
  Fill();
  manager_.reset();
  for (const std::string& stream :
       {names_.IntentsStream(), names_.FactsStream(), names_.DecisionsStream()}) {
    server_.DeleteStream(stream);
  }
  Start("b");
  EXPECT_TRUE(manager_->loop().leading());
  EXPECT_TRUE(manager_->loop().view().tasks.empty());
  const std::uint64_t before = Newest().manifest.snapshot;
  Fill();
  EXPECT_NE(Newest().manifest.snapshot, before);
  EXPECT_GT(FirstOf(names_.IntentsStream()), 1U);
  const std::string known = Tasks(manager_->loop().view());
  Start("c");
  EXPECT_EQ(Tasks(manager_->loop().view()), known);
}

// One that stood still while another one led wakes up behind what is trimmed, and has the lease.
TEST_F(RetentionTest, AHolderThatLagsReadsOnBeforeItKeepsTheLog) {
  Start("a");
  Fill(20);
  std::unique_ptr<Manager> paused = std::move(manager_);
  Start("b");
  Fill();
  const std::string known = Tasks(manager_->loop().view());
  const std::uint64_t covered = Newest().manifest.cover.decision;
  manager_ = std::move(paused);
  Pass(seconds(30));
  EXPECT_TRUE(manager_->loop().leading());
  EXPECT_EQ(Tasks(manager_->loop().view()), known);
  EXPECT_GE(Newest().manifest.cover.decision, covered) << "no older one stands in front";
}

// The streams have lost their ends, and the decisions are full: only room helps.
class RetentionOfALostEnd : public testing::Test {
 protected:
  RetentionOfALostEnd() {
    saved_.cluster = lost_.cluster = "c";
    saved_.cover = {
        {40, WallFromNanos(1)}, {120, WallFromNanos(1)}, 172, {.term_id = 1, .cycle = 9}};
    lost_.snapshot = 5;
    lost_.schema = ViewSchema().version;
    lost_.first_chunk = lost_.chunks = 1;
    lost_.rows = lost_.bytes = 1;
    lost_.manager = "a";
  }
  // -> whether it writes a snapshot of what is saved.
  bool WritesOne() {
    retention_.OnFull();
    bool writes = false;
    for (int i = 0; i < 3; ++i) {
      retention_.Step(saved_, {MonoTime(std::chrono::hours(1)), WallFromNanos(1'000'000'000)},
                      random_, next_op_, out_);
      for (const Operation& operation : out_.Take()) {
        writes = writes || std::holds_alternative<Freeze>(operation);
        if (const auto* call = std::get_if<bus::Operation>(&operation)) Answer(*call);
      }
    }
    return writes;
  }
  void Answer(const bus::Operation& call) {
    bus::StreamMessage message;
    if (const auto* state = std::get_if<bus::GetState>(&call)) {
      bus::StreamState answer;
      answer.first_seq = 1;
      answer.last_seq = 200;
      answer.messages = 200;
      answer.bytes_max = 51'200;
      answer.bytes = state->stream == names_.DecisionsStream() ? 48'397 : 10'000;
      EXPECT_TRUE(retention_.OnState({state->op, answer}));
    } else if (const auto* last = std::get_if<bus::GetLast>(&call)) {
      message.seq = 9;
      message.subject = names_.SnapshotManifest();
      message.payload = wire::EncodeSnapshotManifest(lost_);
      EXPECT_TRUE(retention_.OnGot({last->op, message}));
    } else if (const auto* get = std::get_if<bus::Get>(&call)) {
      const bool decision = get->stream == names_.DecisionsStream();
      message.seq = get->seq;
      message.time = WallFromNanos(1 + (is_same_ ? 0 : 1));
      if (decision) {
        DecisionBatch batch;
        batch.term = {1, lost_.cover.stamp.term_id};
        batch.cycle = lost_.cover.stamp.cycle;
        message.payload = wire::EncodeDecisions(batch);
      }
      EXPECT_TRUE(retention_.OnGot({get->op, message}));
    }
  }

  const wire::Subjects names_;
  Retention retention_{names_, "a", {}};
  Random random_{1};
  Operations out_;
  bus::OpId next_op_ = 1;
  Saved saved_;
  SnapshotManifest lost_;  // the newest one
  bool is_same_ = false;   // the log has at its positions what it had then
};

// Messages have come since: the facts reach beyond what the newest snapshot covers, and cannot be
// folded.
TEST_F(RetentionOfALostEnd, ASnapshotOfTheLostPartIsNotWaitedFor) {
  lost_.cover = {{30, WallFromNanos(1)}, {153, WallFromNanos(1)}, 145, {.term_id = 1, .cycle = 3}};
  EXPECT_TRUE(WritesOne());
}

// The decision that the snapshot is as of is there, and counts no more: nobody will come to it.
TEST_F(RetentionOfALostEnd, OneThatIsAheadIsWaitedForOnlyIfItIsOfThisLog) {
  lost_.cover = {{41, WallFromNanos(1)}, {121, WallFromNanos(1)}, 173, {.term_id = 1, .cycle = 10}};
  is_same_ = true;
  EXPECT_FALSE(WritesOne()) << "another one has led meanwhile";
  is_same_ = false;
  retention_ = Retention(names_, "a", {});
  EXPECT_TRUE(WritesOne());
}

// A stream that is full cannot grow, and no snapshot seems due by its growth.
TEST_F(RetentionTest, AFullLogIsTrimmedByWhoeverComes) {
  Start("a");
  Pass(seconds(1));
  manager_.reset();
  int stored = 0;
  std::uint64_t last = 0;
  do {
    last = server_.FindStream(names_.IntentsStream())->State().last_seq;
    Submit("f-" + std::to_string(stored++));
  } while (server_.FindStream(names_.IntentsStream())->State().last_seq > last);
  Start("b");
  Pass(seconds(5));
  EXPECT_GT(FirstOf(names_.IntentsStream()), 1U);
  EXPECT_EQ(manager_->loop().view().tasks.size(), last);
}

}  // namespace
}  // namespace cube::manager
