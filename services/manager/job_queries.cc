#include "services/manager/job_queries.h"

#include "services/manager/query_service.h"
#include "shared/cluster/job.h"
#include "shared/wire/convert.h"
#include "shared/wire/convert_jobs.h"

namespace cube::manager {
namespace {

using wire::ToProto;

void FillJob(const Job& job, v1::JobView& out) {
  const JobCounts counts = CountsOf(job);
  out.set_name(job.name.str());
  out.set_type(ToProto(job.type));
  out.set_replicas(job.type == JobType::kSystem ? counts.up + counts.rising : job.replicas);
  out.set_version(job.version);
  out.set_status(std::string(JobStatusOf(job)));
  out.set_up(counts.up);
  std::uint32_t completed = counts.completed;
  std::uint32_t bad = counts.failed + counts.lost;
  for (const auto& [number, version] : job.versions) {
    if (!IsCurrent(job, number)) continue;
    completed += version.forgotten_completed;
    bad += version.forgotten_bad;
  }
  out.set_completed(completed);
  out.set_failed(bad);
  out.set_unfinished(counts.unfinished);
  out.set_updated(SlotsUpdated(job));
  const bool failed = IsLive(job) && job.settled_version == job.version && !job.failure.empty();
  out.set_update_failed(failed);
  out.set_reason(failed ? job.failure : job.end_reason);
  out.set_created_at_ns(ToNanos(job.submitted_at));
  out.set_ended_at_ns(ToNanos(job.ended_at));
  ToProto(job.update, *out.mutable_update());
  // An ended job keeps the templates that its tasks still need.
  if (!job.versions.empty()) ToProto(*job.versions.rbegin()->second.spec, *out.mutable_task());
}

}  // namespace

void AnswerJobs(const View& view, const v1::QueryRequest& request, v1::QueryReply& reply) {
  if (!request.match().empty()) {
    const auto it = view.jobs.find(TaskName::Trusted(request.match()));
    if (it == view.jobs.end() || it->second.versions.empty()) {
      ToProto(Error{Code::kNotFound, "there is no job '" + request.match() + "'", ""},
              *reply.mutable_failure());
      return;
    }
    FillJob(it->second, *reply.add_jobs());
    return;
  }
  std::size_t bytes = 0;
  for (auto it = view.jobs.upper_bound(TaskName::Trusted(request.page())); it != view.jobs.end();
       ++it) {
    if (it->second.versions.empty()) continue;
    if (!IsLive(it->second) && !request.include_finished()) continue;
    v1::JobView job;
    FillJob(it->second, job);
    const std::size_t size = job.ByteSizeLong() + 8;
    if (reply.jobs_size() > 0 && bytes + size > kQueryPageBytesMax) {
      reply.set_next_page(reply.jobs(reply.jobs_size() - 1).name());
      return;
    }
    bytes += size;
    *reply.add_jobs() = std::move(job);
  }
}

}  // namespace cube::manager
