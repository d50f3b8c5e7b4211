// What the tests of LmdbStore share: opening with complaints, a model of the contents, a process
// that can be killed.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <utility>

#include "shared/base/check.h"
#include "shared/base/random.h"
#include "shared/store/lmdb_store.h"
#include "shared/store/memory_store.h"

namespace cube::store {

inline Schema TestSchema() { return {3, {"tasks", "nodes", "cursors"}}; }

inline LmdbStore::Opened MustOpen(const std::string& dir, const LmdbOptions& options = {},
                                  const Schema& schema = TestSchema()) {
  auto opened = LmdbStore::Open(dir, schema, options);
  if (!opened) ADD_FAILURE() << opened.error().message;
  CUBE_CHECK(opened);
  return std::move(*opened);
}

inline MemoryStore::Contents ContentsOf(const Store& store, const Schema& schema = TestSchema()) {
  MemoryStore::Contents contents(schema.table_names.size());
  const auto tables = static_cast<TableId>(contents.size());
  for (TableId table = 0; table < tables; ++table) {
    const auto scanned = store.Scan(table, {}, [&](std::string_view key, std::string_view value) {
      contents[table].emplace(key, value);
      return true;
    });
    EXPECT_TRUE(scanned) << scanned.error().message;
    EXPECT_EQ(store.Count(table), contents[table].size());
  }
  return contents;
}

// Puts, deletes and now and then a clear; values from none to some pages; keys that repeat.
inline WriteBatch RandomBatch(Random& random, const Schema& schema = TestSchema()) {
  WriteBatch batch;
  for (std::uint64_t i = random.Below(20); i > 0; --i) {
    const auto table = static_cast<TableId>(random.Below(schema.table_names.size()));
    const std::string key = "key-" + std::to_string(random.Below(300)) +
                            std::string(random.Chance(50'000) ? 400 : 0, 'k');
    if (random.Chance(500)) {
      batch.Clear(table);
    } else if (random.Chance(300'000)) {
      batch.Delete(table, key);
    } else {
      const std::size_t size = random.Chance(100'000) ? random.Below(30'000) : random.Below(300);
      std::string value(size, '\0');
      for (char& c : value) c = static_cast<char>(random.Next());
      batch.Put(table, key, std::move(value));
    }
  }
  return batch;
}

inline std::string FileBytes(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

inline void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
  CUBE_CHECK(out.flush().good());
}

// A forked process; destroying it kills it.
class ChildProcess {
 public:
  // `body` returns the exit status; its destructors of statics do not run.
  explicit ChildProcess(const std::function<int()>& body) : pid_(::fork()) {
    CUBE_CHECK(pid_ >= 0);
    if (pid_ == 0) ::_exit(body());
  }
  ~ChildProcess() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    Wait();
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  void Kill() { CUBE_CHECK(::kill(pid_, SIGKILL) == 0); }
  // The exit status, or 1000 + the signal that ended it.
  int Wait() {
    int status = 0;
    CUBE_CHECK(::waitpid(std::exchange(pid_, 0), &status, 0) > 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

}  // namespace cube::store
