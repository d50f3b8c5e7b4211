// What every Prober does. A fixture makes one and things to check that behave as asked:
//
//   class F : public testing::Test {
//     std::unique_ptr<engine::Prober> Make(engine::ProbeSink sink);
//     // A request (id and timeout unset) for something that ...
//     ProbeRequest Serving(HealthCheck::Kind);   // passes
//     ProbeRequest Failing();                    // http: answers with status 500
//     ProbeRequest Refusing(HealthCheck::Kind);  // takes no connection
//     ProbeRequest Silent();                     // http: takes a connection and never answers
//     // Lets time pass until the condition holds; false after a long while.
//     bool WaitUntil(const std::function<bool()>& condition);
//   };
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <utility>

#include "services/worker/engine/prober.h"
#include "test/support/engine/probe_results.h"

namespace cube::engine {

template <class Fixture>
class ProberContract : public Fixture {
 protected:
  using Kind = HealthCheck::Kind;
  using Outcome = ProbeResult::Outcome;

  ProbeResult Ask(ProbeRequest request, Duration timeout = std::chrono::seconds(60)) {
    Results results;
    const auto prober = this->Make(results.Sink());
    request.id = 42;
    request.timeout = timeout;
    const LaunchKey key = request.key;
    prober->Start(std::move(request));
    EXPECT_TRUE(this->WaitUntil([&] { return results.size() == 1; }));
    const ProbeResult result = results.Of(42);
    EXPECT_EQ(result.key, key);
    EXPECT_LE(result.detail.size(), kProbeDetailMax);
    return result;
  }
};

TYPED_TEST_SUITE_P(ProberContract);

TYPED_TEST_P(ProberContract, WhatServesPasses) {
  for (const auto kind : {HealthCheck::Kind::kHttp, HealthCheck::Kind::kTcp}) {
    const ProbeResult result = this->Ask(this->Serving(kind));
    EXPECT_EQ(result.outcome, ProbeResult::Outcome::kPassed) << result.detail;
    EXPECT_EQ(result.detail, "");
  }
}

TYPED_TEST_P(ProberContract, AnotherStatusFailsAndIsNamed) {
  ProbeRequest request = this->Failing();
  request.path = "/health";
  const ProbeResult result = this->Ask(std::move(request));
  EXPECT_EQ(result.outcome, ProbeResult::Outcome::kFailed);
  EXPECT_EQ(result.detail, "GET /health: 500");
}

TYPED_TEST_P(ProberContract, WhatTakesNoConnectionFails) {
  for (const auto kind : {HealthCheck::Kind::kHttp, HealthCheck::Kind::kTcp}) {
    const ProbeResult result = this->Ask(this->Refusing(kind));
    EXPECT_EQ(result.outcome, ProbeResult::Outcome::kFailed);
    EXPECT_TRUE(result.detail.ends_with(": connection refused")) << result.detail;
  }
}

TYPED_TEST_P(ProberContract, NoAnswerInTimeFails) {
  ProbeRequest request = this->Silent();
  request.path = "/slow";
  const ProbeResult result = this->Ask(std::move(request), std::chrono::milliseconds(200));
  EXPECT_EQ(result.outcome, ProbeResult::Outcome::kFailed);
  EXPECT_EQ(result.detail, "GET /slow: no answer within 200ms");
}

TYPED_TEST_P(ProberContract, SilentOnesHoldNobodyUpAndEachIsAnsweredOnce) {
  Results results;
  const auto prober = this->Make(results.Sink());
  constexpr std::uint64_t kSilent = 50;
  constexpr std::uint64_t kServing = 400;  // more than are made at one time
  for (std::uint64_t id = 1; id <= kSilent; ++id) {
    ProbeRequest request = this->Silent();
    request.id = id;
    request.timeout = std::chrono::minutes(5);
    prober->Start(std::move(request));
  }
  for (std::uint64_t id = kSilent + 1; id <= kSilent + kServing; ++id) {
    ProbeRequest request = this->Serving(HealthCheck::Kind::kHttp);
    request.id = id;
    request.timeout = std::chrono::seconds(60);
    prober->Start(std::move(request));
  }
  EXPECT_TRUE(this->WaitUntil([&] { return results.size() == kServing; })) << results.size();
  for (std::uint64_t id = kSilent + 1; id <= kSilent + kServing; ++id) {
    EXPECT_EQ(results.Of(id).outcome, ProbeResult::Outcome::kPassed) << results.Of(id).detail;
  }
  EXPECT_TRUE(results.EachOnce());
}

TYPED_TEST_P(ProberContract, NothingComesAfterItsEnd) {
  Results results;
  auto prober = this->Make(results.Sink());
  ProbeRequest request = this->Silent();
  request.id = 1;
  request.timeout = std::chrono::milliseconds(1);
  prober.reset();
  prober = this->Make(results.Sink());
  prober->Start(std::move(request));
  EXPECT_TRUE(this->WaitUntil([&] { return results.size() == 1; }));
  ProbeRequest open = this->Silent();
  open.id = 2;
  open.timeout = std::chrono::minutes(5);
  prober->Start(std::move(open));
  prober.reset();
  EXPECT_EQ(results.size(), 1U);
}

REGISTER_TYPED_TEST_SUITE_P(ProberContract, WhatServesPasses, AnotherStatusFailsAndIsNamed,
                            WhatTakesNoConnectionFails, NoAnswerInTimeFails,
                            SilentOnesHoldNobodyUpAndEachIsAnsweredOnce, NothingComesAfterItsEnd);

}  // namespace cube::engine
