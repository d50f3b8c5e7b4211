#include "shared/bus/nats_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "shared/bus/nats_probe.h"
#include "shared/domain/text.h"

namespace cube::bus {
namespace {

TEST(NatsJsonTest, PubAcks) {
  const auto ack = ParsePubAck(R"({"stream":"LOG","seq":18446744073709551615})", "log.a");
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->stream, "LOG");
  EXPECT_EQ(ack->seq, 18446744073709551615U);
  EXPECT_FALSE(ack->duplicate);
  const auto spaced =
      ParsePubAck(R"({"stream": "LOG", "domain": "hub", "seq": 7, "duplicate": true})", "log.a");
  ASSERT_TRUE(spaced);
  EXPECT_EQ(spaced->seq, 7U);
  EXPECT_TRUE(spaced->duplicate);
  EXPECT_EQ(ParsePubAck("", "log.a").error().code, Code::kInternal);
  EXPECT_EQ(ParsePubAck("{}", "log.a").error().code, Code::kInternal);
  EXPECT_EQ(ParsePubAck(R"({"stream":"LOG"})", "log.a").error().code, Code::kInternal);
}

TEST(NatsJsonTest, RefusalsByNumberNotByText) {
  const auto code = [](int number, int status) {
    return ParsePubAck(R"({"error":{"code":)" + std::to_string(status) + R"(,"err_code":)" +
                           std::to_string(number) + R"(,"description":"some \"seq\": 5 text"}})",
                       "log.a")
        .error()
        .code;
  };
  EXPECT_EQ(code(10071, 400), Code::kAborted);
  EXPECT_EQ(code(10164, 400), Code::kAborted);
  EXPECT_EQ(code(10077, 503), Code::kResource);
  EXPECT_EQ(code(10054, 400), Code::kResource);
  EXPECT_EQ(code(10059, 404), Code::kNotFound);
  EXPECT_EQ(code(10065, 400), Code::kPrecondition);
  EXPECT_EQ(code(1, 503), Code::kUnavailable);
  EXPECT_EQ(code(1, 400), Code::kInvalid);
  EXPECT_EQ(code(1, 700), Code::kUnavailable);
  EXPECT_EQ(code(1, 302), Code::kInternal);
}

TEST(NatsJsonTest, DeliveriesInBothForms) {
  const auto old = ParseDelivery("$JS.ACK.LOG.cube-1-2.1.42.7.1700000000000000001.3");
  ASSERT_TRUE(old);
  EXPECT_EQ(old->stream, "LOG");
  EXPECT_EQ(old->consumer, "cube-1-2");
  EXPECT_EQ(old->stream_seq, 42U);
  EXPECT_EQ(old->consumer_seq, 7U);
  EXPECT_EQ(old->time_ns, 1700000000000000001);
  EXPECT_EQ(old->pending, 3U);
  const auto domain = ParseDelivery("$JS.ACK.hub.ACC.LOG.c.1.42.7.17.3.rnd");
  ASSERT_TRUE(domain);
  EXPECT_EQ(domain->stream, "LOG");
  EXPECT_EQ(domain->stream_seq, 42U);
  EXPECT_EQ(domain->pending, 3U);
  for (const char* bad :
       {"", "$JS.ACK.", "$JS.ACK.LOG.c.1.x.7.17.3", "$JS.ACK.LOG.c.1.4.7.17.x",
        "$JS.ACK.LOG.c.1.4.7.17", "_INBOX.a.b", "$JS.ACK.a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p"}) {
    EXPECT_FALSE(ParseDelivery(bad)) << bad;
  }
}

TEST(NatsJsonTest, StreamInfo) {
  const auto info = ParseStreamInfo(
      R"({"created":"2026-01-31T12:00:00.5Z","config":{"name":"LOG","discard":"new"},)"
      R"("state":{"messages":3,"bytes":9,"first_seq":4,"last_seq":8}})");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->state.first_seq, 4U);
  EXPECT_EQ(info->state.last_seq, 8U);
  EXPECT_FALSE(info->rolling);
  const auto empty = ParseStreamInfo(
      R"({"created":"2026-01-31T12:00:00Z","config":{"name":"K","discard":"new","max_age":5},)"
      R"("state":{"messages":0,"first_seq":0,"last_seq":0}})");
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->state.first_seq, 1U);
  EXPECT_TRUE(empty->rolling);
  EXPECT_TRUE(IsBeingMade(R"({"config":{},"created":"0001-01-01T00:00:00Z","state":{}})"));
  EXPECT_FALSE(IsBeingMade(R"({"created":"2026-01-01T00:00:00Z",)"
                           R"("state":{"first_ts":"0001-01-01T00:00:00Z"}})"));
  EXPECT_FALSE(ParseStreamInfo("[]"));
  EXPECT_FALSE(ParseStreamInfo(R"({"config":{},"state":{},"created":7})"));
}

StreamConfig Want() {
  StreamConfig config;
  config.name = "LOG";
  config.subjects = {"b.*", "a.*"};
  config.bytes_max = 1000;
  return config;
}

TEST(NatsJsonTest, WhatWasMadeNeedsNoUpdate) {
  const auto update = UpdateStreamJson(Want(), CreateStreamJson(Want()));
  ASSERT_TRUE(update);
  EXPECT_FALSE(*update);
}

TEST(NatsJsonTest, LimitsAreRaisedNeverLoweredAndOthersKept) {
  auto have = nlohmann::json::parse(CreateStreamJson(Want()));
  have["metadata"] = {{"owner", "somebody"}};
  StreamConfig more = Want();
  more.bytes_max = 5000;
  more.replicas = 3;
  const auto up = UpdateStreamJson(more, have.dump());
  ASSERT_TRUE(up && *up);
  const auto updated = nlohmann::json::parse(**up);
  EXPECT_EQ(updated["max_bytes"], 5000);
  EXPECT_EQ(updated["num_replicas"], 3);
  EXPECT_EQ(updated["metadata"]["owner"], "somebody");
  StreamConfig less = Want();
  less.bytes_max = 10;
  const auto down = UpdateStreamJson(less, have.dump());
  ASSERT_TRUE(down);
  EXPECT_FALSE(*down);
}

TEST(NatsJsonTest, ADescriptionIsGivenOnce) {
  StreamConfig described = Want();
  described.description = "what it is for";
  const auto update = UpdateStreamJson(described, CreateStreamJson(Want()));
  ASSERT_TRUE(update && *update);
  auto have = nlohmann::json::parse(**update);
  EXPECT_EQ(have["description"], "what it is for");
  EXPECT_FALSE(*UpdateStreamJson(described, have.dump()));  // no loop
  EXPECT_FALSE(*UpdateStreamJson(described, CreateStreamJson(described)));
  have["description"] = "words of somebody else";
  EXPECT_FALSE(*UpdateStreamJson(described, have.dump()));
  EXPECT_FALSE(*UpdateStreamJson(Want(), have.dump()));
  described.bytes_max = 5000;
  const auto raised = UpdateStreamJson(described, have.dump());
  ASSERT_TRUE(raised && *raised);
  EXPECT_EQ(nlohmann::json::parse(**raised)["description"], "words of somebody else");
}

TEST(NatsJsonTest, PurgingIsUpToTheFirstThatStays) { EXPECT_EQ(PurgeJson(7), R"({"seq":8})"); }

TEST(NatsJsonTest, WhatAStreamForbidsMustBeAllowedFirst) {
  for (const int number : {10109, 10110}) {
    const auto error =
        ApiError(R"({"error":{"code":500,"err_code":)" + std::to_string(number) + "}}", "purging");
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, Code::kPrecondition);
  }
}

TEST(NatsJsonTest, AnotherShapeNamesSettingAndValues) {
  const struct {
    const char* setting;
    nlohmann::json value;
  } cases[] = {{"storage", "memory"}, {"retention", "workqueue"},
               {"discard", "old"},    {"max_msgs_per_subject", 1},
               {"max_msgs", 5},       {"deny_delete", true},
               {"subjects", {"a.*"}}};
  for (const auto& c : cases) {
    auto have = nlohmann::json::parse(CreateStreamJson(Want()));
    have[c.setting] = c.value;
    const auto update = UpdateStreamJson(Want(), have.dump());
    ASSERT_FALSE(update) << c.setting;
    EXPECT_EQ(update.error().code, Code::kPrecondition);
    EXPECT_NE(update.error().message.find(c.setting), std::string::npos) << update.error().message;
    EXPECT_NE(update.error().message.find("LOG"), std::string::npos);
  }
}

TEST(NatsJsonTest, StoredMessagesOfTheSlowWay) {
  const auto got = ParseMsgGet(
      R"({"message":{"subject":"log.a","seq":5,"time":"2026-01-31T12:00:00.000000001Z",)"
      R"("data":"AP9h","hdrs":"TkFUUy8xLjANCktleTogdmFsdWUNCk86IDE6Mg0KDQo="}})",
      "LOG");
  ASSERT_TRUE(got && *got) << got.error().Text();
  EXPECT_EQ((*got)->payload, std::string("\0\xff"
                                         "a",
                                         3));
  EXPECT_EQ((*got)->headers, (Headers{{"Key", "value"}, {"O", "1:2"}}));
  EXPECT_EQ((*got)->seq, 5U);
  const auto none =
      ParseMsgGet(R"({"error":{"code":404,"err_code":10037,"description":"no message"}})", "LOG");
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  EXPECT_FALSE(ParseMsgGet(R"({"message":{"data":"!"}})", "LOG"));
}

// Errors go into messages whose texts are UTF-8.
TEST(NatsJsonTest, ErrorsOfGarbageCanBeShown) {
  const std::string garbage = "\xff\xfe" + std::string(5000, 'x');
  Incoming refused;
  refused.status = 409;
  refused.status_text = garbage;
  for (const Error& error :
       {ParsePubAck(garbage, "log.a").error(), ParseStreamInfo(garbage).error(),
        ParseMsgGet(garbage, "LOG").error(), ParseDirectGet(refused).error(),
        *ApiError(R"({"error":{"description":")" + std::string(5000, 'x') + R"("}})", "asking")}) {
    EXPECT_TRUE(IsUtf8(error.Text())) << error.Text();
    EXPECT_LT(error.Text().size(), 1000u);
  }
}

TEST(NatsJsonTest, WhatNestsDeeplyIsNotRead) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_FALSE(
      ParseStreamInfo(R"({"config":)" + deep + R"(,"state":{},"created":"2026-01-31T12:00:00Z"})"));
}

TEST(NatsProbeTest, VersionOfInfo) {
  EXPECT_EQ(VersionOfInfo(R"(INFO {"server_id":"x","version":"2.9.10","proto":1} )"), "2.9.10");
  EXPECT_EQ(VersionOfInfo("INFO {"), "");
  EXPECT_EQ(VersionOfInfo("HTTP/1.1 400"), "");
}

}  // namespace
}  // namespace cube::bus
