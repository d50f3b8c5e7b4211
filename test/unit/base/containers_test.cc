// FlatSet against std::set, FlatCounts and PlaceTable against std::map; Rare against std::optional,
// PackedText against std::string.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "shared/base/flat_counts.h"
#include "shared/base/flat_set.h"
#include "shared/base/packed_text.h"
#include "shared/base/place_table.h"
#include "shared/base/random.h"
#include "shared/base/rare.h"

namespace cube {
namespace {

TEST(FlatSet, IsAStdSet) {
  Random random(1);
  FlatSet<int> flat;
  std::set<int> set;
  for (int i = 0; i < 2000; ++i) {
    const int value = static_cast<int>(random.Below(50));
    if (random.Below(2) == 0) {
      flat.insert(value);
      set.insert(value);
    } else {
      flat.erase(value);
      set.erase(value);
    }
    ASSERT_EQ(std::vector<int>(flat.begin(), flat.end()), std::vector<int>(set.begin(), set.end()));
    ASSERT_EQ(flat.size(), set.size());
    ASSERT_EQ(flat.empty(), set.empty());
    ASSERT_EQ(flat.contains(value), set.contains(value));
  }
  flat.clear();
  EXPECT_TRUE(flat.empty());
}

TEST(PlaceTable, IsAMapFromPlacesToHashes) {
  Random random(5);
  PlaceTable table;
  std::map<std::uint32_t, std::uint32_t> hashes;  // of the places that are held
  for (int i = 0; i < 20000; ++i) {
    // Few hashes, some of which begin at the end of a small table: runs that wrap around.
    const auto hash = static_cast<std::uint32_t>(random.Below(24)) * 0x10000005U + 12;
    const auto place = static_cast<std::uint32_t>(random.Below(i < 10000 ? 20 : 400));
    if (const auto known = hashes.find(place); known != hashes.end()) {
      table.Drop(known->second, place);
      hashes.erase(known);
    } else {
      table.Add(hash, place);
      hashes.emplace(place, hash);
    }
    ASSERT_EQ(table.size(), hashes.size());
    if (i % 16 != 0) continue;
    for (const auto& [at, of] : hashes) {
      ASSERT_EQ(table.Find(of, [&](std::uint32_t found) { return found == at; }), at);
    }
    ASSERT_EQ(table.Find(hash, [](std::uint32_t) { return false; }), PlaceTable::kNone);
    ASSERT_EQ(table.Find(7, [](std::uint32_t) { return true; }), PlaceTable::kNone);
  }
  table.Clear();
  EXPECT_EQ(table.Find(12, [](std::uint32_t) { return true; }), PlaceTable::kNone);
}

TEST(PlaceTable, KeepsItsEntriesWhenItGrows) {
  PlaceTable table;
  table.Reserve(10);
  for (std::uint32_t i = 0; i < 1000; ++i) table.Add(i * 2654435761U, i);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(table.Find(i * 2654435761U, [i](std::uint32_t at) { return at == i; }), i);
  }
}

TEST(FlatCounts, IsAStdMapOfCounts) {
  Random random(3);
  FlatCounts<int> flat;
  std::map<int, std::uint32_t> map;
  for (int i = 0; i < 5000; ++i) {
    const int key = static_cast<int>(random.Below(30));
    if (random.Below(2) == 0) {
      flat.Add(key);
      ++map[key];
    } else if (map.contains(key)) {
      flat.Drop(key);
      if (--map[key] == 0) map.erase(key);
    }
    std::map<int, std::uint32_t> has;
    for (const auto& [at, count] : flat) has.emplace(at, count);
    ASSERT_EQ(has, map);
    ASSERT_EQ(flat.Of(key), map.contains(key) ? map[key] : 0);
    ASSERT_EQ(flat.empty(), map.empty());
  }
}

TEST(PackedText, IsATextOfItsOwn) {
  PackedText text;
  EXPECT_EQ(text.view(), "");
  EXPECT_EQ(text, PackedText(""));
  const std::string many(300, 'x');
  text = std::string_view(many);
  EXPECT_EQ(text.view(), many);
  PackedText copy = text;
  EXPECT_EQ(copy, text);
  EXPECT_NE(copy.view().data(), text.view().data());
  const PackedText& itself = copy;
  copy = itself;
  EXPECT_EQ(copy, text);
  text = std::string_view("a\0b", 3);
  EXPECT_EQ(text.view(), std::string_view("a\0b", 3));
  EXPECT_NE(copy, text);
  copy = text;
  EXPECT_EQ(copy, text);
  const PackedText moved = std::move(text);
  EXPECT_EQ(moved, copy);
  copy = PackedText();
  EXPECT_EQ(copy.view(), "");
}

TEST(Rare, IsAbsentOrAValueOfItsOwn) {
  Rare<std::string> rare;
  EXPECT_FALSE(rare);
  EXPECT_EQ(rare, Rare<std::string>());
  rare = std::string("a");
  ASSERT_TRUE(rare);
  Rare<std::string> copy = rare;
  copy->push_back('b');
  EXPECT_EQ(*rare, "a");
  EXPECT_EQ(*copy, "ab");
  EXPECT_NE(rare, copy);
  EXPECT_NE(rare, Rare<std::string>());
  copy = rare;
  EXPECT_EQ(rare, copy);
  const Rare<std::string>& itself = copy;
  copy = itself;
  EXPECT_EQ(copy, std::string("a"));
  const Rare<std::string> moved = std::move(copy);
  EXPECT_EQ(moved, rare);
  rare.reset();
  EXPECT_FALSE(rare);
  rare = std::optional<std::string>("c");
  EXPECT_EQ(*rare, "c");
  rare = std::optional<std::string>();
  EXPECT_FALSE(rare);
}

}  // namespace
}  // namespace cube
