#include "services/worker/engine/probe/http_answer.h"

#include <gtest/gtest.h>

namespace cube::engine::probe {
namespace {

std::string Read(std::string_view bytes) {
  const HttpAnswer answer = ReadStatusLine(bytes);
  if (!answer.complete) return "more";
  return answer.status ? std::to_string(*answer.status) : "no http";
}

TEST(ReadStatusLine, SaysTheStatusAsSoonAsTheLineIsThere) {
  const std::string line = "HTTP/1.1 204 No Content\r\n";
  for (std::size_t i = 0; i < line.size(); ++i) EXPECT_EQ(Read(line.substr(0, i)), "more") << i;
  EXPECT_EQ(Read(line), "204");
  EXPECT_EQ(Read(line + "Server: x\r\n\r\nbody"), "204");
  EXPECT_EQ(Read("HTTP/1.0 500 Internal\n"), "500") << "busybox ends lines as it likes";
  EXPECT_EQ(Read("HTTP/1.1 301\r\n"), "301");
  EXPECT_EQ(Read("HTTP/1.1 301 \r\n"), "301");
}

TEST(ReadStatusLine, WhatIsNoHttpIsSeenAtOnce) {
  for (const char* bytes :
       {"SSH-2.0-OpenSSH", "HTTX", "\x16\x03\x01", "HTTP/1.1 20x OK\r\n", "HTTP/1.1 20\r\n",
        "HTTP/1.1  200 OK\r\n", "HTTP/1.12 200 OK\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.\n"}) {
    EXPECT_EQ(Read(bytes), "no http") << bytes;
  }
  EXPECT_EQ(Read("HTTP/1.1 200 " + std::string(kStatusLineMax, 'x')), "no http");
}

TEST(HttpRequest, NamesTheHostAndAsksForTheEnd) {
  EXPECT_EQ(HttpRequest("10.0.0.1", 80, "/health?x=1"),
            "GET /health?x=1 HTTP/1.1\r\nHost: 10.0.0.1:80\r\nUser-Agent: cube-health\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n");
  EXPECT_NE(HttpRequest("fd00::1", 80, "/").find("Host: [fd00::1]:80\r\n"), std::string::npos);
}

}  // namespace
}  // namespace cube::engine::probe
