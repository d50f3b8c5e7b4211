#include "services/cli/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/cli/exit_code.h"
#include "services/cli/feed.h"
#include "services/cli/resolve.h"
#include "services/cli/since.h"

namespace cube::cli {
namespace {

using ::testing::HasSubstr;

class SettingsTest : public ::testing::Test {
 protected:
  Result<Settings> Resolve() {
    Environment environment{
        .variable = [this](const std::string& name) -> std::optional<std::string> {
          const auto it = variables_.find(name);
          if (it == variables_.end()) return std::nullopt;
          return it->second;
        },
        .read_file = [this](const std::string& path) -> Result<std::string> {
          const auto it = files_.find(path);
          if (it == files_.end()) return Fail(Code::kNotFound, "cannot read " + path);
          return it->second;
        }};
    return ResolveSettings(args_, environment);
  }
  std::string Servers() {
    const auto settings = Resolve();
    return settings ? settings->ServersText() : settings.error().Text();
  }
  Args args_;
  std::map<std::string, std::string> variables_{{"HOME", "/home/me"}};
  std::map<std::string, std::string> files_{
      {"/home/me/.config/nats/context/prod.json",
       R"({"url":"nats://prod:4222","user":"me","password":"secret","creds":"~/me.creds"})"}};
};

TEST_F(SettingsTest, Defaults) {
  const auto settings = Resolve();
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->ServersText(), "nats://127.0.0.1:4222");
  EXPECT_EQ(settings->root, "cube");
  EXPECT_EQ(settings->nats.request_timeout, std::chrono::seconds(5));
}

TEST_F(SettingsTest, FlagThenCubeServerThenNatsUrl) {
  variables_["NATS_URL"] = "nats://c";
  EXPECT_EQ(Servers(), "nats://c");
  variables_["CUBE_SERVER"] = "nats://b";
  EXPECT_EQ(Servers(), "nats://b");
  EXPECT_EQ(Resolve()->server_origin, "$CUBE_SERVER");
  args_.Add("server", "nats://a");
  EXPECT_EQ(Servers(), "nats://a");
}

TEST_F(SettingsTest, AServerThatIsNoneIsUsageAndNamesWhereItComesFrom) {
  args_.Add("server", "ftp://x");
  EXPECT_EQ(ExitCodeOf(Resolve().error()), kExitUsage);
  EXPECT_THAT(Servers(), HasSubstr("--server: 'ftp://x' has the scheme 'ftp'; give nats://"));
}

TEST_F(SettingsTest, AVariableOrContextThatNamesNoServerIsNamed) {
  variables_["NATS_URL"] = "nats://h:99999";
  EXPECT_THAT(Servers(), HasSubstr("$NATS_URL: 'nats://h:99999' has a port"));
  variables_["CUBE_CONTEXT"] = "bad";
  files_["/home/me/.config/nats/context/bad.json"] = R"({"url":"nats://"})";
  EXPECT_THAT(Servers(), HasSubstr("nats context bad: 'nats://' has no host"));
}

TEST_F(SettingsTest, AnEmptyVariableIsAsGoodAsNone) {
  variables_["CUBE_SERVER"] = "";
  EXPECT_EQ(Servers(), "nats://127.0.0.1:4222");
}

TEST_F(SettingsTest, TheSelectedContextOfTheNatsTool) {
  files_["/home/me/.config/nats/context.txt"] = "prod\n";
  const auto settings = Resolve();
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->ServersText(), "nats://prod:4222");
  EXPECT_EQ(settings->server_origin, "nats context prod");
  EXPECT_EQ(settings->nats.user, "me");
  EXPECT_EQ(settings->nats.password, "secret");
  EXPECT_EQ(settings->nats.creds_file, "/home/me/me.creds");
}

TEST_F(SettingsTest, ANamedServerNeverGetsTheSelectedContextsPassword) {
  files_["/home/me/.config/nats/context.txt"] = "prod";
  for (const char* variable : {"CUBE_SERVER", "NATS_URL"}) {
    variables_[variable] = "nats://elsewhere";
    const auto settings = Resolve();
    EXPECT_EQ(settings->ServersText(), "nats://elsewhere");
    EXPECT_EQ(settings->nats.password, "");
    variables_.erase(variable);
  }
}

TEST_F(SettingsTest, ANamedContextAndFlagsOverIt) {
  variables_["NATS_URL"] = "nats://c";
  args_.Add("context", "prod");
  args_.Add("nats-user", "other");
  const auto settings = Resolve();
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->ServersText(), "nats://prod:4222");
  EXPECT_EQ(settings->nats.user, "other");
  EXPECT_EQ(settings->nats.password, "secret");
  EXPECT_EQ(settings->nats.creds_file, "") << "of somebody else";
}

TEST_F(SettingsTest, ContextsElsewhereAndXdg) {
  variables_["XDG_CONFIG_HOME"] = "/xdg";
  files_["/xdg/nats/context/here.json"] = R"({"url":"nats://here"})";
  variables_["CUBE_CONTEXT"] = "here";
  EXPECT_EQ(Servers(), "nats://here");
}

TEST_F(SettingsTest, ContextsThatCannotBe) {
  args_.Add("context", "nosuch");
  EXPECT_THAT(Resolve().error().Text(), HasSubstr("there is no nats context 'nosuch'"));
  args_ = {};
  args_.Add("context", "../../secret");
  EXPECT_EQ(Resolve().error().code, Code::kInvalid);
  args_ = {};
  files_["/home/me/.config/nats/context/bad.json"] = "[1,";
  args_.Add("context", "bad");
  EXPECT_THAT(Resolve().error().Text(), HasSubstr("is not a JSON object"));
}

TEST_F(SettingsTest, AContextsNkeyUnlessAnotherWayIsNamed) {
  files_["/home/me/.config/nats/context/key.json"] = R"({"url":"nats://k","nkey":"~/k.nk"})";
  args_.Add("context", "key");
  EXPECT_EQ(Resolve()->nats.nkey_seed_file, "/home/me/k.nk");
  args_.Add("creds", "/me.creds");
  EXPECT_EQ(Resolve()->nats.nkey_seed_file, "");
  EXPECT_EQ(Resolve()->nats.creds_file, "/me.creds");
  args_ = {};
  args_.Add("context", "prod");
  args_.Add("nkey", "/other.nk");
  EXPECT_EQ(Resolve()->nats.nkey_seed_file, "/other.nk");
  EXPECT_EQ(Resolve()->nats.creds_file, "");
  EXPECT_EQ(Resolve()->nats.user, "");
  EXPECT_EQ(Resolve()->nats.password, "");
}

TEST_F(SettingsTest, TheTokenOfAContextAndItsTwin) {
  files_["/home/me/.config/nats/context/tok.json"] = R"({"url":"nats://k","token":"a"})";
  args_.Add("context", "tok");
  EXPECT_EQ(Resolve()->nats.token, "a");
  variables_["CUBE_NATS_TOKEN"] = "b";
  EXPECT_EQ(Resolve()->nats.token, "b");
  EXPECT_FALSE(Resolve()->nats.allow_unsafe_tls);
  variables_["CUBE_ALLOW_UNSAFE_TLS"] = "1";
  EXPECT_TRUE(Resolve()->nats.allow_unsafe_tls);
}

TEST_F(SettingsTest, RequestTimeout) {
  variables_["CUBE_REQUEST_TIMEOUT"] = "250ms";
  EXPECT_EQ(Resolve()->nats.request_timeout, std::chrono::milliseconds(250));
  args_.Add("request-timeout", "2");
  EXPECT_EQ(Resolve()->nats.request_timeout, std::chrono::seconds(2));
  args_.Add("request-timeout", "0");
  EXPECT_FALSE(Resolve());
}

// ---- names on the command line --------------------------------------------------------------

const std::vector<Named> kTasks = {
    {"web-aaaa1111", "web"}, {"web-bbbb2222", "web"}, {"db-cccc3333", "db"}, {"db", "other"}};

TEST(Resolve, ExactWinsOverNameWinsOverPrefix) {
  EXPECT_EQ(ResolveTask("db", kTasks).value(), "db");
  EXPECT_EQ(ResolveTask("other", kTasks).value(), "db");
  EXPECT_EQ(ResolveTask("web-a", kTasks).value(), "web-aaaa1111");
  EXPECT_EQ(ResolveTask("db-", kTasks).value(), "db-cccc3333");
}

TEST(Resolve, AmbiguousOnesListTheCandidates) {
  const auto task = ResolveTask("web", kTasks);
  ASSERT_FALSE(task);
  EXPECT_EQ(task.error().code, Code::kConflict);
  EXPECT_THAT(task.error().message, HasSubstr("web-aaaa1111, web-bbbb2222"));
  EXPECT_EQ(ExitCodeOf(task.error()), kExitConflict);
}

TEST(Resolve, UnknownOnesSayWhatIsNear) {
  const auto task = ResolveTask("wbe", kTasks);
  ASSERT_FALSE(task);
  EXPECT_EQ(ExitCodeOf(task.error()), kExitNotFound);
  EXPECT_THAT(task.error().message, HasSubstr("Did you mean 'web'?"));
}

TEST(Resolve, Nodes) {
  EXPECT_EQ(ResolveNode("a", {"a", "ab"}).value(), "a");
  EXPECT_EQ(ResolveNode("ab", {"abc", "b"}).value(), "abc");
  EXPECT_EQ(ResolveNode("a", {"ab", "ac"}).error().code, Code::kConflict);
  EXPECT_EQ(ResolveNode("x", {"ab"}).error().code, Code::kNotFound);
}

TEST(Resolve, ChangesNeedMoreThanTheBeginningOfAName) {
  const Named web{"webserver-k3x7q2ab", "webserver"};
  for (const char* good : {"webserver-k3x7q2ab", "webserver", "webserver-k", "webserver-k3x7"}) {
    EXPECT_TRUE(CheckExactEnough(good, web)) << good;
  }
  for (const char* bad : {"w", "web", "webserve", "webserver-"}) {
    EXPECT_FALSE(CheckExactEnough(bad, web)) << bad;
  }
  const Named uuid{"0193b7c2-5f1e", "job"};
  EXPECT_TRUE(CheckExactEnough("0193", uuid));
  EXPECT_FALSE(CheckExactEnough("019", uuid));
}

// ---- exit codes and messages of managers ----------------------------------------------------

TEST(ExitCodes, OfFailures) {
  const std::map<Code, int> expected = {
      {Code::kInvalid, 64},      {Code::kNotFound, 3},  {Code::kConflict, 4},
      {Code::kUnavailable, 69},  {Code::kTimedOut, 69}, {Code::kAborted, 1},
      {Code::kPrecondition, 69}, {Code::kResource, 1},  {Code::kPermission, 69},
      {Code::kUnsupported, 64},  {Code::kDataLoss, 1},  {Code::kInternal, 1}};
  for (const auto& [code, exit_code] : expected) {
    EXPECT_EQ(ExitCodeOf({code, "x", ""}), exit_code) << CodeName(code);
    EXPECT_EQ(CodeFromName(CodeName(code)), code);
  }
}

TEST(Feed, AnOutcome) {
  const auto outcome =
      ParseOutcome(R"({"intent":12,"items":[{"index":0,"id":"web-1","status":"accepted"},)"
                   R"({"index":1,"id":"db","status":"refused","code":"conflict","field":"id",)"
                   R"("reason":"taken"}]})");
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->intent, 12u);
  ASSERT_EQ(outcome->items.size(), 2u);
  EXPECT_EQ(outcome->items[0].status, "accepted");
  EXPECT_EQ(outcome->items[1].error, (Error{Code::kConflict, "taken", "id"}));
}

TEST(Feed, WhatAnybodyMayPublishThereIsHarmless) {
  for (const char* text :
       {"", "null", "[]", "{", R"({"items":3})", R"({"items":[1]})", R"({"intent":-1})"}) {
    EXPECT_FALSE(ParseOutcome(text)) << text;
  }
  EXPECT_FALSE(ParseFeedEvent("[1]"));
  const auto event = ParseFeedEvent(R"({"task":7,"attempt":-3,"exit_code":"x","healthy":1})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->task, "");
  EXPECT_EQ(event->attempt, 0u);
  EXPECT_FALSE(event->exit_code);
  EXPECT_FALSE(event->healthy);
}

TEST(Since, SpansAndTimes) {
  const WallTime now = WallFromNanos(1'767'225'600'000'000'000);
  Args args;
  EXPECT_EQ(SinceOf(args, now).value(), std::nullopt);
  args.Add("since", "10m");
  EXPECT_EQ(*SinceOf(args, now).value(), now - std::chrono::minutes(10));
  args.Add("since", "2025-12-31T23:00:00Z");
  EXPECT_EQ(*SinceOf(args, now).value(), now - std::chrono::hours(1));
  args.Add("since", "yesterday");
  EXPECT_FALSE(SinceOf(args, now));
}

}  // namespace
}  // namespace cube::cli
