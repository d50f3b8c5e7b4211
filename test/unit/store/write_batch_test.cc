#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/store/store.h"

namespace cube::store {
namespace {

std::string TextOf(const Write& write) {
  const std::string place = std::to_string(write.table) + " " + std::string(write.key);
  switch (write.kind) {
    case Write::Kind::kPut:
      return "put " + place + "=" + std::string(write.value);
    case Write::Kind::kDelete:
      return "delete " + place;
    case Write::Kind::kClear:
      return "clear " + place;
  }
  return "?";
}

std::vector<std::string> TextsOf(const WriteBatch& batch) {
  std::vector<std::string> texts;
  for (const Write write : batch.writes()) texts.push_back(TextOf(write));
  return texts;
}

TEST(WriteBatch, HasWhatWasPutInOrder) {
  WriteBatch batch;
  EXPECT_TRUE(batch.empty());
  batch.Put(0, "k", "one");
  batch.Delete(2, "gone");
  batch.Clear(1);
  std::ranges::copy(std::string_view("two"), batch.PutRoom(1, "k", 3).begin());
  batch.Put(0, "", "");
  EXPECT_EQ(batch.size(), 5U);
  EXPECT_THAT(TextsOf(batch), testing::ElementsAre("put 0 k=one", "delete 2 gone", "clear 1 ",
                                                   "put 1 k=two", "put 0 ="));
}

TEST(WriteBatch, TextsOfAnyBytesStayWhatTheyAreWhileItGrows) {
  WriteBatch batch;
  std::vector<std::string> wanted;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = std::string("\0\xff", 2) + std::to_string(i);
    const std::string value(static_cast<std::size_t>(i), static_cast<char>(i));
    batch.Put(0, key, value);
    wanted.push_back("put 0 " + key + "=" + value);
  }
  EXPECT_EQ(TextsOf(batch), wanted);
  const WriteBatch copy = batch;
  batch = {};
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(TextsOf(copy), wanted);
}

}  // namespace
}  // namespace cube::store
