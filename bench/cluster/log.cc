// cube-bench log: what this server takes, in this run, on this machine.
#include <fmt/format.h>

#include "bench/cluster/commands.h"
#include "bench/cluster/meter.h"
#include "test/support/bus/nats_server.h"

namespace cube::bench {
namespace {

void Print(const char* what, const Rate& rate, std::size_t bytes) {
  const std::size_t packed = bytes / kEventBytes;
  const double events = rate.per_second() * static_cast<double>(packed);
  fmt::print("{:<44} {:>9.0f} msgs/s {:>10.0f} events/s {:>8.1f} MB/s\n", what, rate.per_second(),
             events, rate.per_second() * static_cast<double>(bytes) / 1e6);
}

}  // namespace

Result<void> RunLog(const LogOptions& options) {
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
  return {};
}

}  // namespace cube::bench
