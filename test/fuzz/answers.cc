// What the command line shows of managers' answers, whoever sent them.
#include <cube/v1/queries.pb.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "services/cli/job_views.h"
#include "services/cli/summaries.h"
#include "services/cli/views.h"
#include "shared/base/check.h"
#include "shared/wire/codec.h"
#include "test/fuzz/target.h"

namespace cube::fuzz {
namespace {

constexpr WallTime kNow = WallTime(std::chrono::hours(500'000));

std::string AnswerSeed(Random& random) {
  v1::QueryReply reply;
  reply.set_manager("m0");
  v1::TaskView& task = *reply.add_tasks();
  task.set_id("web-1");
  task.set_status(random.Below(2) == 0 ? "running" : "pending");
  task.set_node("n1");
  task.set_attempt(static_cast<std::uint32_t>(random.Below(3)));
  v1::TaskSpec& spec = *task.mutable_spec();
  spec.set_name("web");
  spec.set_image("registry.example/web:1");
  spec.add_command("a b\t\x1b[31m");
  v1::NodeView& node = *reply.add_nodes();
  node.set_name("n1");
  node.set_status("ready");
  v1::JobView& job = *reply.add_jobs();
  job.set_name("job");
  reply.mutable_cluster()->set_leader("m0");
  return reply.SerializeAsString();
}

// A terminal gets what people can read: lines, and nothing that steers it.
void CheckShown(std::string_view text) {
  CUBE_CHECK(std::ranges::none_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n') || byte == 0x7f;
  }));
}

void RunAnswer(std::string_view bytes) {
  wire::QuietProtobuf();
  v1::QueryReply reply;
  if (!reply.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const cli::TableLayout layout{80, true, false};
  const cli::SummaryOptions options{kNow, 80, "abc"};
  const cli::ViewOptions wide{kNow, true, "abc", {}};
  for (const v1::TaskView& task : reply.tasks()) {
    CheckShown(cli::TaskSummary(task, options));
    CUBE_CHECK(!cli::TaskDetailJson(task).dump().empty());
  }
  for (const v1::NodeView& node : reply.nodes()) {
    CheckShown(cli::NodeSummary(node, nullptr, options));
    CUBE_CHECK(!cli::NodeDetailJson(node, nullptr, kNow).dump().empty());
  }
  for (const v1::JobView& job : reply.jobs()) {
    CheckShown(cli::JobSummary(job, options));
    CUBE_CHECK(!cli::JobDetailJson(job).dump().empty());
  }
  CheckShown(cli::TaskTable({reply.tasks().begin(), reply.tasks().end()}, wide).Render(layout));
  CheckShown(cli::NodeTable({reply.nodes().begin(), reply.nodes().end()}, wide).Render(layout));
  CheckShown(cli::JobTable({reply.jobs().begin(), reply.jobs().end()}, wide).Render(layout));
  CheckShown(cli::ClusterSummary(reply, {}, "nats://127.0.0.1:4222", options));
  CUBE_CHECK(!cli::ClusterJson(reply.cluster()).dump().empty());
}

CUBE_FUZZ_TARGET(answers, &AnswerSeed, &RunAnswer);

}  // namespace
}  // namespace cube::fuzz
