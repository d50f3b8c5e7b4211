// What a NATS server says, and the names of servers and subjects.
#include "shared/base/check.h"
#include "shared/bus/nats_json.h"
#include "shared/bus/nats_probe.h"
#include "shared/bus/nats_url.h"
#include "shared/bus/nkey.h"
#include "shared/bus/reply.h"
#include "shared/wire/subjects.h"
#include "test/fuzz/target.h"

namespace cube::fuzz {
namespace {

constexpr const char* kStreamInfo =
    R"({"type":"io.nats.jetstream.api.v1.stream_info_response","config":{"name":"CUBE_INTENTS",)"
    R"("subjects":["cube.tasks.*"],"retention":"limits","max_consumers":-1,"max_msgs":-1,)"
    R"("max_bytes":2147483648,"max_age":0,"max_msgs_per_subject":-1,"max_msg_size":-1,)"
    R"("discard":"new","storage":"file","num_replicas":1,"duplicate_window":120000000000,)"
    R"("allow_direct":true,"deny_delete":true},"created":"2026-01-31T12:00:00.123456789Z",)"
    R"("state":{"messages":3,"bytes":300,"first_seq":1,"last_seq":3}})";
constexpr const char* kMessage =
    R"({"message":{"subject":"cube.tasks.submit","seq":3,"data":"eyJhIjoxfQ==",)"
    R"("hdrs":"TkFUUy8xLjANCkN1YmUtU3VtbWFyeTogeA0KDQo=","time":"2026-01-31T12:00:00Z"}})";

// ---- answers of JetStream ---------------------------------------------------------------------

std::string AnswerSeed(Random& random) {
  constexpr const char* kAnswers[] = {
      kStreamInfo,
      kMessage,
      R"({"stream":"CUBE_INTENTS","seq":7,"duplicate":true,"domain":"d"})",
      R"({"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 7"}})",
      R"({"error":{"code":404,"err_code":10037,"description":"no message found"}})",
      R"(INFO {"server_id":"N","version":"2.9.10","proto":1,"headers":true,"max_payload":1048576})",
      "$JS.ACK.CUBE_INTENTS.c1.1.7.3.1700000000000000000.12",
      "$JS.ACK.hub.acc.CUBE_INTENTS.c1.1.7.3.1700000000000000000.12.rnd",
  };
  return kAnswers[random.Below(std::size(kAnswers))];
}

bus::StreamConfig Wanted() {
  return {.name = "CUBE_INTENTS",
          .subjects = {"cube.tasks.*"},
          .bytes_max = 1 << 30,
          .deny_delete = true,
          .replicas = 3};
}

void RunAnswer(std::string_view json) {
  if (const auto ack = bus::ParsePubAck(json, "cube.tasks.submit"); !ack) CheckError(ack.error());
  if (const auto error = bus::ApiError(json, "stream info")) CheckError(*error);
  if (const auto info = bus::ParseStreamInfo(json); !info) {
    CheckError(info.error());
  } else if (const auto update = bus::UpdateStreamJson(Wanted(), info->config); !update) {
    CheckError(update.error());
  } else if (*update) {
    // What was changed needs no other change.
    const auto again = bus::UpdateStreamJson(Wanted(), **update);
    CUBE_CHECK(again.has_value() && !*again);
  }
  if (const auto got = bus::ParseMsgGet(json, "CUBE_INTENTS"); !got) CheckError(got.error());
  (void)bus::VersionOfInfo(json);
  if (const auto delivery = bus::ParseDelivery(json)) {
    CUBE_CHECK(!delivery->stream.empty() && !delivery->consumer.empty());
  }
}

CUBE_FUZZ_TARGET(jetstream_answers, &AnswerSeed, &RunAnswer);

// ---- a message with headers: "<status>\0<sequence>\0<time>\0<payload>"
// ---------------------------

CUBE_FUZZ_TARGET(
    direct_get,
    [](Random& random) {
      return std::string("0") + '\0' + std::to_string(random.Below(1000)) + '\0' +
             "2026-01-31T12:00:00.5Z" + '\0' + "{}";
    },
    [](std::string_view bytes) {
      const auto parts = Parts(bytes, 4);
      bus::Incoming in;
      in.status = parts[0].empty() ? 0 : (parts[0][0] - '0') * 100;
      in.headers = {{"Nats-Stream", "S"},
                    {"Nats-Subject", "cube.tasks.submit"},
                    {"Nats-Sequence", std::string(parts[1])},
                    {"Nats-Time-Stamp", std::string(parts[2])},
                    {"Cube-Summary", std::string(parts[2])}};
      in.payload = parts[3];
      const auto got = bus::ParseDirectGet(std::move(in));
      if (!got) return CheckError(got.error());
      // The server's own headers are not passed on.
      if (*got) CUBE_CHECK((*got)->headers.size() == 1 && (*got)->payload == parts[3]);
    });

// ---- servers ----------------------------------------------------------------------------------

void RunUrl(std::string_view text) {
  const auto urls = bus::ParseServers(text, "--server");
  if (!urls) {
    CheckError(urls.error());
    CUBE_CHECK(urls.error().field == "--server");
  } else {
    CUBE_CHECK(!urls->empty());
    std::string joined;
    for (const std::string& url : *urls) {
      CUBE_CHECK(!bus::HostPortOf(url).host.empty() && !bus::HostPortOf(url).port.empty());
      CUBE_CHECK(bus::UrlWithoutSecrets(url).find('@') == std::string::npos);
      joined += (joined.empty() ? "" : ",") + url;
    }
    CUBE_CHECK(bus::ParseServers(joined, "--server") == *urls);
  }
  (void)bus::HostPortOf(text);
  if (const auto key = bus::PublicNkey(text); !key) CheckError(key.error());
}

CUBE_FUZZ_TARGET(
    nats_url,
    [](Random& random) -> std::string {
      constexpr const char* kUrls[] = {
          "nats://127.0.0.1:4222",
          "tls://user:pass@host.example:4443,nats://b",
          "[::1]:4222",
          "nats://token@[fe80::1]",
          "a:1, b:2 ,c",
          "-----BEGIN USER NKEY SEED-----\n"
          "SUAGMJH5XLGZKQQWAWKRZJIGMOU4HPFUYLXJMXOO5NLFEO2OOQJ5LPRDPM\n"
          "------END USER NKEY SEED------\n"};
      return kUrls[random.Below(std::size(kUrls))];
    },
    &RunUrl);

// ---- subjects ---------------------------------------------------------------------------------

void RunSubject(std::string_view text) {
  // A reply goes out with our rights: nothing but inboxes, and never to more than one.
  if (bus::SafeReplySubject(text)) {
    CUBE_CHECK(text.starts_with("_INBOX.") || text.starts_with("_R_."));
    CUBE_CHECK(bus::LiteralSubject(text));
  }
  if (bus::LiteralSubject(text)) {
    CUBE_CHECK(!text.empty() && text.find_first_of("*> \t\r\n") == std::string_view::npos);
    CUBE_CHECK(text.find("..") == std::string_view::npos);
    CUBE_CHECK(!text.starts_with('.') && !text.ends_with('.'));
  }
  if (bus::PublishableSubject(text)) CUBE_CHECK(!text.starts_with('$'));
  if (bus::PublishableSubject(text) || bus::AppendableSubject(text)) {
    CUBE_CHECK(bus::LiteralSubject(text));
  }
  const std::string_view last = wire::Subjects::LastToken(text);
  CUBE_CHECK(text.ends_with(last) && last.find('.') == std::string_view::npos);
  const auto subjects = wire::Subjects::Make(text);
  if (!subjects) {
    CheckError(subjects.error());
    CUBE_CHECK(subjects.error().field == "root");
  } else {
    CUBE_CHECK(bus::PublishableSubject(subjects->TasksSubmit()));
    CUBE_CHECK(bus::AppendableSubject(subjects->LeaseKey()));
  }
}

CUBE_FUZZ_TARGET(
    subjects,
    [](Random& random) -> std::string {
      constexpr const char* kTexts[] = {"cube",
                                        "staging2",
                                        "_INBOX.abc.1",
                                        "_R_.x.y",
                                        "cube.tasks.submit",
                                        "$KV.CUBE_LEADER.leader",
                                        "$JS.API.STREAM.PURGE.X",
                                        "cube.facts.*",
                                        "cube.>"};
      return kTexts[random.Below(std::size(kTexts))];
    },
    &RunSubject);

}  // namespace
}  // namespace cube::fuzz
