// A table with types: what the owner of a Store uses instead of bytes.
//
//   struct TaskCodec {
//     static std::string EncodeKey(const TaskNumber&);
//     static Result<TaskNumber> DecodeKey(std::string_view);
//     static std::string EncodeValue(const TaskRecord&);
//     static Result<TaskRecord> DecodeValue(std::string_view);
//   };
//   inline constexpr Table<TaskNumber, TaskRecord, TaskCodec> kTasks{0, "tasks"};
//
// An entry that the codec cannot read is kDataLoss: the version of the schema should have changed,
// or the file is damaged; either way the store is to be set aside.
#pragma once

#include <utility>

#include "shared/store/store.h"

namespace cube::store {

template <class Key, class Value, class Codec>
class Table {
 public:
  // `name` is what the schema calls table `id`; it must outlive the table (a literal).
  constexpr Table(TableId id, const char* name) : id_(id), name_(name) {}

  [[nodiscard]] constexpr TableId id() const { return id_; }
  [[nodiscard]] constexpr const char* name() const { return name_; }

  void Put(WriteBatch& batch, const Key& key, const Value& value) const {
    batch.Put(id_, Codec::EncodeKey(key), Codec::EncodeValue(value));
  }
  void Delete(WriteBatch& batch, const Key& key) const { batch.Delete(id_, Codec::EncodeKey(key)); }
  void Clear(WriteBatch& batch) const { batch.Clear(id_); }

  // nullopt = no such key.
  [[nodiscard]] Result<std::optional<Value>> Get(const Store& store, const Key& key) const {
    auto bytes = store.Get(id_, Codec::EncodeKey(key));
    if (!bytes) return Annotated(std::move(bytes).error());
    if (!*bytes) return std::nullopt;
    auto value = Codec::DecodeValue(**bytes);
    if (!value) return Unreadable(std::move(value).error());
    return std::optional<Value>(std::move(*value));
  }
  // For keys that must be there: kNotFound if it is not.
  [[nodiscard]] Result<Value> Require(const Store& store, const Key& key) const {
    CUBE_TRY(std::optional<Value> value, Get(store, key));
    if (!value) return Fail(Code::kNotFound, std::string("table ") + name_ + ": no such key");
    return std::move(*value);
  }

  // `visit(key, value)` in key order, from the first or from `from` on; false ends the scan. It
  // must not call Commit.
  template <class Visit>
  [[nodiscard]] Result<void> Scan(const Store& store, const Visit& visit) const {
    return ScanBytes(store, {}, visit);
  }
  template <class Visit>
  [[nodiscard]] Result<void> ScanFrom(const Store& store, const Key& from,
                                      const Visit& visit) const {
    return ScanBytes(store, Codec::EncodeKey(from), visit);
  }
  [[nodiscard]] Result<std::uint64_t> Count(const Store& store) const { return store.Count(id_); }

 private:
  template <class Visit>
  Result<void> ScanBytes(const Store& store, const std::string& from, const Visit& visit) const {
    Result<void> outcome;
    auto scanned = store.Scan(id_, from, [&](std::string_view key_bytes, std::string_view bytes) {
      auto key = Codec::DecodeKey(key_bytes);
      if (!key) {
        outcome = Unreadable(std::move(key).error());
        return false;
      }
      auto value = Codec::DecodeValue(bytes);
      if (!value) {
        outcome = Unreadable(std::move(value).error());
        return false;
      }
      return static_cast<bool>(visit(*key, *value));
    });
    if (!scanned) return Annotated(std::move(scanned).error());
    return outcome;
  }
  std::unexpected<Error> Annotated(Error error) const {
    return Annotate(std::move(error), std::string("table ") + name_);
  }
  std::unexpected<Error> Unreadable(Error error) const {
    error.code = Code::kDataLoss;
    return Annotated(std::move(error));
  }

  TableId id_;
  const char* name_;
};

}  // namespace cube::store
