#include "shared/store/table.h"

#include <gtest/gtest.h>

#include "shared/base/random.h"
#include "shared/store/key_codec.h"
#include "shared/store/memory_store.h"

namespace cube::store {
namespace {

using Key = std::tuple<std::uint64_t, std::uint32_t>;

struct Codec {
  static std::string EncodeKey(const Key& key) {
    return store::EncodeKey(std::get<0>(key), std::get<1>(key));
  }
  static Result<Key> DecodeKey(std::string_view bytes) {
    return store::DecodeKey<std::uint64_t, std::uint32_t>(bytes);
  }
  static std::string EncodeValue(const std::string& value) { return "v:" + value; }
  static Result<std::string> DecodeValue(std::string_view bytes) {
    if (!bytes.starts_with("v:")) return Fail(Code::kInvalid, "no v");
    return std::string(bytes.substr(2));
  }
};
const Result<std::optional<std::string>> kNothing{std::nullopt};

constexpr Table<Key, std::string, Codec> kTasks{0, "tasks"};

class TableTest : public testing::Test {
 protected:
  void Put(const Key& key, const std::string& value) {
    WriteBatch batch;
    kTasks.Put(batch, key, value);
    ASSERT_TRUE(store_.Commit(batch));
  }
  void PutBytes(const std::string& key, const std::string& value) {
    WriteBatch batch;
    batch.Put(0, key, value);
    ASSERT_TRUE(store_.Commit(batch));
  }
  MemoryStore store_{Schema{1, {"tasks"}}};
};

TEST(KeyCodecTest, NumbersAreBigEndian) {
  EXPECT_EQ(EncodeKey(std::uint32_t{0x01020304}), "\x01\x02\x03\x04");
  EXPECT_EQ(EncodeKey(std::uint8_t{7}, std::uint16_t{0x0102}), "\x07\x01\x02");
}

TEST(KeyCodecTest, BytesSortAsTheNumbersAndComeBack) {
  Random random(7);
  for (int i = 0; i < 10'000; ++i) {
    const auto number = [&] { return random.Next() >> random.Below(64); };
    const Key a{number(), static_cast<std::uint32_t>(random.Below(3))};
    const Key b{random.Below(4) == 0 ? std::get<0>(a) : number(),
                static_cast<std::uint32_t>(random.Next())};
    ASSERT_EQ(a < b, Codec::EncodeKey(a) < Codec::EncodeKey(b));
    ASSERT_EQ(Codec::DecodeKey(Codec::EncodeKey(b)), b);
  }
}

TEST(KeyCodecTest, OtherSizesAreDataLoss) {
  EXPECT_EQ(DecodeKey<std::uint64_t>("1234567").error().code, Code::kDataLoss);
  EXPECT_EQ(DecodeKey<std::uint64_t>("123456789").error().code, Code::kDataLoss);
}

TEST_F(TableTest, PutGetDeleteClear) {
  EXPECT_EQ(kTasks.Get(store_, {1, 2}), kNothing);
  Put({1, 2}, "one");
  EXPECT_EQ(kTasks.Get(store_, {1, 2}), "one");
  EXPECT_EQ(kTasks.Count(store_), 1u);
  WriteBatch batch;
  kTasks.Delete(batch, {1, 2});
  kTasks.Put(batch, {3, 4}, "three");
  ASSERT_TRUE(store_.Commit(batch));
  EXPECT_EQ(kTasks.Get(store_, {1, 2}), kNothing);
  WriteBatch clear;
  kTasks.Clear(clear);
  ASSERT_TRUE(store_.Commit(clear));
  EXPECT_EQ(kTasks.Count(store_), 0u);
}

TEST_F(TableTest, RequireTellsMissingKeys) {
  Put({1, 2}, "one");
  EXPECT_EQ(kTasks.Require(store_, {1, 2}), "one");
  const auto missing = kTasks.Require(store_, {1, 3});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_NE(missing.error().message.find("tasks"), std::string::npos);
}

TEST_F(TableTest, ScansInTheOrderOfTheKeys) {
  for (const std::uint64_t n : {300u, 2u, 70'000u}) Put({n, 1}, std::to_string(n));
  std::vector<std::string> seen;
  const auto collect = [&](const Key&, const std::string& value) {
    seen.push_back(value);
    return seen.size() < 2;
  };
  ASSERT_TRUE(kTasks.Scan(store_, collect));
  EXPECT_EQ(seen, (std::vector<std::string>{"2", "300"}));
  seen.clear();
  ASSERT_TRUE(kTasks.ScanFrom(store_, {300, 2}, collect));
  EXPECT_EQ(seen, (std::vector<std::string>{"70000"}));
}

TEST_F(TableTest, WhatCannotBeDecodedIsDataLoss) {
  PutBytes(EncodeKey(std::uint64_t{1}, std::uint32_t{1}), "bad");
  const auto got = kTasks.Get(store_, {1, 1});
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kDataLoss);
  EXPECT_EQ(got.error().message, "table tasks: no v");
  const auto ignore = [](const Key&, const std::string&) { return true; };
  EXPECT_EQ(kTasks.Scan(store_, ignore).error().code, Code::kDataLoss);
  WriteBatch clear;
  kTasks.Clear(clear);
  ASSERT_TRUE(store_.Commit(clear));
  PutBytes("short", "v:fine");
  EXPECT_EQ(kTasks.Scan(store_, ignore).error().code, Code::kDataLoss);
}

}  // namespace
}  // namespace cube::store
