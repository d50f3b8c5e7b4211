#include "shared/store/batch_check.h"

#include <set>

#include "shared/base/check.h"

namespace cube::store {

Result<void> CheckBatch(const WriteBatch& batch, const Schema& schema) {
  for (const Write write : batch.writes()) {
    CUBE_CHECK(write.table < schema.table_names.size());
    if (write.kind == Write::Kind::kClear) continue;
    const std::string& table = schema.table_names[write.table];
    if (write.key.empty()) {
      return Fail(Code::kInvalid, "writing to table " + table + ": the key is empty");
    }
    if (write.key.size() > kKeyBytesMax) {
      return Fail(Code::kResource, "writing to table " + table + ": a key of " +
                                       std::to_string(write.key.size()) + " bytes is over " +
                                       std::to_string(kKeyBytesMax));
    }
    if (write.value.size() > kValueBytesMax) {
      return Fail(Code::kResource, "writing to table " + table + ": a value of " +
                                       std::to_string(write.value.size()) + " bytes is over " +
                                       std::to_string(kValueBytesMax));
    }
  }
  return {};
}

bool IsPossibleKey(std::string_view key) { return !key.empty() && key.size() <= kKeyBytesMax; }

void CheckSchema(const Schema& schema) {
  CUBE_CHECK(!schema.table_names.empty() && schema.table_names.size() <= kTablesMax);
  std::set<std::string_view> seen;
  for (const std::string& name : schema.table_names) {
    CUBE_CHECK(!name.empty() && name.size() <= kKeyBytesMax);
    for (const char c : name) {
      CUBE_CHECK((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_');
    }
    CUBE_CHECK(seen.insert(name).second);
  }
}

}  // namespace cube::store
