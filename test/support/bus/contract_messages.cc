// The contract of bus::Bus: core messages and requests.
#include <optional>
#include <utility>

#include "test/support/bus/contract.h"

namespace cube::bus {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations read better so

constexpr SubId kSubscription = 2'000;

}  // namespace

// ---- core messages ------------------------------------------------------------------------------

TEST_P(BusContract, SubscriptionsTakeWildcardsAndGiveEverything) {
  Recorder publisher(*fixture_, "p");
  Recorder r(*fixture_, "s");
  ASSERT_TRUE(publisher.UntilCount<Connected>(1) && r.UntilCount<Connected>(1));
  r->Subscribe(kSubscription, "events.*.done", "");
  r->Subscribe(kSubscription + 1, "events.>", "");
  const OpId barrier = r.NextOp();
  r->GetState(barrier, "NONE");
  ASSERT_TRUE(r.UntilOp<OpFailed>(barrier));
  publisher->Publish("events.a.done", {{"Key", "value"}}, "one");
  publisher->Publish("events.a.b.done", {}, "two");
  publisher->Publish("other.a.done", {}, "three");
  publisher->Publish("events.z", {}, "");
  ASSERT_TRUE(r.UntilCount<Message>(4));
  std::vector<std::string> first;
  std::vector<std::string> second;
  for (const Message& m : r.All<Message>()) {
    (m.subscription == kSubscription ? first : second).push_back(m.subject + "=" + m.payload);
    EXPECT_TRUE(m.reply_to.empty());
    if (m.payload == "one") {
      EXPECT_EQ(m.headers, (Headers{{"Key", "value"}}));
    }
  }
  EXPECT_EQ(first, (std::vector<std::string>{"events.a.done=one"}));
  EXPECT_EQ(second,
            (std::vector<std::string>{"events.a.done=one", "events.a.b.done=two", "events.z="}));
}

TEST_P(BusContract, AfterTheEndOfASubscriptionNothingComes) {
  Recorder r(*fixture_, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  r->Subscribe(kSubscription, "x.>", "");
  r->Subscribe(kSubscription + 1, "x.>", "");
  r->Publish("x.1", {}, "1");
  ASSERT_TRUE(r.UntilCount<Message>(2));
  r->Unsubscribe(kSubscription);
  r->Publish("x.2", {}, "2");
  ASSERT_TRUE(r.UntilCount<Message>(3));
  r->Subscribe(kSubscription, "y.>", "");  // the id may be used again
  r->Publish("y.1", {}, "3");
  ASSERT_TRUE(r.UntilCount<Message>(4));
  const auto messages = r.All<Message>();
  EXPECT_EQ(messages[2].subscription, kSubscription + 1);
  EXPECT_EQ(messages[3].subscription, kSubscription);
  EXPECT_EQ(messages[3].subject, "y.1");
}

TEST_P(BusContract, SubscriptionsSurviveARestart) {
  Recorder publisher(*fixture_, "p");
  Recorder r(*fixture_, "s");
  ASSERT_TRUE(publisher.UntilCount<Connected>(1) && r.UntilCount<Connected>(1));
  r->Subscribe(kSubscription, "x.*", "");
  fixture_->KillServer();
  ASSERT_TRUE(publisher.UntilCount<Disconnected>(1) && r.UntilCount<Disconnected>(1));
  r->Subscribe(kSubscription + 1, "y.*", "");  // also one that begins while away
  fixture_->StartServer();
  ASSERT_TRUE(publisher.UntilCount<Connected>(2) && r.UntilCount<Connected>(2));
  publisher->Publish("x.1", {}, "1");
  publisher->Publish("y.1", {}, "2");
  ASSERT_TRUE(r.UntilCount<Message>(2));
}

TEST_P(BusContract, AQueueGroupSharesItsMessages) {
  Recorder publisher(*fixture_, "p");
  Recorder a(*fixture_, "a");
  Recorder b(*fixture_, "b");
  for (Recorder* r : {&publisher, &a, &b}) ASSERT_TRUE(r->UntilCount<Connected>(1));
  for (Recorder* r : {&a, &b}) {
    (*r)->Subscribe(kSubscription, "work", "group");
    const OpId barrier = r->NextOp();
    (*r)->GetState(barrier, "NONE");
    ASSERT_TRUE(r->UntilOp<OpFailed>(barrier));
  }
  constexpr std::size_t kCount = 200;
  for (std::size_t i = 0; i < kCount; ++i) publisher->Publish("work", {}, std::to_string(i));
  ASSERT_TRUE(fixture_->Until([&] { return a.Count<Message>() + b.Count<Message>() >= kCount; }));
  EXPECT_EQ(a.Count<Message>() + b.Count<Message>(), kCount);
  EXPECT_GT(a.Count<Message>(), 0U);
  EXPECT_GT(b.Count<Message>(), 0U);
}

TEST_P(BusContract, RequestsAreAnswered) {
  Recorder client(*fixture_, "c");
  Recorder service(*fixture_, "s");
  ASSERT_TRUE(client.UntilCount<Connected>(1) && service.UntilCount<Connected>(1));
  service->Subscribe(kSubscription, "service.*", "");
  const OpId barrier = service.NextOp();
  service->GetState(barrier, "NONE");
  ASSERT_TRUE(service.UntilOp<OpFailed>(barrier));
  const OpId op = client.NextOp();
  client->Request(op, "service.echo", {{"Question", "q"}}, "hello", 20s);
  ASSERT_TRUE(service.UntilCount<Message>(1));
  const Message asked = service.All<Message>()[0];
  EXPECT_EQ(asked.payload, "hello");
  EXPECT_EQ(asked.headers, (Headers{{"Question", "q"}}));
  ASSERT_TRUE(asked.reply_to.starts_with("_INBOX."));
  service->Publish(asked.reply_to, {{"Answer", "a"}}, "world");
  const auto replied = client.UntilOp<Replied>(op);
  ASSERT_TRUE(replied);
  EXPECT_EQ(replied->payload, "world");
  EXPECT_EQ(replied->headers, (Headers{{"Answer", "a"}}));
}

TEST_P(BusContract, ARequestToNobodyIsUnavailableAndToTheDeafTimesOut) {
  Recorder r(*fixture_, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  const OpId nobody = r.NextOp();
  r->Request(nobody, "service.none", {}, "", 20s);
  const auto unavailable = r.UntilOp<OpFailed>(nobody);
  ASSERT_TRUE(unavailable);
  EXPECT_EQ(unavailable->error.code, Code::kUnavailable);
  r->Subscribe(kSubscription, "service.deaf", "");
  const OpId deaf = r.NextOp();
  r->Request(deaf, "service.deaf", {}, "", 50ms);
  const auto timed_out = r.UntilOp<OpFailed>(deaf);
  ASSERT_TRUE(timed_out);
  EXPECT_EQ(timed_out->error.code, Code::kTimedOut);
}

TEST_P(BusContract, WhatIsPublishedToAStreamsSubjectIsStoredToo) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  r->Subscribe(kSubscription, "log.*", "");
  r->Publish("log.a", {}, "plain");
  ASSERT_TRUE(r.UntilCount<Message>(1));
  EXPECT_EQ(MustAppend(r, "log.a", "second"), 2U);
}

TEST_P(BusContract, StoredMessagesReachLiveListenersWithoutAReply) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  r->Subscribe(kSubscription, "log.*", "");
  MustAppend(r, "log.a", "x");
  ASSERT_TRUE(r.UntilCount<Message>(1));
  EXPECT_EQ(r.All<Message>()[0].payload, "x");
}

}  // namespace cube::bus
