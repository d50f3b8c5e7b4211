#include <gtest/gtest.h>

#include <limits>

#include "shared/wire/human.h"

namespace cube::wire {
namespace {

TEST(Bytes, Parses) {
  const std::vector<std::pair<const char*, std::int64_t>> cases{
      {"0", 0},
      {"1073741824", 1073741824},
      {"512Mi", 512 << 20},
      {"1.5Gi", 3LL << 29},
      {"100k", 100'000},
      {"2M", 2'000'000},
      {"1G", 1'000'000'000},
      {"1Ti", 1LL << 40},
      {"0.5Ki", 512},
      {"10MiB", 10 << 20},
      {"10MB", 10'000'000},
      {"7B", 7},
      {".5k", 500},
      {"9223372036854775807", std::numeric_limits<std::int64_t>::max()}};
  for (const auto& [text, bytes] : cases) {
    const auto result = ParseBytes(text);
    ASSERT_TRUE(result) << text << ": " << result.error().Text();
    EXPECT_EQ(*result, bytes) << text;
  }
}

TEST(Bytes, Refuses) {
  for (const char* bad : {"",          "Mi",
                          "-5",        "-5Mi",
                          "5 Mi",      "512m",
                          "512mi",     "5X",
                          "1e6",       "0.1",
                          "0.3Ki",     "9223372036854775808",
                          "8388608Ti", "1.0000000001G",
                          "1..5G",     "5.",
                          "+5",        "nan",
                          "BB",        "5BB"}) {
    const auto result = ParseBytes(bad);
    ASSERT_FALSE(result) << bad;
    EXPECT_EQ(result.error().code, Code::kInvalid);
  }
}

TEST(Bytes, DockersLetters) {
  EXPECT_EQ(ParseBytes("512m", true), 512 << 20);
  EXPECT_EQ(ParseBytes("1g", true), 1 << 30);
  EXPECT_EQ(ParseBytes("4k", true), 4096);
  EXPECT_EQ(ParseBytes("100b", true), 100);
  EXPECT_EQ(ParseBytes("512Mi", true), 512 << 20);
}

TEST(Bytes, Formats) {
  EXPECT_EQ(FormatBytes(0), "0");
  EXPECT_EQ(FormatBytes(1000), "1000");
  EXPECT_EQ(FormatBytes(1024), "1Ki");
  EXPECT_EQ(FormatBytes(512 << 20), "512Mi");
  EXPECT_EQ(FormatBytes(3LL << 29), "1536Mi");
  EXPECT_EQ(FormatBytes(5LL << 50), "5120Ti");
}

TEST(Cpus, Parses) {
  EXPECT_EQ(ParseCpus("0.5"), 500);
  EXPECT_EQ(ParseCpus(".25"), 250);
  EXPECT_EQ(ParseCpus("2"), 2000);
  EXPECT_EQ(ParseCpus("1.100"), 1100);
  EXPECT_EQ(ParseCpus("0.001"), 1);
  for (const char* bad :
       {"", "-1", "0.0005", "1e3", "500m", "a", "1.", "nan", "inf", "99999999999999999999"}) {
    EXPECT_FALSE(ParseCpus(bad)) << bad;
  }
}

TEST(Port, Parses) {
  EXPECT_EQ(ParsePort("80"), (PortSpec{80, 0, Protocol::kTcp, ""}));
  EXPECT_EQ(ParsePort("8080:80"), (PortSpec{80, 8080, Protocol::kTcp, ""}));
  EXPECT_EQ(ParsePort("8080:80/tcp"), (PortSpec{80, 8080, Protocol::kTcp, ""}));
  EXPECT_EQ(ParsePort("53/udp"), (PortSpec{53, 0, Protocol::kUdp, ""}));
  EXPECT_EQ(ParsePort("0:80"), (PortSpec{80, 0, Protocol::kTcp, ""}));
  for (const char* bad : {"", "0", "65536", "80:", ":80", "80/sctp", "80/", "a:80", "8000-8010:80",
                          "-1", "80:80:80", "127.0.0.1:80:80", "[::1]:80:80", " 80", "80 "}) {
    EXPECT_FALSE(ParsePort(bad)) << bad;
  }
  EXPECT_NE(ParsePort("127.0.0.1:80:80").error().message.find("one address"), std::string::npos);
}

TEST(Restart, ParsesAndFormats) {
  const std::vector<std::pair<const char*, RestartPolicy>> cases{
      {"no", {RestartMode::kNo, 0}},
      {"on-failure", {RestartMode::kOnFailure, 0}},
      {"on-failure:3", {RestartMode::kOnFailure, 3}},
      {"always", {RestartMode::kAlways, 0}}};
  for (const auto& [text, policy] : cases) {
    EXPECT_EQ(ParseRestart(text), policy) << text;
    EXPECT_EQ(FormatRestart(policy), text);
  }
  EXPECT_EQ(ParseRestart("unless-stopped"), (RestartPolicy{RestartMode::kAlways, 0}));
  for (const char* bad : {"", "No", "never", "on-failure:", "on-failure:x", "on-failure:-1",
                          "always:3", "on-failure:3:4", "on-failure:99999999999"}) {
    EXPECT_FALSE(ParseRestart(bad)) << bad;
  }
}

TEST(Affinity, ParsesAndFormats) {
  using Op = Constraint::Op;
  const std::vector<std::pair<const char*, Affinity>> cases{
      {"gpu:1", {{"gpu", Op::kExists, {}}, 1}},
      {"disk=ssd:+100", {{"disk", Op::kEquals, {"ssd"}}, 100}},
      {"host=a:80:-100", {{"host", Op::kEquals, {"a:80"}}, -100}},
      {"zone in a,b: 5", {{"zone", Op::kIn, {"a", "b"}}, 5}}};
  for (const auto& [text, affinity] : cases) {
    EXPECT_EQ(ParseAffinity(text), affinity) << text;
    EXPECT_EQ(ParseAffinity(FormatAffinity(affinity)), affinity) << text;
  }
  for (const char* bad : {"", "gpu", "gpu:", "gpu:0", "gpu:101", "gpu:-101", "gpu:1.5", "gpu:x",
                          ":5", "=a:5", "gpu:99999999999"}) {
    EXPECT_FALSE(ParseAffinity(bad)) << bad;
  }
}

TEST(Constraint, ParsesAndFormats) {
  using Op = Constraint::Op;
  const std::vector<std::pair<const char*, Constraint>> cases{
      {"gpu", {"gpu", Op::kExists, {}}},
      {"disk=ssd", {"disk", Op::kEquals, {"ssd"}}},
      {"zone!=b", {"zone", Op::kNotEquals, {"b"}}},
      {"zone in a", {"zone", Op::kIn, {"a"}}},
      {"zone in a,b", {"zone", Op::kIn, {"a", "b"}}}};
  for (const auto& [text, constraint] : cases) {
    EXPECT_EQ(ParseConstraint(text), constraint) << text;
    EXPECT_EQ(FormatConstraint(constraint), text);
  }
  // A value may begin with an equals sign; of two the first is the operator's.
  for (const char* text : {"disk===ssd", "disk!===ssd"}) {
    const auto constraint = ParseConstraint(text);
    ASSERT_TRUE(constraint) << text;
    EXPECT_EQ(constraint->values, std::vector<std::string>{"=ssd"});
    EXPECT_EQ(FormatConstraint(*constraint), text);
  }
  EXPECT_EQ(ParseConstraint(" disk == ssd "), (Constraint{"disk", Op::kEquals, {"ssd"}}));
  EXPECT_EQ(ParseConstraint("zone in a, b"), (Constraint{"zone", Op::kIn, {"a", "b"}}));
  for (const char* bad : {"", " ", "=ssd", "!=a", "disk=", "zone in ", "zone in a,", "in a", "a b",
                          "zone not in a", "!gpu", "disk>3"}) {
    EXPECT_FALSE(ParseConstraint(bad)) << bad;
  }
}

TEST(Volumes, AreWrittenAsDockersAre) {
  EXPECT_EQ(ParseVolume("data:/var/lib"), (VolumeSpec{"data", "/var/lib", false}));
  EXPECT_EQ(ParseVolume("data:/var/lib/:ro"), (VolumeSpec{"data", "/var/lib", true}));
  EXPECT_EQ(ParseVolume("/srv/www/:/www:rw"), (VolumeSpec{"/srv/www", "/www", false}));
  EXPECT_EQ(ParseVolume("/scratch"), (VolumeSpec{"", "/scratch", false}));
  EXPECT_EQ(ParseVolume("/:/host:ro"), (VolumeSpec{"/", "/host", true}));
  for (const char* bad : {"", ":/a", "a:/b:ro:x", "a:/b:", "a:/b:z"})
    EXPECT_FALSE(ParseVolume(bad)) << bad;
}

}  // namespace
}  // namespace cube::wire
