// cube-worker: reads its flags, takes its folder, and runs until it is told to end.
#include <utility>

#include "services/worker/process.h"
#include "shared/logging/logging.h"
#include "shared/service/flag_parser.h"
#include "shared/wire/codec.h"

namespace cube::worker {
namespace {

Result<int> RunWorker(const Flags& flags) {
  CUBE_TRY_VOID(service::ConfigureLogging(flags.service));
  CUBE_TRY(const std::string state, service::StateDirOf(flags.service));
  CUBE_TRY(const NodeFolder folder, OpenNodeFolder(state, flags.name));
  bool first = true;
  for (;;) {
    Process process(flags, folder);
    CUBE_TRY_VOID(process.Open());
    if (std::exchange(first, false)) {
      logging::Log(logging::Level::kInfo, "cube-worker started",
                   {{"node", folder.name.str()}, {"named_by", folder.how}, {"state", folder.dir}});
    }
    const Process::End end = process.Run();
    if (!end.again) return end.code;
  }
}

}  // namespace
}  // namespace cube::worker

int main(int argc, char** argv) {
  cube::wire::QuietProtobuf();
  cube::worker::Flags flags;
  CLI::App app{
      "Makes this machine a node: runs the tasks that the manager places here, and reports what "
      "becomes of them.\nNATS may be away for as long as it likes; what runs goes on.",
      "cube-worker"};
  cube::worker::AddFlags(app, flags);
  app.footer(
      "Examples:\n"
      "  cube-worker --server nats://10.0.0.5:4222 --label zone=a\n"
      "  cube-worker --engine docker --engine process --memory 8Gi --state-dir /srv/cube\n\n"
      "Exit codes: 0 told to end (see --on-exit); 1 cannot go on; 64 usage.");
  cube::service::FlagParser parser(app);
  if (const auto code = parser.Parse(argc, argv)) return *code;
  cube::runtime::IgnoreSigpipe();
  const cube::Result<int> code = cube::worker::RunWorker(flags);
  return code ? *code : parser.Report(code.error());
}
