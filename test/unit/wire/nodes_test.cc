// What arrives on cube.nodes.*: the human form, and what becomes of bad input.
#include <gtest/gtest.h>

#include "shared/wire/codec.h"
#include "shared/wire/subjects.h"

namespace cube::wire {
namespace {

constexpr std::string_view kCordon = "cube.nodes.cordon";
constexpr std::string_view kDrain = "cube.nodes.drain";

const InvalidItem& Invalid(const IntentBatch& batch, std::size_t index = 0) {
  return std::get<InvalidItem>(batch.items.at(index));
}

TEST(NodeIntents, SubjectsHaveTheirVerbs) {
  EXPECT_EQ(Subjects().Nodes("drain"), kDrain);
  EXPECT_EQ(Subjects().Nodes("cordon"), kCordon);
}

TEST(NodeIntents, ANameAMapOrAList) {
  for (const char* text : {R"("node-a")", R"({"name":"node-a"})", R"(["node-a"])",
                           R"({"nodes":["node-a"]})", "\n[{\"name\":\"node-a\"}]\n"}) {
    const auto cordon = DecodeIntents(kCordon, {}, text);
    ASSERT_EQ(cordon.items.size(), 1U) << text;
    EXPECT_TRUE(std::get<CordonNode>(cordon.items[0]).cordon);
    EXPECT_EQ(std::get<CordonNode>(cordon.items[0]).node.str(), "node-a");
    const auto uncordon = DecodeIntents("cube.nodes.uncordon", {}, text);
    EXPECT_FALSE(std::get<CordonNode>(uncordon.items.at(0)).cordon);
    const auto drain = DecodeIntents(kDrain, {}, text);
    EXPECT_EQ(std::get<DrainNode>(drain.items.at(0)).node.str(), "node-a");
    EXPECT_EQ(std::get<DrainNode>(drain.items.at(0)).deadline, std::nullopt);
  }
}

TEST(NodeIntents, ADrainMayHaveADeadline) {
  const auto batch = DecodeIntents(
      kDrain, {},
      R"([{"name":"a","deadline":"90s"},{"name":"b","deadline":"0s"},{"name":"c","deadline":5},
          {"name":"d","deadline":"1000h"},{"name":"e","dead":"1s"},{"deadline":"1s"},7])");
  ASSERT_EQ(batch.items.size(), 7U);
  EXPECT_EQ(std::get<DrainNode>(batch.items[0]).deadline, std::chrono::seconds(90));
  EXPECT_EQ(std::get<DrainNode>(batch.items[1]).deadline, Duration(0));
  EXPECT_EQ(Invalid(batch, 2).error.field, "deadline");
  EXPECT_EQ(Invalid(batch, 2).task, "c");
  EXPECT_EQ(Invalid(batch, 3).error.field, "deadline");
  EXPECT_EQ(Invalid(batch, 4).error.field, "dead");
  EXPECT_EQ(Invalid(batch, 5).error.field, "name");
  EXPECT_EQ(Invalid(batch, 6).error.field, "");
}

TEST(NodeIntents, WhatIsNoNodeIsInvalid) {
  const auto batch = DecodeIntents(kCordon, {}, R"(["Node A",{"name":"a","deadline":"1s"},"ok"])");
  ASSERT_EQ(batch.items.size(), 3U);
  EXPECT_EQ(Invalid(batch, 0).error.field, "name");
  EXPECT_EQ(Invalid(batch, 0).task, "Node A");
  EXPECT_EQ(Invalid(batch, 1).error.field, "deadline");
  EXPECT_EQ(std::get<CordonNode>(batch.items[2]).node.str(), "ok");
}

}  // namespace
}  // namespace cube::wire
