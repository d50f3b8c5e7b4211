// How a folder comes up: fresh, as it was, or set aside; and for whom.
#include <gtest/gtest.h>

#include <filesystem>

#include "shared/store/aside.h"
#include "test/support/store/lmdb_bench.h"
#include "test/support/temp_dir.h"

namespace cube::store {
namespace {

constexpr TableId kTasks = 0;
const LmdbOptions kNoOptions;

class LmdbOpenTest : public testing::Test {
 protected:
  [[nodiscard]] std::string Dir() const { return temp_.File("state/view"); }
  [[nodiscard]] std::string DataFile() const { return Dir() + "/data.mdb"; }
  [[nodiscard]] std::string MarkFile() const { return Dir() + "/mark"; }

  // Opens, puts one entry and closes in good order.
  void Fill(const LmdbOptions& options = {}) const {
    const auto opened = MustOpen(Dir(), options);
    WriteBatch batch;
    batch.Put(kTasks, "key", "value");
    CUBE_CHECK(opened.store->Commit(batch));
  }
  // The same by a process that ends without closing.
  void FillAndDie(const LmdbOptions& options) const {
    ChildProcess child([&]() -> int {
      const auto opened = MustOpen(Dir(), options);
      WriteBatch batch;
      batch.Put(kTasks, "key", "value");
      CUBE_CHECK(opened.store->Commit(batch));
      ::_exit(0);  // before the destructor of `opened`
    });
    ASSERT_EQ(child.Wait(), 0);
  }
  void ExpectIntact(const LmdbOptions& options = {}) const {
    const auto opened = MustOpen(Dir(), options);
    EXPECT_FALSE(opened.opening.fresh);
    EXPECT_EQ(opened.opening.reason, "");
    EXPECT_EQ(opened.opening.set_aside, "");
    EXPECT_EQ(opened.store->Get(kTasks, "key"), "value");
  }
  void ExpectSetAside(const std::string& reason, const LmdbOptions& options = {},
                      const Schema& schema = TestSchema()) const {
    {
      const auto opened = MustOpen(Dir(), options, schema);
      EXPECT_TRUE(opened.opening.fresh);
      EXPECT_NE(opened.opening.reason.find(reason), std::string::npos) << opened.opening.reason;
      EXPECT_EQ(opened.opening.set_aside, Dir() + ".aside-1");
      EXPECT_TRUE(std::filesystem::exists(Dir() + ".aside-1/data.mdb"));
      EXPECT_EQ(opened.store->Count(kTasks), 0u);
      WriteBatch batch;
      batch.Put(kTasks, "after", "wards");
      EXPECT_TRUE(opened.store->Commit(batch));
    }
    const auto again = MustOpen(Dir(), options, schema);
    EXPECT_EQ(again.opening.reason, "");
    EXPECT_EQ(again.store->Get(kTasks, "after"), "wards");
  }

  test::TempDir temp_{test::FastTempParent()};
};

TEST_F(LmdbOpenTest, AMissingFolderIsMadeAndFresh) {
  const auto opened = MustOpen(Dir());
  EXPECT_TRUE(opened.opening.fresh);
  EXPECT_EQ(opened.opening.reason, "");
}

TEST_F(LmdbOpenTest, WhatWasCommittedIsThereAgain) {
  for (const auto durability : {Durability::kFull, Durability::kRelaxed}) {
    Fill({.durability = durability});
    ExpectIntact({.durability = durability});
  }
  ExpectIntact({.durability = Durability::kFull});
}

TEST_F(LmdbOpenTest, ASlashAtTheEndIsTheSameFolder) {
  Fill();
  EXPECT_FALSE(MustOpen(Dir() + "/").opening.fresh);
}

TEST_F(LmdbOpenTest, AStoreWithoutEntriesCountsAsFresh) {
  {
    const auto opened = MustOpen(Dir());
  }
  const auto again = MustOpen(Dir());
  EXPECT_TRUE(again.opening.fresh);
  EXPECT_EQ(again.opening.reason, "");
}

TEST_F(LmdbOpenTest, AnotherVersionIsSetAside) {
  Fill();
  ExpectSetAside("schema 3 tasks,nodes,cursors", kNoOptions, {4, TestSchema().table_names});
}

TEST_F(LmdbOpenTest, OtherTablesAreSetAside) {
  Fill();
  ExpectSetAside("this program has", kNoOptions, {3, {"tasks", "nodes"}});
}

TEST_F(LmdbOpenTest, AFolderWithoutMarkIsSetAside) {
  Fill();
  std::filesystem::remove(MarkFile());
  ExpectSetAside("no readable mark");
}

TEST_F(LmdbOpenTest, ADamagedMarkIsSetAside) {
  Fill();
  WriteBytes(MarkFile(), "cube-store 1\nschema 3 tasks,nodes,cursors\ndurablf\n");
  ExpectSetAside("its mark is damaged");
}

TEST_F(LmdbOpenTest, AMarkOfAnotherFormatIsSetAside) {
  Fill();
  WriteBytes(MarkFile(), "cube-store 2\nschema 3 tasks,nodes,cursors\ndurable\n");
  ExpectSetAside("another format");
}

TEST_F(LmdbOpenTest, GarbageIsSetAside) {
  Fill();
  WriteBytes(DataFile(), std::string(100'000, 'x'));
  ExpectSetAside("not an LMDB file");
}

TEST_F(LmdbOpenTest, AFewBytesAreSetAside) {
  Fill();
  WriteBytes(DataFile(), "xyz");
  ExpectSetAside("ends too early");
}

TEST_F(LmdbOpenTest, AFolderInPlaceOfTheFileIsSetAside) {
  Fill();
  std::filesystem::remove(DataFile());
  std::filesystem::create_directory(DataFile());
  ExpectSetAside("not a file");
}

TEST_F(LmdbOpenTest, AnEmptyFileIsAStartThatWasKilled) {
  Fill();
  WriteBytes(DataFile(), "");
  const auto opened = MustOpen(Dir());
  EXPECT_TRUE(opened.opening.fresh);
  EXPECT_EQ(opened.opening.reason, "");
}

TEST_F(LmdbOpenTest, APowerCutMakesARelaxedStoreFresh) {
  const LmdbOptions before{.durability = Durability::kRelaxed, .boot_id = "boot-1"};
  const LmdbOptions after{.durability = Durability::kRelaxed, .boot_id = "boot-2"};
  FillAndDie(before);
  ExpectSetAside("the machine went down", after);
}

TEST_F(LmdbOpenTest, APowerCutIsNoticedByAFullOwnerToo) {
  FillAndDie({.durability = Durability::kRelaxed, .boot_id = "boot-1"});
  ExpectSetAside("the machine went down", {.durability = Durability::kFull, .boot_id = "boot-2"});
}

TEST_F(LmdbOpenTest, ARelaxedStoreOutlivesItsProcessOnTheSameBoot) {
  const LmdbOptions options{.durability = Durability::kRelaxed, .boot_id = "boot-1"};
  FillAndDie(options);
  ExpectIntact(options);
}

TEST_F(LmdbOpenTest, AClosedRelaxedStoreOutlivesABoot) {
  Fill({.durability = Durability::kRelaxed, .boot_id = "boot-1"});
  ExpectIntact({.durability = Durability::kRelaxed, .boot_id = "boot-2"});
  ExpectIntact({.durability = Durability::kRelaxed, .boot_id = "boot-3"});
}

TEST_F(LmdbOpenTest, AFullStoreOutlivesABootUnclosed) {
  FillAndDie({.durability = Durability::kFull, .boot_id = "boot-1"});
  ExpectIntact({.durability = Durability::kFull, .boot_id = "boot-2"});
}

TEST_F(LmdbOpenTest, AnotherProcessIsRefusedByName) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  ChildProcess holder([&] {
    const auto opened = MustOpen(Dir());
    if (::write(ready[1], "y", 1) != 1) return 1;
    while (true) ::pause();
  });
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const auto refused = LmdbStore::Open(Dir(), TestSchema(), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kConflict);
  EXPECT_NE(refused.error().message.find("in use by process " + std::to_string(holder.pid())),
            std::string::npos)
      << refused.error().message;
  EXPECT_EQ(LmdbStore::SetAside(Dir()).error().code, Code::kConflict);
  holder.Kill();
  holder.Wait();
  EXPECT_TRUE(LmdbStore::Open(Dir(), TestSchema(), {}));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(LmdbOpenTest, TheSameProcessIsRefusedTheSecondTime) {
  const auto first = MustOpen(Dir());
  const auto second = LmdbStore::Open(Dir(), TestSchema(), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
}

TEST_F(LmdbOpenTest, AFileInPlaceOfTheFolderIsAnErrorAndStays) {
  std::filesystem::create_directories(temp_.File("state"));
  WriteBytes(Dir(), "precious");
  const auto opened = LmdbStore::Open(Dir(), TestSchema(), {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kPrecondition);
  EXPECT_EQ(FileBytes(Dir()), "precious");
}

TEST_F(LmdbOpenTest, SetAsideRenamesWhatIsClosed) {
  EXPECT_EQ(LmdbStore::SetAside(Dir()), "");
  Fill();
  EXPECT_EQ(LmdbStore::SetAside(Dir() + "/"), Dir() + ".aside-1");
  EXPECT_TRUE(MustOpen(Dir()).opening.fresh);
}

TEST_F(LmdbOpenTest, OnlyTheNewestAsideFoldersAreKept) {
  for (int i = 1; i <= kAsideFoldersMax + 2; ++i) {
    Fill();
    EXPECT_EQ(LmdbStore::SetAside(Dir()), Dir() + ".aside-" + std::to_string(i));
  }
  for (int i = 1; i <= kAsideFoldersMax + 2; ++i) {
    EXPECT_EQ(std::filesystem::exists(Dir() + ".aside-" + std::to_string(i)), i > 2) << i;
  }
}

}  // namespace
}  // namespace cube::store
