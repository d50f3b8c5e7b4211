// The prober over real sockets: its contract, and servers that misbehave.
#include "services/worker/engine/probe/socket_prober.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <thread>

#include "shared/runtime/fd.h"
#include "test/support/engine/prober_contract.h"

namespace cube::engine {
namespace {

// A server on a free port of loopback: sends `answer` to each that connects, then either closes or
// holds the connection open.
class Server {
 public:
  Server(std::string answer, bool holds) : answer_(std::move(answer)), holds_(holds) {
    listener_ = runtime::Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener_.get(), generic, sizeof(address)), 0);
    EXPECT_EQ(listen(listener_.get(), 1024), 0);
    socklen_t length = sizeof(address);
    EXPECT_EQ(getsockname(listener_.get(), generic, &length), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~Server() {
    ending_ = true;
    thread_.join();
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void Run() {
    std::deque<runtime::Fd> held;
    while (!ending_) {
      pollfd ready{listener_.get(), POLLIN, 0};
      if (poll(&ready, 1, 20) != 1) continue;
      runtime::Fd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection.valid()) continue;
      if (!answer_.empty()) {
        char request[4096];
        [[maybe_unused]] const auto got = recv(connection.get(), request, sizeof(request), 0);
        [[maybe_unused]] const auto sent =
            send(connection.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
      }
      if (holds_) held.push_back(std::move(connection));
    }
  }

  const std::string answer_;
  const bool holds_;
  runtime::Fd listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

class SocketProberFixture : public testing::Test {
 protected:
  std::unique_ptr<Prober> Make(ProbeSink sink) { return *SocketProber::Make(std::move(sink), 100); }
  ProbeRequest Serving(HealthCheck::Kind kind) { return To(serving_, kind); }
  ProbeRequest Failing() { return To(failing_, HealthCheck::Kind::kHttp); }
  ProbeRequest Silent() { return To(silent_, HealthCheck::Kind::kHttp); }
  ProbeRequest Refusing(HealthCheck::Kind kind) {
    ProbeRequest request = To(serving_, kind);
    request.port = Server("", false).port();  // nobody's by now
    return request;
  }
  bool WaitUntil(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  static ProbeRequest To(const Server& server, HealthCheck::Kind kind) {
    // Each of a launch of its own: of one launch a newer check replaces the one that waits.
    static std::uint32_t launches = 0;
    ProbeRequest request;
    request.key = {TaskId::Trusted("t"), 1, launches++};
    request.kind = kind;
    request.host = "127.0.0.1";
    request.port = server.port();
    request.path = "/";
    return request;
  }

  Server serving_{kOk, false};
  Server failing_{"HTTP/1.1 500 Internal Server Error\r\n\r\n", false};
  Server silent_{"", true};
};

INSTANTIATE_TYPED_TEST_SUITE_P(Socket, ProberContract, SocketProberFixture);

class SocketProberTest : public ProberContract<SocketProberFixture> {
 protected:
  ProbeResult AskHttp(const std::string& answer, bool holds,
                      Duration timeout = std::chrono::seconds(60)) {
    const Server server(answer, holds);
    return Ask(To(server, HealthCheck::Kind::kHttp), timeout);
  }
};

TEST_F(SocketProberTest, EachStatusFrom200To399Passes) {
  for (const char* status : {"200 OK", "204 No Content", "302 Found", "399 x"}) {
    EXPECT_EQ(AskHttp("HTTP/1.1 " + std::string(status) + "\r\n\r\n", false).outcome,
              Outcome::kPassed)
        << status;
  }
  for (const char* status : {"199 x", "400 Bad Request", "404 Not Found", "503 x"}) {
    const ProbeResult result = AskHttp("HTTP/1.1 " + std::string(status) + "\r\n\r\n", false);
    EXPECT_EQ(result.outcome, Outcome::kFailed) << status;
    EXPECT_EQ(result.detail, "GET /: " + std::string(status).substr(0, 3));
  }
}

TEST_F(SocketProberTest, ItDoesNotWaitForTheEndOfAnAnswer) {
  EXPECT_EQ(AskHttp("HTTP/1.1 200 OK\r\n", true).outcome, Outcome::kPassed);
}

TEST_F(SocketProberTest, WhatIsNotHttpFails) {
  EXPECT_EQ(AskHttp("SSH-2.0-OpenSSH_9.2\r\n", true).detail, "GET /: the answer is not HTTP");
}

TEST_F(SocketProberTest, AConnectionThatIsClosedFails) {
  const ProbeResult result = AskHttp("", false);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_TRUE(result.detail == "GET /: closed without an answer" ||
              result.detail == "GET /: connection reset")
      << result.detail;
}

TEST_F(SocketProberTest, HalfAStatusLineIsNoAnswer) {
  const ProbeResult result = AskHttp("HTTP/1.1 2", true, std::chrono::milliseconds(200));
  EXPECT_EQ(result.detail, "GET /: no answer within 200ms");
}

TEST_F(SocketProberTest, WhatIsNoAddressSaysNothingOfTheLaunch) {
  ProbeRequest request = Serving(HealthCheck::Kind::kTcp);
  request.host = "web.example.com";
  EXPECT_EQ(Ask(std::move(request)).outcome, Outcome::kUnknown);
}

TEST_F(SocketProberTest, WithoutAnAddressTooAndItSaysSo) {
  ProbeRequest request = Serving(HealthCheck::Kind::kTcp);
  request.host.clear();
  const ProbeResult result = Ask(std::move(request));
  EXPECT_EQ(result.outcome, Outcome::kUnknown);
  EXPECT_NE(result.detail.find("has no address"), std::string::npos) << result.detail;
}

TEST_F(SocketProberTest, OneThatWaitsIsReplacedByTheNextOfItsLaunch) {
  Results results;
  const auto prober = *SocketProber::Make(results.Sink(), 1);
  const auto start = [&](std::uint64_t id, ProbeRequest request, const std::string& task,
                         Duration timeout) {
    request.id = id;
    request.key = {TaskId::Trusted(task), 1, 0};
    request.timeout = timeout;
    prober->Start(std::move(request));
  };
  start(1, Silent(), "silent", std::chrono::seconds(2));  // holds the only socket
  for (std::uint64_t id = 2; id <= 4; ++id) {
    start(id, Serving(HealthCheck::Kind::kHttp), "serving", std::chrono::seconds(60));
  }
  ASSERT_TRUE(WaitUntil([&] { return results.size() == 4; }));
  EXPECT_TRUE(results.EachOnce());
  EXPECT_EQ(results.Of(2).outcome, Outcome::kUnknown);
  EXPECT_EQ(results.Of(3).outcome, Outcome::kUnknown);
  EXPECT_EQ(results.Of(4).outcome, Outcome::kPassed);
}

TEST_F(SocketProberTest, ALongPathIsCutAtTheFrontSoThatTheCauseIsRead) {
  ProbeRequest request = Failing();
  request.path = "/" + std::string(2000, 'x');
  const ProbeResult result = Ask(std::move(request));
  EXPECT_TRUE(result.detail.ends_with(": 500")) << result.detail;
}

}  // namespace
}  // namespace cube::engine
