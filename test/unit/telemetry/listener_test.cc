#include "shared/telemetry/listener.h"

#include <curl/curl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>

namespace cube::telemetry {
namespace {

std::size_t Append(char* bytes, std::size_t size, std::size_t count, void* to) {
  static_cast<std::string*>(to)->append(bytes, size * count);
  return size * count;
}

std::string Get(const std::string& address) {
  std::string body;
  CURL* curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, ("http://" + address + "/metrics").c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  EXPECT_EQ(curl_easy_perform(curl), CURLE_OK);
  curl_easy_cleanup(curl);
  return body;
}

// A snapshot that is put as soon as it is wanted.
struct Ready {
  std::shared_ptr<Snapshot> snapshot;
  explicit Ready(Families families) {
    snapshot = std::make_shared<Snapshot>(
        [this, families = std::move(families)] { snapshot->Put(families); });
  }
};

TEST(Listener, AnswersInTheTextFormat) {
  Families families;
  AddGauge(families, "cube_x_bytes", "Bytes of x.", 1.5, {{"node", "n\"1"}});
  AddCounter(families, "cube_y_total", "The ys.", 3);
  Histogram histogram({0.5, 1});
  histogram.Observe(0.7);
  AddFamily(families, "cube_z_seconds", "Time of z.", Kind::kHistogram)
      .series.push_back({{}, 0, {histogram}});
  AddFamily(families, "cube_none", "Nothing has one now.", Kind::kGauge);
  Ready ready(families);
  const auto listener = Listener::Open("127.0.0.1:0", ready.snapshot);
  ASSERT_TRUE(listener) << listener.error().Text();
  const std::string body = Get((*listener)->address());
  EXPECT_NE(body.find("# HELP cube_x_bytes Bytes of x.\n# TYPE cube_x_bytes gauge\n"
                      "cube_x_bytes{node=\"n\\\"1\"} 1.5\n"),
            std::string::npos)
      << body;
  EXPECT_NE(body.find("# TYPE cube_y_total counter\ncube_y_total 3\n"), std::string::npos);
  EXPECT_NE(body.find("cube_z_seconds_bucket{le=\"0.5\"} 0\n"), std::string::npos) << body;
  EXPECT_NE(body.find("cube_z_seconds_bucket{le=\"1\"} 1\n"), std::string::npos);
  EXPECT_NE(body.find("cube_z_seconds_bucket{le=\"+Inf\"} 1\n"), std::string::npos);
  EXPECT_NE(body.find("# TYPE cube_none gauge\n"), std::string::npos);
}

TEST(Listener, LoopThatDoesNotAnswerGivesWhatWasThere) {
  std::atomic<int> wanted = 0;
  const auto snapshot = std::make_shared<Snapshot>([&] { ++wanted; });
  Families families;
  AddGauge(families, "cube_x", "x", 1);
  snapshot->Put(families);
  ASSERT_EQ(snapshot->Take().size(), 1u);
  EXPECT_EQ(wanted, 1);
}

TEST(Listener, ClosedSnapshotKeepsNobodyWaiting) {
  Snapshot snapshot([] {});
  snapshot.Close();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(snapshot.Take().empty());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kSnapshotWaitMax);
}

TEST(Listener, AddressThatIsTaken) {
  Ready ready{Families{}};
  const auto first = Listener::Open("127.0.0.1:0", ready.snapshot);
  ASSERT_TRUE(first) << first.error().Text();
  const auto second = Listener::Open((*first)->address(), ready.snapshot);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  EXPECT_EQ(second.error().field, "--metrics-listen");
  EXPECT_NE(second.error().message.find((*first)->address()), std::string::npos);
}

TEST(Listener, MalformedAddresses) {
  Ready ready{Families{}};
  for (const char* where :
       {"", "9464", ":9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
        "127.0.0.1:123456", "::1:9464", "[]:1", "no such host:1"}) {
    const auto listener = Listener::Open(where, ready.snapshot);
    ASSERT_FALSE(listener) << where;
    EXPECT_EQ(listener.error().code, Code::kInvalid) << where << ": " << listener.error().Text();
    EXPECT_EQ(listener.error().field, "--metrics-listen") << where;
  }
}

}  // namespace
}  // namespace cube::telemetry
