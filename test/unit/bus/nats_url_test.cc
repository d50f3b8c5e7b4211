#include "shared/bus/nats_url.h"

#include <gtest/gtest.h>

namespace cube::bus {
namespace {

std::string Parsed(std::string_view list) {
  const auto urls = ParseServers(list, "--server");
  if (!urls) return urls.error().Text();
  std::string text;
  for (const std::string& url : *urls) text += url + ";";
  return text;
}

TEST(ParseServers, TakesWhatPeopleWrite) {
  for (const auto& [list, expected] : {
           std::pair{"nats://127.0.0.1:4222", "nats://127.0.0.1:4222;"},
           {"localhost", "nats://localhost;"},
           {"h:1, tls://h:65535 ,", "nats://h:1;tls://h:65535;"},
           {"nats://me:p@ss/w@h/", "nats://me:p@ss/w@h/;"},
           {"nats://[::1]:4222,[fe80::1%eth0]", "nats://[::1]:4222;nats://[fe80::1%eth0];"},
       }) {
    EXPECT_EQ(Parsed(list), expected);
  }
}

TEST(ParseServers, SaysWhatIsWrongAndWhatIsRight) {
  const std::string forms = "; give nats://HOST:PORT or tls://HOST:PORT";
  for (const auto& [list, fault] : {
           std::pair{"ftp://x", "'ftp://x' has the scheme 'ftp'"},
           {"h,http://x:80", "'http://x:80' has the scheme 'http'"},
           {"ws://x", "'ws://x' has the scheme 'ws', and this client speaks no websockets"},
           {"NATS://x", "'NATS://x' has the scheme 'NATS'"},
           {"://x", "'://x' has the scheme ''"},
           {"nats://", "'nats://' has no host"},
           {"nats://:4222", "'nats://:4222' has no host"},
           {"nats://me:secret@", "'nats://' has no host"},
           {"nats://[::1", "'nats://[::1' has no host"},
           {"nats://h:", "'nats://h:' has a port that is not 1 to 65535"},
           {"nats://h:0", "'nats://h:0' has a port that is not 1 to 65535"},
           {"nats://h:65536", "'nats://h:65536' has a port that is not 1 to 65535"},
           {"nats://h:42x", "'nats://h:42x' has a port that is not 1 to 65535"},
           {"nats://h/path", "'nats://h/path' has a host that cannot be one"},
           {"nats://h h", "'nats://h h' has a host that cannot be one"},
           {"nats://::1:4222", "'nats://::1:4222' has a host that cannot be one"},
           {"nats://[::1]4222", "'nats://[::1]4222' has a host that cannot be one"},
           {"h\xff:1", "'h\uFFFD:1' has a host that cannot be one"},
           {"", "names no server"},
           {" , ", "names no server"},
       }) {
    EXPECT_EQ(Parsed(list), "--server: " + std::string(fault) + forms);
  }
  EXPECT_EQ(ParseServers("x:y", "NATS_URL").error().code, Code::kInvalid);
}

TEST(HostPortOf, HasADefaultPortAndNoBrackets) {
  const auto text = [](std::string_view url) {
    const HostPort at = HostPortOf(url);
    return at.host + "|" + at.port;
  };
  EXPECT_EQ(text("nats://127.0.0.1:4333"), "127.0.0.1|4333");
  EXPECT_EQ(text("nats://user:p@ss@host/"), "host|4222");
  EXPECT_EQ(text("tls://[::1]:99"), "::1|99");
  EXPECT_EQ(text("[::1]"), "::1|4222");
  EXPECT_EQ(text("h"), "h|4222");
}

TEST(UrlWithoutSecrets, KeepsTheRest) {
  EXPECT_EQ(UrlWithoutSecrets("nats://me:secret@h:4333"), "nats://h:4333");
  EXPECT_EQ(UrlWithoutSecrets("token@h"), "h");
  EXPECT_EQ(UrlWithoutSecrets("nats://h"), "nats://h");
  EXPECT_EQ(UrlsWithoutSecrets({"nats://me:secret@a:4333", "tls://token@b"}),
            "nats://a:4333, tls://b");
  EXPECT_EQ(UrlsWithoutSecrets({}), "");
}

}  // namespace
}  // namespace cube::bus
