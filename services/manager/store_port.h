// What a shell does with the operations about the view's store.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "services/manager/view_store.h"
#include "shared/store/frozen_scan.h"
#include "shared/store/store.h"

namespace cube::manager {

class StorePort {
 public:
  // The store must outlive it.
  explicit StorePort(store::Store& store) : store_(&store) {}

  [[nodiscard]] Result<void> Commit(const store::WriteBatch& batch) {
    if (scan_) scan_->BeforeCommit(batch);
    return store_->Commit(batch);
  }
  void Freeze() { scan_.emplace(*store_, ViewSchema().table_names.size()); }
  void Thaw() { scan_.reset(); }
  [[nodiscard]] Result<std::vector<store::Row>> ReadFrozen(std::size_t bytes_max) {
    if (!scan_) return Fail(Code::kInternal, "no scan of the view goes on");
    auto rows = scan_->Next(bytes_max);
    if (!rows || rows->empty()) scan_.reset();
    return rows;
  }

 private:
  store::Store* store_;
  std::optional<store::FrozenScan> scan_;
};

}  // namespace cube::manager
