#include "test/support/store/contract.h"

#include "shared/store/lmdb_store.h"
#include "test/support/store/faulty_store.h"
#include "test/support/temp_dir.h"

namespace cube::store {
namespace {

class LmdbBench final : public StoreBench {
 public:
  LmdbBench(Schema schema, Durability durability)
      : schema_(std::move(schema)), options_{.durability = durability} {
    Reopen();
  }
  Store& store() override { return *store_; }
  void Reopen() override {
    store_.reset();
    auto opened = LmdbStore::Open(dir_.File("view"), schema_, options_);
    CUBE_CHECK(opened && opened->opening.reason.empty());
    store_ = std::move(opened->store);
  }

 private:
  test::TempDir dir_;
  Schema schema_;
  LmdbOptions options_;
  std::unique_ptr<Store> store_;
};

class MemoryBench final : public StoreBench {
 public:
  explicit MemoryBench(std::unique_ptr<Store> store) : store_(std::move(store)) {}
  Store& store() override { return *store_; }
  void Reopen() override {}

 private:
  std::unique_ptr<Store> store_;
};

StoreKind Lmdb(const char* name, Durability durability) {
  return {name,
          [=](const Schema& schema) { return std::make_unique<LmdbBench>(schema, durability); }};
}

INSTANTIATE_TEST_SUITE_P(
    All, StoreContract,
    testing::Values(Lmdb("LmdbFull", Durability::kFull), Lmdb("LmdbRelaxed", Durability::kRelaxed),
                    StoreKind{"Memory",
                              [](const Schema& schema) {
                                return std::make_unique<MemoryBench>(
                                    std::make_unique<MemoryStore>(schema));
                              }},
                    StoreKind{"Faulty",
                              [](const Schema& schema) {
                                return std::make_unique<MemoryBench>(std::make_unique<FaultyStore>(
                                    schema, FaultyStore::Durability::kRelaxed));
                              }}),
    [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace cube::store
