// What the view is made of: HashedMap against std::map, NodeRef, SeldomPart.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "shared/base/random.h"
#include "shared/cluster/hashed_map.h"
#include "shared/cluster/node_ref.h"
#include "shared/cluster/task.h"

namespace cube {
namespace {

TEST(HashedMap, IsAStdMap) {
  Random random(11);
  HashedMap<NodeName, int> hashed;
  std::map<NodeName, int> map;
  for (int i = 0; i < 2000; ++i) {
    const NodeName name = NodeName::Trusted("node-" + std::to_string(random.Below(300)));
    ASSERT_EQ(hashed.contains(name), map.contains(name));
    ASSERT_EQ(hashed.find(name) == hashed.end(), !map.contains(name));
    const auto [at, is_new] = hashed.try_emplace(name, i);
    ASSERT_EQ(is_new, map.try_emplace(name, i).second);
    ASSERT_EQ(at->second, map.at(name));
    if (random.Below(4) == 0) hashed[name] = map[name] = -i;
    ASSERT_EQ(&hashed.at(name), &at->second);
  }
  const HashedMap<NodeName, int> copy(hashed);
  const int* first = &hashed.begin()->second;
  const HashedMap<NodeName, int> moved(std::move(hashed));
  EXPECT_EQ(&moved.at(map.begin()->first), first) << "elements stay where they are";
  for (const HashedMap<NodeName, int>* of : {&copy, &moved}) {
    EXPECT_TRUE(std::equal(of->begin(), of->end(), map.begin(), map.end()));
    for (const auto& [name, value] : map) EXPECT_EQ(of->find(name)->second, value);
  }
  EXPECT_NE(&copy.at(map.begin()->first), first);
  const NodeName two = NodeName::Trusted("node-2");
  EXPECT_EQ(copy.lower_bound(two)->first, map.lower_bound(two)->first);
}

TEST(NodeRef, NamesANodeHoweverManyShareIt) {
  const NodeName name = NodeName::Trusted("node-1");
  NodeRef kept;
  EXPECT_TRUE(kept.empty());
  EXPECT_EQ(kept.str(), "");
  {
    const NodeRef first = name;
    kept = first;
    EXPECT_EQ(&kept.str(), &first.str()) << "one text for both";
  }
  EXPECT_EQ(kept, name) << "the last one keeps it";
  const NodeRef& itself = kept;
  kept = itself;
  EXPECT_EQ(kept, name);
  const NodeRef other = name;
  EXPECT_NE(&other.str(), &kept.str());
  EXPECT_EQ(kept, other) << "two texts, one name";
  const NodeRef moved = std::move(kept);
  EXPECT_EQ(moved, name);
  EXPECT_NE(moved, NodeRef());
  kept = NodeRef();
  EXPECT_TRUE(kept.empty());
  EXPECT_EQ(moved.str(), "node-1");
}

TEST(SeldomPart, IsAbsentAgainWhenAllOfItIs) {
  SeldomPart part;
  EXPECT_FALSE(part->pinned);
  const Seldom* const none = part.operator->();
  part.Edit().pinned = NodeName::Trusted("node-1");
  part.Edit().lost_reason = std::string("its node is down");
  EXPECT_NE(part.operator->(), none);
  part.Drop(&Seldom::pinned);
  EXPECT_FALSE(part->pinned);
  ASSERT_TRUE(part->lost_reason);
  EXPECT_EQ(*part->lost_reason, "its node is down");
  part.Drop(&Seldom::lost_reason);
  EXPECT_EQ(part.operator->(), none);
  part.Drop(&Seldom::moves);
  EXPECT_EQ(part.operator->(), none);
}

}  // namespace
}  // namespace cube
