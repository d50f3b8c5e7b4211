// The contract on the in-memory twin, and what only the twin can do.
#include "test/support/bus/sim_bus.h"

#include <gtest/gtest.h>

#include <sstream>

#include "test/support/bus/contract.h"
#include "test/support/bus/sim_clock.h"

namespace cube::bus {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations read better so

class SimFixture final : public BusFixture {
 public:
  std::unique_ptr<Bus> Make(const std::string& name, Sink sink) override {
    return std::make_unique<SimBus>(server_, name, std::move(sink));
  }
  bool Until(const std::function<bool()>& done) override {
    const MonoTime end = clock_.now().mono + 120s;  // simulated
    while (!done()) {
      if (server_.Step()) continue;
      const auto next = server_.NextEventAt();
      if (!next || *next > end) return false;
      clock_.AdvanceTo(*next);
    }
    return true;
  }
  void KillServer() override { server_.Stop(); }
  void StartServer() override { server_.Start(); }
  void Purge(const std::string& stream, std::uint64_t before_seq) override {
    server_.Purge(stream, before_seq);
  }
  void DeleteStream(const std::string& stream) override { server_.DeleteStream(stream); }

  SimClock clock_;
  SimServer server_{clock_, Random(1)};
};

std::unique_ptr<BusFixture> MakeSimFixture() { return std::make_unique<SimFixture>(); }

INSTANTIATE_TEST_SUITE_P(Sim, BusContract, testing::Values(&MakeSimFixture));

StreamConfig OneStream() {
  StreamConfig config;
  config.name = "LOG";
  config.subjects = {"log.*"};
  return config;
}

// A writer and a reader under faults; the trace says what was seen, in order.
struct FaultyRun {
  std::string trace;
  std::vector<std::uint64_t> read;
  std::set<std::uint64_t> acknowledged;
  std::vector<std::uint64_t> stored;
  std::size_t failed = 0;
  std::size_t timed_out_but_stored = 0;
};

FaultyRun RunWithFaults(std::uint64_t seed, const SimFaults& faults) {
  SimFixture world;
  SimServer server(world.clock_, Random(seed));
  FaultyRun run;
  std::ostringstream trace;
  std::set<std::string> lost_payloads;
  {
    SimBus writer(server, "writer", [&](Event event) {
      trace << "w" << event.index();
      if (const auto* a = std::get_if<Appended>(&event)) {
        run.acknowledged.insert(a->seq);
        trace << ":" << a->op << "=" << a->seq;
      } else if (const auto* f = std::get_if<AppendFailed>(&event)) {
        ++run.failed;
        if (f->error.code == Code::kTimedOut) lost_payloads.insert(std::to_string(f->op));
      }
      trace << " ";
    });
    SimBus reader(server, "reader", [&](Event event) {
      if (const auto* r = std::get_if<Read>(&event)) {
        run.read.push_back(r->message.seq);
        trace << "r" << r->message.seq << " ";
      }
    });
    const auto go = [&](Duration time) {
      const MonoTime end = world.clock_.now().mono + time;
      while (server.NextEventAt() && *server.NextEventAt() <= end) {
        world.clock_.AdvanceTo(*server.NextEventAt());
        server.Step();
      }
      world.clock_.AdvanceTo(end);
    };
    go(1s);
    writer.EnsureStreams(1, {OneStream()});
    go(1s);
    reader.OpenReader(1, "LOG", 1);
    reader.Pull(1, 1'000'000);
    server.set_faults(faults);
    for (OpId op = 10; op < 400; ++op) {
      AppendRequest request;
      request.op = op;
      request.subject = "log.a";
      request.payload = std::to_string(op);
      writer.Append(std::move(request));
      go(3ms);
    }
    server.set_faults({});
    go(60s);
    if (const SimStream* stream = server.FindStream("LOG")) {
      for (const auto& [seq, message] : stream->messages()) {
        run.stored.push_back(seq);
        if (lost_payloads.contains(message.payload)) ++run.timed_out_but_stored;
      }
    }
  }
  run.trace = trace.str();
  return run;
}

SimFaults Heavy() {
  SimFaults faults;
  faults.connection_lost = 20'000;
  faults.ack_lost = 10'000;
  faults.delayed = 100'000;
  faults.delay_max = 50ms;
  return faults;
}

TEST(SimServerTest, SameSeedSameTrace) {
  const FaultyRun first = RunWithFaults(7, Heavy());
  EXPECT_EQ(first.trace, RunWithFaults(7, Heavy()).trace);
  EXPECT_NE(first.trace, RunWithFaults(8, Heavy()).trace);
}

TEST(SimServerTest, UnderFaultsReadersSeeEachStoredMessageOnce) {
  std::size_t failed = 0;
  std::size_t ambiguous = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const FaultyRun run = RunWithFaults(seed, Heavy());
    ASSERT_GT(run.stored.size(), 50U) << "seed " << seed;
    ASSERT_EQ(run.read, run.stored) << "seed " << seed;
    const std::set<std::uint64_t> stored(run.stored.begin(), run.stored.end());
    for (const std::uint64_t seq : run.acknowledged) ASSERT_TRUE(stored.contains(seq));
    failed += run.failed;
    ambiguous += run.timed_out_but_stored;
  }
  EXPECT_GT(failed, 0U);
  EXPECT_GT(ambiguous, 0U);  // the case that callers get wrong does occur
}

TEST(SimServerTest, CoreMessagesAreLostAndDoubledAsAsked) {
  SimFixture world;
  std::size_t received = 0;
  SimBus a(world.server_, "a", [](const Event&) {});
  SimBus b(world.server_, "b",
           [&](const Event& e) { received += std::get_if<Message>(&e) ? 1 : 0; });
  world.Until([&] { return a.connected() && b.connected(); });
  b.Subscribe(1, "x", "");
  world.Until([] { return false; });
  const auto publish = [&](SimFaults faults) {
    received = 0;
    world.server_.set_faults(faults);
    for (int i = 0; i < 1000; ++i) a.Publish("x", {}, "");
    world.Until([] { return false; });
    return received;
  };
  EXPECT_EQ(publish({}), 1000U);
  SimFaults lossy;
  lossy.message_lost = 500'000;
  const std::size_t kept = publish(lossy);
  EXPECT_GT(kept, 300U);
  EXPECT_LT(kept, 700U);
  SimFaults doubling;
  doubling.message_doubled = 1'000'000;
  EXPECT_EQ(publish(doubling), 2000U);
}

TEST(SimServerTest, ALostTailGivesItsSequencesAgain) {
  SimFixture world;
  Recorder r(world, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  r->EnsureStreams(r.NextOp(), {OneStream()});
  const auto append = [&](const std::string& payload) {
    AppendRequest request;
    request.op = r.NextOp();
    request.subject = "log.a";
    request.payload = payload;
    r->Append(request);
    return r.UntilOp<Appended>(request.op);
  };
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(append("old"));
  world.server_.Stop();
  world.server_.LoseTail("LOG", 1);
  world.server_.Start();
  ASSERT_TRUE(r.UntilCount<Connected>(2));
  const auto again = append("new");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->seq, 2U);
}

TEST(SimServerTest, ALeaseExpires) {
  SimFixture world;
  Recorder r(world, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  StreamConfig lease;
  lease.name = "LEASE";
  lease.subjects = {"lease"};
  lease.messages_per_subject_max = 1;
  lease.age_max = 10s;
  r->EnsureStreams(r.NextOp(), {lease});
  const auto create = [&] {
    AppendRequest request;
    request.op = r.NextOp();
    request.subject = "lease";
    request.expected_last_subject_seq = 0;
    r->Append(request);
    return r.UntilOp<Appended>(request.op).has_value();
  };
  EXPECT_TRUE(create());
  world.clock_.Advance(9s);
  EXPECT_FALSE(create());
  world.clock_.Advance(2s);
  EXPECT_TRUE(create());
}

TEST(SimServerTest, ADescriptionIsGivenOnce) {
  SimFixture world;
  Recorder r(world, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  StreamConfig config = OneStream();
  for (const auto& [given, there] : {std::pair{"", ""}, {"first", "first"}, {"second", "first"}}) {
    config.description = given;
    const OpId op = r.NextOp();
    r->EnsureStreams(op, {config});
    ASSERT_TRUE(r.UntilOp<StreamsReady>(op));
    EXPECT_EQ(world.server_.FindStream("LOG")->config().description, there);
  }
}

TEST(SimServerTest, AConnectionLostUnderAPurgeLeavesItsOutcomeUnknown) {
  std::size_t purged = 0;
  std::size_t kept = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SimClock clock;
    SimServer server(clock, Random(seed));
    std::optional<Code> failed;
    bool ready = false;
    SimBus bus(server, "a", [&](const Event& event) {
      ready = ready || std::holds_alternative<StreamsReady>(event);
      if (const auto* f = std::get_if<OpFailed>(&event)) failed = f->error.code;
    });
    const auto until = [&](const std::function<bool()>& done) {
      while (!done() && server.NextEventAt()) {
        clock.AdvanceTo(*server.NextEventAt());
        server.Step();
      }
      return done();
    };
    until([&] { return bus.connected(); });
    bus.EnsureStreams(1, {OneStream()});
    ASSERT_TRUE(until([&] { return ready; }));
    server.PublishAs("log.a", {}, "x");
    bus.Purge(2, "LOG", 1);
    server.Disconnect(bus.client());
    ASSERT_TRUE(until([&] { return failed.has_value(); }));
    EXPECT_EQ(*failed, Code::kTimedOut);
    until([] { return false; });
    const bool gone = server.FindStream("LOG")->messages().empty();
    purged += gone ? 1 : 0;
    kept += gone ? 0 : 1;
  }
  EXPECT_GT(purged, 0U);
  EXPECT_GT(kept, 0U);
}

TEST(SimStreamTest, SubjectsMatch) {
  EXPECT_TRUE(SubjectMatches("a.b", "a.b"));
  EXPECT_TRUE(SubjectMatches("a.*", "a.b"));
  EXPECT_TRUE(SubjectMatches("a.>", "a.b.c"));
  EXPECT_TRUE(SubjectMatches(">", "a"));
  EXPECT_FALSE(SubjectMatches("a.>", "a"));
  EXPECT_FALSE(SubjectMatches("a.*", "a.b.c"));
  EXPECT_FALSE(SubjectMatches("a.b", "a"));
  EXPECT_FALSE(SubjectMatches("a", "a.b"));
}

}  // namespace
}  // namespace cube::bus
