// cube-bench log: what this server takes, in this run, on this machine.
#include <fmt/format.h>
#include <lmdb.h>

#include "bench/cluster/child.h"
#include "bench/cluster/commands.h"
#include "bench/cluster/meter.h"
#include "shared/base/check.h"
#include "shared/runtime/clock.h"
#include "shared/store/key_codec.h"
#include "test/support/bus/nats_server.h"

namespace cube::bench {
namespace {

void Print(const char* what, const Rate& rate, std::size_t bytes) {
  const std::size_t packed = bytes / kEventBytes;
  const double events = rate.per_second() * static_cast<double>(packed);
  fmt::print("{:<44} {:>9.0f} msgs/s {:>10.0f} events/s {:>8.1f} MB/s\n", what, rate.per_second(),
             events, rate.per_second() * static_cast<double>(bytes) / 1e6);
}

constexpr std::size_t kRecordBytes = 300;  // a task's record on disk, about
constexpr std::uint64_t kPutsACommit = 1000;
constexpr std::size_t kMapBytes = std::size_t{16} << 30;

void Check(int code) { CUBE_CHECK(code == MDB_SUCCESS); }

// As the manager's view is kept: it is rebuilt when in doubt, so commits do not wait for the disk.
double LmdbPutsPerSecond(Duration time) {
  const WorkDir dir;
  MDB_env* env = nullptr;
  Check(mdb_env_create(&env));
  Check(mdb_env_set_mapsize(env, kMapBytes));
  Check(mdb_env_open(env, dir.path().c_str(), MDB_NOSYNC, 0600));
  const std::string value(kRecordBytes, 'x');
  MDB_dbi table = 0;
  std::uint64_t puts = 0;
  const SystemClock clock;
  const MonoTime begin = clock.now().mono;
  MonoTime now = begin;
  for (; now - begin < time; now = clock.now().mono) {
    MDB_txn* txn = nullptr;
    Check(mdb_txn_begin(env, nullptr, 0, &txn));
    if (puts == 0) Check(mdb_dbi_open(txn, nullptr, 0, &table));
    for (std::uint64_t i = 0; i < kPutsACommit; ++i) {
      std::string key = store::EncodeKey(++puts);
      MDB_val k{key.size(), key.data()};
      MDB_val v{value.size(), const_cast<char*>(value.data())};
      Check(mdb_put(txn, table, &k, &v, 0));
    }
    Check(mdb_txn_commit(txn));
  }
  mdb_env_close(env);
  return static_cast<double>(puts) / std::chrono::duration<double>(now - begin).count();
}

}  // namespace

Result<void> RunLog(const LogOptions& options, Figures& figures) {
  CUBE_TRY(const auto server, bus::NatsServer::Start());
  CUBE_TRY(const auto meter, Meter::Open(server->url()));
  const Duration time = std::chrono::seconds(options.seconds);
  CUBE_TRY(const Rate fenced, meter->Append({kPackedBytes, 1, 0, time}));
  Print("append 16 KiB, fenced, one in flight", fenced, kPackedBytes);
  CUBE_TRY(const Rate packed, meter->Append({kPackedBytes, 64, 0, time}));
  Print("append 16 KiB, 64 in flight", packed, kPackedBytes);
  CUBE_TRY(const Rate packed_read, meter->ReadBack());
  Print("read 16 KiB", packed_read, kPackedBytes);
  CUBE_TRY(const Rate single, meter->Append({kEventBytes, kWindow, 0, time}));
  Print("append 200 B, 1024 in flight", single, kEventBytes);
  CUBE_TRY(const Rate single_read, meter->ReadBack());
  Print("read 200 B", single_read, kEventBytes);
  constexpr std::size_t kPacked = kPackedBytes / kEventBytes;
  fmt::print("packing: {:.1f} times the events of single messages, although one is in flight\n",
             fenced.per_second() * static_cast<double>(kPacked) / single.per_second());
  const double puts = LmdbPutsPerSecond(time);
  fmt::print("{:<44} {:>9.0f} puts/s, {} in a commit, {} bytes each\n",
             "LMDB, keys that grow, no sync", puts, kPutsACommit, kRecordBytes);
  figures.Add("log.append_16k_fenced", fenced.per_second(), "msgs/s");
  figures.Add("log.append_16k", packed.per_second(), "msgs/s");
  figures.Add("log.read_16k", packed_read.per_second(), "msgs/s");
  figures.Add("log.append_200", single.per_second(), "msgs/s");
  figures.Add("log.read_200", single_read.per_second(), "msgs/s");
  figures.Add("log.lmdb_puts", puts, "puts/s");
  return {};
}

}  // namespace cube::bench
