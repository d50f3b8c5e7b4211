// The contract on a real nats-server, and what only a real one can show.
#include "shared/bus/nats_bus.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "shared/bus/blocking.h"
#include "shared/bus/nats_link.h"
#include "test/support/bus/contract.h"
#include "test/support/bus/nats_server.h"

namespace cube::bus {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations read better so

class NatsFixture final : public BusFixture {
 public:
  explicit NatsFixture(std::unique_ptr<NatsServer> server) : server_(std::move(server)) {}

  NatsBusOptions Options(const std::string& name) const {
    NatsBusOptions options;
    options.urls = {server_->url()};
    options.name = name;
    return options;
  }
  std::unique_ptr<Bus> Make(const std::string& name, Sink sink) override {
    return std::make_unique<NatsBus>(Options(name), std::move(sink));
  }
  bool Until(const std::function<bool()>& done) override {
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(1ms);  // a poll with a deadline, not a guess
    }
    return true;
  }
  void KillServer() override { server_->Kill(); }
  void StartServer() override {
    const auto up = server_->Restart();
    ASSERT_TRUE(up) << up.error().Text();
  }
  void Purge(const std::string& stream, std::uint64_t before_seq) override {
    const auto answer =
        server_->Api("STREAM.PURGE." + stream, "{\"seq\":" + std::to_string(before_seq) + "}");
    ASSERT_TRUE(answer) << answer.error().Text();
    ASSERT_NE(answer->find("\"success\":true"), std::string::npos) << *answer;
  }
  void DeleteStream(const std::string& stream) override {
    const auto answer = server_->Api("STREAM.DELETE." + stream, "");
    ASSERT_TRUE(answer) << answer.error().Text();
  }
  NatsServer& server() { return *server_; }

 private:
  std::unique_ptr<NatsServer> server_;
};

std::unique_ptr<NatsFixture> StartFixture(NatsServerOptions options = {}) {
  auto server = NatsServer::Start(std::move(options));
  if (!server) {
    ADD_FAILURE() << server.error().Text();
    return nullptr;
  }
  return std::make_unique<NatsFixture>(std::move(*server));
}

std::unique_ptr<BusFixture> MakeNatsFixture() { return StartFixture(); }

INSTANTIATE_TEST_SUITE_P(Nats, BusContract, testing::Values(&MakeNatsFixture));

StreamConfig OneStream() {
  StreamConfig config;
  config.name = "LOG";
  config.subjects = {"log.*"};
  return config;
}

// ---- credentials --------------------------------------------------------------------------------

TEST(NatsBusTest, WrongCredentialsAreFinal) {
  NatsServerOptions server;
  server.extra_config = "authorization { users = [ { user: u, password: right } ] }";
  server.user_info = "u:right";
  const auto fixture = StartFixture(server);
  ASSERT_TRUE(fixture);
  std::mutex mutex;
  std::vector<Event> events;
  NatsBusOptions options = fixture->Options("wrong");
  options.user = "u";
  options.password = "wrong";
  {
    NatsBus bus(options, [&](Event event) {
      const std::lock_guard lock(mutex);
      events.push_back(std::move(event));
    });
    ASSERT_TRUE(fixture->Until([&] {
      const std::lock_guard lock(mutex);
      return !events.empty() && std::holds_alternative<Closed>(events.back());
    }));
  }
  EXPECT_EQ(std::get<Closed>(events.back()).error.code, Code::kPermission);
  events.clear();
  options.password = "right";
  NatsBus bus(options, [&](Event event) {
    const std::lock_guard lock(mutex);
    events.push_back(std::move(event));
  });
  EXPECT_TRUE(fixture->Until([&] {
    const std::lock_guard lock(mutex);
    return !events.empty() && std::holds_alternative<Connected>(events.front());
  }));
}

TEST(NatsBusTest, OptionsThatCannotWorkAreFinal) {
  const auto closed_with = [](NatsBusOptions options) -> Code {
    std::mutex mutex;
    std::optional<Code> code;
    NatsBus bus(std::move(options), [&](const Event& event) {
      const std::lock_guard lock(mutex);
      if (const auto* closed = std::get_if<Closed>(&event)) code = closed->error.code;
    });
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < deadline) {
      {
        const std::lock_guard lock(mutex);
        if (code) return *code;
      }
      std::this_thread::sleep_for(1ms);
    }
    return Code::kInternal;
  };
  NatsBusOptions creds;
  creds.creds_file = "/does/not/exist";
  EXPECT_EQ(closed_with(creds), Code::kInvalid);
  NatsBusOptions tls;
  tls.urls = {"tls://127.0.0.1:1"};
  if (!TlsIsSafe()) {
    EXPECT_EQ(closed_with(tls), Code::kUnsupported);
  }
}

// ---- what a person's stream keeps ---------------------------------------------------------------

TEST(NatsBusTest, AnUpdateKeepsFieldsItDoesNotKnow) {
  const auto fixture = StartFixture();
  ASSERT_TRUE(fixture);
  const auto made = fixture->server().Api(
      "STREAM.CREATE.LOG",
      R"({"name":"LOG","subjects":["log.*"],"retention":"limits","storage":"file","discard":"new",)"
      R"("max_bytes":1000000,"num_replicas":1,"description":"by hand",)"
      R"("duplicate_window":60000000000})");
  ASSERT_TRUE(made);
  Recorder r(*fixture, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  StreamConfig config = OneStream();
  config.bytes_max = 5'000'000;
  const OpId op = r.NextOp();
  r->EnsureStreams(op, {config});
  ASSERT_TRUE(r.UntilOp<StreamsReady>(op));
  const auto info = fixture->server().Api("STREAM.INFO.LOG", "");
  ASSERT_TRUE(info);
  EXPECT_NE(info->find("\"description\":\"by hand\""), std::string::npos) << *info;
  EXPECT_NE(info->find("\"max_bytes\":5000000"), std::string::npos) << *info;
  EXPECT_NE(info->find("\"duplicate_window\":60000000000"), std::string::npos) << *info;
  EXPECT_NE(info->find("\"allow_direct\":true"), std::string::npos) << *info;
}

TEST(NatsBusTest, AStreamGetsItsDescriptionOnceAndKeepsItOverOtherSubjects) {
  const auto fixture = StartFixture();
  ASSERT_TRUE(fixture);
  Recorder r(*fixture, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  const auto ensure = [&](const StreamConfig& config) {
    const OpId op = r.NextOp();
    r->EnsureStreams(op, {config});
    return r.UntilOp<StreamsReady>(op).has_value();
  };
  const auto shows = [&](const std::string& text) {
    const auto info = fixture->server().Api("STREAM.INFO.LOG", "");
    return info && info->find(text) != std::string::npos;
  };
  StreamConfig config = OneStream();
  ASSERT_TRUE(ensure(config));
  EXPECT_FALSE(shows("\"description\""));
  config.description = "a log";  // of an older version's stream
  ASSERT_TRUE(ensure(config));
  EXPECT_TRUE(shows("\"description\":\"a log\""));
  config.description = "another log";
  ASSERT_TRUE(ensure(config));
  EXPECT_TRUE(shows("\"description\":\"a log\""));
}

// The server makes a stream in steps: to the second of two that ask at once it says, by the step it
// is at, that it is made, that the name is taken, or that the subjects overlap.
TEST(NatsBusTest, ManyMakeTheSameStreamsAtOnce) {
  const auto fixture = StartFixture();
  ASSERT_TRUE(fixture);
  std::vector<std::unique_ptr<Recorder>> all;
  for (int i = 0; i < 4; ++i) {
    all.push_back(std::make_unique<Recorder>(*fixture, std::to_string(i)));
    ASSERT_TRUE(all.back()->UntilCount<Connected>(1));
  }
  for (int round = 0; round < 50; ++round) {
    std::vector<StreamConfig> configs(3);  // each may be lost to another one
    for (StreamConfig& config : configs) {
      config.name = "LOG" + std::to_string(round) + "-" + std::to_string(&config - configs.data());
      config.subjects = {config.name + ".*"};
    }
    std::vector<OpId> ops;
    for (const auto& one : all) {
      ops.push_back(one->NextOp());
      (*one)->EnsureStreams(ops.back(), configs);
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto ready = all[i]->UntilOp<StreamsReady>(ops[i]);
      const auto end = all[i]->EndOf(ops[i]);
      const OpFailed* failed = end ? std::get_if<OpFailed>(&*end) : nullptr;
      ASSERT_TRUE(ready) << "round " << round << ", bus " << i << ": "
                         << (failed != nullptr ? failed->error.Text() : "no answer");
    }
  }
}

TEST(NatsBusTest, AStreamOverAnothersSubjectsSaysSo) {
  const auto fixture = StartFixture();
  ASSERT_TRUE(fixture);
  Recorder r(*fixture, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  const OpId first = r.NextOp();
  r->EnsureStreams(first, {OneStream()});
  ASSERT_TRUE(r.UntilOp<StreamsReady>(first));
  StreamConfig config = OneStream();
  config.name = "OTHER";
  const OpId op = r.NextOp();
  r->EnsureStreams(op, {config});
  const auto failed = r.UntilOp<OpFailed>(op);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Code::kPrecondition);
  EXPECT_NE(failed->error.Text().find("OTHER"), std::string::npos) << failed->error.Text();
}

TEST(NatsBusTest, AStreamThatMayNotBePurgedSaysSo) {
  const auto fixture = StartFixture();
  ASSERT_TRUE(fixture);
  ASSERT_TRUE(fixture->server().Api(
      "STREAM.CREATE.LOG",
      R"({"name":"LOG","subjects":["log.*"],"num_replicas":1,"retention":"limits",)"
      R"("storage":"file","deny_purge":true})"));
  Recorder r(*fixture, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  AppendRequest request;
  request.op = r.NextOp();
  request.subject = "log.a";
  r->Append(request);
  ASSERT_TRUE(r.UntilOp<Appended>(request.op));
  const OpId op = r.NextOp();
  r->Purge(op, "LOG", 1);
  const auto failed = r.UntilOp<OpFailed>(op);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Code::kPrecondition) << failed->error.Text();
  EXPECT_NE(failed->error.message.find("purging stream LOG"), std::string::npos);
}

TEST(NatsBusTest, ReadsStreamsThatWereNotMadeForDirectGet) {
  const auto fixture = StartFixture();
  ASSERT_TRUE(fixture);
  ASSERT_TRUE(fixture->server().Api("STREAM.CREATE.PLAIN",
                                    R"({"name":"PLAIN","subjects":["plain.*"],"num_replicas":1,)"
                                    R"("retention":"limits","storage":"file"})"));
  Recorder r(*fixture, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  AppendRequest request;
  request.op = r.NextOp();
  request.subject = "plain.a";
  request.headers = {{"Key", "v1"}, {"Other", "v2"}};
  request.payload = std::string("\x00\x01\xfe any", 7);
  r->Append(request);
  ASSERT_TRUE(r.UntilOp<Appended>(request.op));
  const OpId op = r.NextOp();
  r->Get(op, "PLAIN", 1);
  const auto got = r.UntilOp<Got>(op);
  ASSERT_TRUE(got);
  ASSERT_TRUE(got->message);
  EXPECT_EQ(got->message->payload, request.payload);
  EXPECT_EQ(got->message->headers, request.headers);
}

// deploy/nats: only the managers' account has JetStream.
TEST(NatsBusTest, AnAccountLooksAtTheStreamsThatItImports) {
  NatsServerOptions server;
  server.extra_config = R"(accounts {
    HOME: { jetstream: enabled, users: [ { user: home, password: p } ], exports: [
      { service: "$JS.API.DIRECT.GET.LOG.log.mine" }, { service: "$JS.API.STREAM.INFO.LOG" } ] }
    AWAY: { users: [ { user: away, password: p } ], imports: [
      { service: { account: HOME, subject: "$JS.API.DIRECT.GET.LOG.log.mine" } },
      { service: { account: HOME, subject: "$JS.API.STREAM.INFO.LOG" }, to: "root.streams.LOG" } ] }
  })";
  server.user_info = "home:p";
  const auto fixture = StartFixture(server);
  ASSERT_TRUE(fixture);
  const SystemClock clock;
  const auto open = [&](const std::string& user, const std::string& prefix) {
    NatsBusOptions options = fixture->Options(user);
    options.user = user;
    options.password = "p";
    options.stream_info_prefix = prefix;
    return std::make_unique<BlockingBus>(clock, [options](Sink sink) {
      return std::make_unique<NatsBus>(options, std::move(sink));
    });
  };
  const MonoTime deadline = clock.now().mono + 60s;
  const auto home = open("home", "");
  ASSERT_TRUE(home->Connect(deadline));
  StreamConfig log;
  log.name = "LOG";
  log.subjects = {"log.*"};
  ASSERT_TRUE(home->EnsureStreams({log}));
  for (const char* subject : {"log.mine", "log.theirs"}) {
    AppendRequest request;
    request.subject = subject;
    request.payload = subject;
    ASSERT_TRUE(home->Append(std::move(request)));
  }

  const auto away = open("away", "root.streams.");
  ASSERT_TRUE(away->Connect(deadline));
  const auto mine = away->GetLast("LOG", "log.mine");
  ASSERT_TRUE(mine && *mine) << (mine ? "nothing" : mine.error().Text());
  EXPECT_EQ((*mine)->payload, "log.mine");
  EXPECT_FALSE(away->GetLast("LOG", "log.theirs"));
  EXPECT_FALSE(away->Get("LOG", 1));
  const auto state = away->GetState("LOG");
  ASSERT_TRUE(state) << state.error().Text();
  EXPECT_EQ(state->messages, 2u);

  const auto astray = open("away", "");
  ASSERT_TRUE(astray->Connect(deadline));
  const auto refused = astray->GetState("LOG");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("not enabled"), std::string::npos)
      << refused.error().Text();
}

TEST(NatsBusTest, ALeaseBucketsAgeIsKeptAndChanged) {
  const auto fixture = StartFixture();
  ASSERT_TRUE(fixture);
  Recorder r(*fixture, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  StreamConfig lease;
  lease.name = "KV_CUBE_LEADER";
  lease.subjects = {"$KV.CUBE_LEADER.>"};
  lease.messages_per_subject_max = 1;
  lease.age_max = 10s;
  const OpId first = r.NextOp();
  r->EnsureStreams(first, {lease});
  ASSERT_TRUE(r.UntilOp<StreamsReady>(first));
  AppendRequest request;
  request.op = r.NextOp();
  request.subject = "$KV.CUBE_LEADER.lease";
  request.expected_last_subject_seq = 0;
  r->Append(request);
  ASSERT_TRUE(r.UntilOp<Appended>(request.op));
  lease.age_max = 200ms;
  const OpId second = r.NextOp();
  r->EnsureStreams(second, {lease});
  const auto end = fixture->Until([&] { return r.EndOf(second).has_value(); });
  ASSERT_TRUE(end);
  ASSERT_TRUE(r.UntilOp<StreamsReady>(second)) << std::get<OpFailed>(*r.EndOf(second)).error.Text();
  EXPECT_TRUE(fixture->Until([&] {  // it expires, so that a rival's creation gets through
    request.op = r.NextOp();
    r->Append(request);
    return r.UntilOp<Appended>(request.op).has_value();
  }));
}

// ---- BlockingBus ------------------------------------------------------------------------------

TEST(BlockingBusTest, DoesOneThingAfterTheOther) {
  const auto fixture = StartFixture();
  ASSERT_TRUE(fixture);
  const SystemClock clock;
  const auto in = [&](Duration d) { return clock.now().mono + d; };
  const auto make = [&](Sink sink) { return fixture->Make("cli", std::move(sink)); };
  BlockingBus bus(clock, make);
  ASSERT_TRUE(bus.Connect(in(30s)));
  ASSERT_TRUE(bus.EnsureStreams({OneStream()}));
  AppendRequest request;
  request.subject = "log.a";
  request.payload = "one";
  const auto appended = bus.Append(request);
  ASSERT_TRUE(appended) << appended.error().Text();
  EXPECT_EQ(appended->seq, 1U);
  request.expected_last_seq = 0;
  EXPECT_EQ(bus.Append(request).error().code, Code::kAborted);
  request.subject = "nowhere";
  EXPECT_EQ(bus.Append(request).error().code, Code::kNotFound);

  bus->OpenReader(5, "LOG", 1);
  bus->Pull(5, 10);
  request = {};
  request.subject = "log.b";
  const OpId second = bus.StartAppend(request);
  const auto state = bus.GetState("LOG");  // what comes meanwhile is kept for Next
  ASSERT_TRUE(state);
  EXPECT_EQ(bus.GetState("NONE").error().code, Code::kNotFound);
  std::size_t reads = 0;
  bool ended = false;
  while (reads < 2 || !ended) {
    const auto event = bus.Next(in(30s));
    ASSERT_TRUE(event);
    reads += std::holds_alternative<Read>(*event) ? 1 : 0;
    if (const auto* a = std::get_if<Appended>(&*event)) ended = a->op == second && a->seq == 2;
  }
  EXPECT_FALSE(bus.Next(in(20ms)));
  const auto got = bus.Get("LOG", 1);
  ASSERT_TRUE(got && *got);
  EXPECT_EQ((*got)->payload, "one");
  const auto last = bus.GetLast("LOG", "log.b");
  ASSERT_TRUE(last && *last);
  EXPECT_EQ((*last)->seq, 2U);
  EXPECT_EQ(bus.Request("nobody", {}, "", 5s).error().code, Code::kUnavailable);
  std::thread interrupter([&] { bus.Interrupt(); });
  EXPECT_FALSE(bus.Next(in(30s)));
  interrupter.join();
}

TEST(BlockingBusTest, SaysWhyItCannotConnect) {
  const SystemClock clock;
  NatsBusOptions options;
  options.urls = {"nats://127.0.0.1:1"};
  BlockingBus bus(clock,
                  [&](Sink sink) { return std::make_unique<NatsBus>(options, std::move(sink)); });
  const auto connected = bus.Connect(clock.now().mono + 300ms);
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, Code::kUnavailable);
  EXPECT_NE(connected.error().message.find("127.0.0.1:1"), std::string::npos)
      << connected.error().message;
}

// ---- living with a bad network ------------------------------------------------------------------

TEST(NatsBusTest, AnAppendToAFrozenServerTimesOutAndTheDestructorReturns) {
  const auto fixture = StartFixture();
  ASSERT_TRUE(fixture);
  auto r = std::make_unique<Recorder>(*fixture, "a");
  ASSERT_TRUE(r->UntilCount<Connected>(1));
  const OpId streams = r->NextOp();
  (*r)->EnsureStreams(streams, {OneStream()});
  ASSERT_TRUE(r->UntilOp<StreamsReady>(streams));
  fixture->server().Pause();
  AppendRequest request;
  request.op = r->NextOp();
  request.subject = "log.a";
  request.timeout = 100ms;
  (*r)->Append(request);
  const auto failed = r->UntilOp<AppendFailed>(request.op);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Code::kTimedOut);
  const auto before = std::chrono::steady_clock::now();
  r.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 2s);
  fixture->server().Resume();
}

TEST(NatsBusTest, AFrozenServerIsNoticed) {
  const auto fixture = StartFixture();
  ASSERT_TRUE(fixture);
  std::mutex mutex;
  std::size_t disconnected = 0;
  std::size_t connected = 0;
  NatsBusOptions options = fixture->Options("a");
  options.ping_interval = 200ms;
  NatsBus bus(options, [&](const Event& event) {
    const std::lock_guard lock(mutex);
    connected += std::holds_alternative<Connected>(event) ? 1 : 0;
    disconnected += std::holds_alternative<Disconnected>(event) ? 1 : 0;
  });
  const auto count = [&](const std::size_t& what) {
    const std::lock_guard lock(mutex);
    return what;
  };
  ASSERT_TRUE(fixture->Until([&] { return count(connected) == 1; }));
  fixture->server().Pause();
  EXPECT_TRUE(fixture->Until([&] { return count(disconnected) == 1; }));
  fixture->server().Resume();
  EXPECT_TRUE(fixture->Until([&] { return count(connected) == 2; }));
  EXPECT_EQ(count(disconnected), 1U);
}

TEST(NatsBusTest, MakingAndDestroyingManyTimesIsSafe) {
  const auto fixture = StartFixture();
  ASSERT_TRUE(fixture);
  for (int i = 0; i < 30; ++i) {
    Recorder r(*fixture, "a");
    if (i % 3 == 0) continue;  // while it connects
    ASSERT_TRUE(r.UntilCount<Connected>(1));
    r->Subscribe(1, "x.>", "");
    for (int k = 0; k < 100; ++k) r->Publish("x.1", {}, "payload");
    if (i % 3 == 1) continue;  // while messages come
    ASSERT_TRUE(r.UntilCount<Message>(10));
    r->Unsubscribe(1);
  }
}

TEST(NatsBusTest, SubscribingAndEndingUnderFireIsSafe) {
  const auto fixture = StartFixture();
  ASSERT_TRUE(fixture);
  Recorder publisher(*fixture, "p");
  Recorder r(*fixture, "s");
  ASSERT_TRUE(publisher.UntilCount<Connected>(1) && r.UntilCount<Connected>(1));
  r->Subscribe(999, "x.>", "");
  const OpId barrier = r.NextOp();
  r->GetState(barrier, "NONE");  // the server knows of the subscription now
  ASSERT_TRUE(r.UntilOp<OpFailed>(barrier));
  for (SubId i = 0; i < 300; ++i) {
    r->Subscribe(i, "x.>", "");
    for (int k = 0; k < 20; ++k) publisher->Publish("x.1", {}, "payload");
    r->Unsubscribe(i);
  }
  EXPECT_TRUE(fixture->Until([&] {
    std::size_t count = 0;
    for (const Message& m : r.All<Message>()) count += m.subscription == 999 ? 1 : 0;
    return count == 6000;
  }));
}

// The promise of docs: a process that has nothing to do costs nothing.
TEST(NatsBusTest, AnIdleBusTakesNoProcessorTime) {
  const auto fixture = StartFixture();
  ASSERT_TRUE(fixture);
  Recorder r(*fixture, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  const OpId streams = r.NextOp();
  r->EnsureStreams(streams, {OneStream()});
  ASSERT_TRUE(r.UntilOp<StreamsReady>(streams));
  r->OpenReader(1, "LOG", 1);
  r->Pull(1, 100);
  r->Subscribe(1, "x.>", "");
  const auto used = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return std::chrono::seconds(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           std::chrono::microseconds(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  };
  // Waits for the server's two heartbeats of the pull, by the clock: idleness is what is measured.
  const auto before = used();
  const auto begin = std::chrono::steady_clock::now();
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, 6s, [] { return false; });
  const auto wall = std::chrono::steady_clock::now() - begin;
  const double share = std::chrono::duration<double>(used() - before).count() /
                       std::chrono::duration<double>(wall).count();
  RecordProperty("idle_cpu_ppm", static_cast<int>(share * 1e6));
  EXPECT_LT(share, 0.002);
}

}  // namespace
}  // namespace cube::bus
