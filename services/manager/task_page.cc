#include "services/manager/task_page.h"

#include <cube/v1/queries.pb.h>
#include <google/protobuf/io/coded_stream.h>

#include <array>
#include <utility>

#include "shared/cluster/status.h"
#include "shared/wire/convert.h"
#include "shared/wire/scratch.h"

namespace cube::manager {
namespace {

using google::protobuf::io::CodedOutputStream;
using wire::ToProto;

constexpr std::size_t kHeadBytesMax = 10;  // a tag and a length, of 32 bits each

// All but its specification.
void FillTask(const View& view, const Task& task, const std::string& waits, v1::TaskView& out) {
  out.set_id(std::string(TaskIdText(task).view()));
  const Status status = StatusOf(task);
  const std::string_view status_name = StatusName(status);
  out.set_status(status_name.data(), status_name.size());
  const bool pending = status == Status::kPending;
  // A placement that is lost or over is history: nobody has the task.
  (pending ? *out.mutable_last_node() : *out.mutable_node()) = task.node.str();
  out.set_attempt(task.attempt);
  std::string reason = ReasonOf(task);
  if (pending) reason = reason.empty() ? waits : waits + " (" + reason + ")";
  out.set_reason(std::move(reason));
  out.set_created_at_ns(ToNanos(task.submitted_at));
  out.set_healthy(IsHealthy(task));
  if (task.job != nullptr) {
    out.set_job(task.job->name.str());
    out.set_slot(task.slot);
    out.set_job_version(task.job->version);
  }
  out.mutable_number()->set_intent(task.number.intent);
  out.mutable_number()->set_index(task.number.index);
  if (const auto node = view.nodes.find(task.node); node != view.nodes.end() && !pending) {
    out.set_node_address(node->second.description.address);
  }
  if (!task.observed) {
    if (IsFinished(task)) out.set_finished_at_ns(ToNanos(task.ended_at));
    return;
  }
  const ObservedLaunch& seen = *task.observed;
  out.set_launch(seen.launch);
  if (HasExitCode(seen.cause, seen.exit_code)) out.set_exit_code(seen.exit_code);
  out.set_started_at_ns(ToNanos(seen.started_at));
  const bool ended = seen.rest && IsSet(seen.rest->finished_at);
  out.set_finished_at_ns(ToNanos(ended ? seen.rest->finished_at : task.ended_at));
  if (pending) return;
  if (seen.rest) {
    for (const BoundPort& port : seen.rest->ports) ToProto(port, *out.add_ports());
  }
  out.set_container_id(std::string(seen.container_id.view()));
}

}  // namespace

const std::string& TaskPage::SpecOf(const TaskSpecPtr& spec) {
  if (spec_ != spec) {
    wire::Scratch<v1::TaskView> view;
    ToProto(*spec, *view->mutable_spec());
    spec_ = spec;
    spec_bytes_ = view->SerializeAsString();
  }
  return spec_bytes_;
}

bool TaskPage::Add(const View& view, const Task& task, const std::string& waits,
                   std::size_t bytes_max) {
  wire::Scratch<v1::TaskView> rest;
  FillTask(view, task, waits, *rest);
  const std::string& spec = SpecOf(task.spec);
  const std::size_t rest_size = rest->ByteSizeLong();
  const std::size_t size = rest_size + spec.size();
  constexpr std::uint32_t kTag = v1::QueryReply::kTasksFieldNumber << 3 | 2;  // with a length
  std::array<std::uint8_t, kHeadBytesMax> head{};
  std::uint8_t* end = CodedOutputStream::WriteTagToArray(kTag, head.data());
  end = CodedOutputStream::WriteVarint32ToArray(static_cast<std::uint32_t>(size), end);
  const auto head_size = static_cast<std::size_t>(end - head.data());
  if (count_ > 0 && bytes_.size() + head_size + size > bytes_max) return false;
  bytes_.append(reinterpret_cast<const char*>(head.data()), head_size);
  const std::size_t at = bytes_.size();
  bytes_.resize(at + rest_size);
  rest->SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(bytes_.data() + at));
  bytes_ += spec;
  ++count_;
  return true;
}

}  // namespace cube::manager
