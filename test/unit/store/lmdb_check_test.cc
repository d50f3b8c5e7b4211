// Each kind of damage that the check names, done on purpose. (lmdb_damage_test.cc does it blindly.)
#include "shared/store/lmdb_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/store/lmdb_page.h"
#include "test/support/store/lmdb_bench.h"
#include "test/support/temp_dir.h"

namespace cube::store {
namespace {

using lmdb::Load;
using lmdb::Meta;
using lmdb::Node;
using lmdb::PageHeader;
using lmdb::Tree;
using testing::HasSubstr;

// A healthy file, to be changed at places that have names.
class LmdbCheckTest : public testing::Test {
 protected:
  LmdbCheckTest() {
    {
      const auto opened = MustOpen(dir_.File("view"), {.durability = Durability::kRelaxed});
      Random random(11);
      for (int i = 0; i < 60; ++i) CUBE_CHECK(opened.store->Commit(RandomBatch(random)));
    }
    bytes_ = FileBytes(dir_.File("view/data.mdb"));
    page_bytes_ = Load<Meta>(bytes_, lmdb::kPageHeaderBytes).free.pad;
    const auto even = MetaAt(0);
    const auto odd = MetaAt(1);
    meta_ = even.transaction > odd.transaction ? even : odd;
    const auto main = lmdb::ParseNodes(PageAt(meta_.main.root));
    CUBE_CHECK(main);
    for (const Node& node : *main) {
      if (node.key == "tasks") tasks_offset_ = OffsetOf(node.data);
    }
    tasks_ = Load<Tree>(bytes_, tasks_offset_);
  }

  [[nodiscard]] Meta MetaAt(std::size_t slot) const {
    return Load<Meta>(bytes_, slot * page_bytes_ + lmdb::kPageHeaderBytes);
  }
  [[nodiscard]] std::string_view PageAt(std::uint64_t number) const {
    return std::string_view(bytes_).substr(number * page_bytes_, page_bytes_);
  }
  [[nodiscard]] std::size_t OffsetOf(std::string_view part) const {
    return static_cast<std::size_t>(part.data() - bytes_.data());
  }
  [[nodiscard]] std::vector<Node> NodesOf(std::uint64_t page) const {
    auto nodes = lmdb::ParseNodes(PageAt(page));
    CUBE_CHECK(nodes);
    return *nodes;
  }
  template <class T>
  void Store(std::size_t offset, T value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof(value));
  }
  [[nodiscard]] Result<LmdbFileSummary> Check() const {
    WriteBytes(dir_.File("changed"), bytes_);
    return CheckLmdbFile(dir_.File("changed"), TestSchema());
  }
  void ExpectDamaged(const std::string& reason) const {
    const auto checked = Check();
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Code::kDataLoss);
    EXPECT_THAT(checked.error().message, HasSubstr(reason));
  }

  test::TempDir dir_{test::FastTempParent()};
  std::string bytes_;
  std::size_t page_bytes_ = 0;
  Meta meta_;
  std::size_t tasks_offset_ = 0;  // of the tree of table tasks, in the main tree's page
  Tree tasks_;
};

TEST_F(LmdbCheckTest, AHealthyFilePasses) {
  ASSERT_GE(tasks_.depth, 2) << "the other tests need a branch page";
  const auto checked = Check();
  ASSERT_TRUE(checked) << checked.error().message;
  EXPECT_GT(checked->entries, tasks_.entries);
  EXPECT_GT(checked->pages_used, tasks_.leaf_pages);
}

TEST_F(LmdbCheckTest, AMissingFileIsNoDamage) {
  EXPECT_EQ(CheckLmdbFile(dir_.File("none"), TestSchema()).error().code, Code::kNotFound);
}

TEST_F(LmdbCheckTest, SeparatorsOutOfOrder) {
  const auto nodes = NodesOf(tasks_.root);
  bytes_[OffsetOf(nodes[1].key)] = '\xff';
  ExpectDamaged("keys are out of order");
}

TEST_F(LmdbCheckTest, TwoWaysToOnePage) {
  const auto nodes = NodesOf(tasks_.root);
  // A node begins with the low 32 bits of its child.
  Store(OffsetOf(nodes[0].key) - lmdb::kNodeHeaderBytes,
        static_cast<std::uint32_t>(nodes[1].child));
  ExpectDamaged("keys are out of order");
  Store(OffsetOf(nodes[0].key) - lmdb::kNodeHeaderBytes, static_cast<std::uint32_t>(tasks_.root));
  ExpectDamaged("is used twice");
}

TEST_F(LmdbCheckTest, APageThatDoesNotExist) {
  Store(tasks_offset_ + offsetof(Tree, root), meta_.last_page + 1);
  ExpectDamaged("which does not exist");
}

TEST_F(LmdbCheckTest, WrongCounts) {
  Store(tasks_offset_ + offsetof(Tree, entries), tasks_.entries + 1);
  ExpectDamaged("counts are wrong");
}

TEST_F(LmdbCheckTest, WrongDepth) {
  Store(tasks_offset_ + offsetof(Tree, depth), static_cast<std::uint16_t>(tasks_.depth + 1));
  ExpectDamaged("is not what its tree needs there");
}

TEST_F(LmdbCheckTest, APageBothFreeAndInUse) {
  std::uint64_t page = meta_.free.root;
  while (Load<PageHeader>(PageAt(page)).flags == lmdb::kBranchPage) page = NodesOf(page)[0].child;
  const Node list = NodesOf(page).back();
  const std::size_t offset = OffsetOf(list.data);
  Store(offset, std::uint64_t{1});
  Store(offset + sizeof(std::uint64_t), tasks_.root);
  ExpectDamaged("is free and in use");
}

TEST_F(LmdbCheckTest, AFileThatWasCutOff) {
  bytes_.resize(bytes_.size() / 2);
  ExpectDamaged("it ends too early");
}

TEST_F(LmdbCheckTest, AnOverlap) {
  const auto nodes = NodesOf(tasks_.root);
  const std::size_t pointers = tasks_.root * page_bytes_ + lmdb::kPageHeaderBytes;
  Store(pointers, Load<std::uint16_t>(bytes_, pointers + sizeof(std::uint16_t)));
  ExpectDamaged("nodes over one another");
}

TEST_F(LmdbCheckTest, AChangedValue) {
  std::uint64_t page = tasks_.root;
  while (Load<PageHeader>(PageAt(page)).flags == lmdb::kBranchPage) page = NodesOf(page)[0].child;
  for (const Node& node : NodesOf(page)) {
    if ((node.flags & lmdb::kBigData) != 0) continue;
    bytes_[OffsetOf(node.data)] ^= 1;
    break;
  }
  ExpectDamaged("does not match its checksum");
}

TEST_F(LmdbCheckTest, ATableUnderAnothersName) {
  // Both trees are healthy; only the checksums know whose records they are.
  const auto main = NodesOf(meta_.main.root);
  for (const Node& node : main) {
    if (node.key == "nodes") Store(OffsetOf(node.data), tasks_);
  }
  WriteBytes(dir_.File("changed"), bytes_);
  const auto checked = CheckLmdbFile(dir_.File("changed"), {3, {"nodes", "tasks", "cursors"}});
  ASSERT_FALSE(checked);
  const auto renamed =
      CheckLmdbFile(dir_.File("view/data.mdb"), {3, {"nodes", "tasks", "cursors"}});
  ASSERT_FALSE(renamed);
  EXPECT_THAT(renamed.error().message, HasSubstr("does not match its checksum"));
}

}  // namespace
}  // namespace cube::store
