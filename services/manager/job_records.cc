#include "services/manager/job_records.h"

#include "shared/wire/convert.h"
#include "shared/wire/convert_jobs.h"

namespace cube::manager {

using wire::FromProto;
using wire::ToProto;

v1::JobRecord JobRecordOf(const Job& job) {
  v1::JobRecord record;
  record.set_name(job.name.str());
  record.set_type(ToProto(job.type));
  record.set_replicas(job.replicas);
  ToProto(job.update, *record.mutable_update());
  record.set_version(job.version);
  record.set_stop_wanted(job.stop_wanted);
  if (job.stop_grace) record.set_stop_grace_ns(job.stop_grace->count());
  record.set_submitted_at_ns(ToNanos(job.submitted_at));
  for (const auto& [number, version] : job.versions) {
    v1::JobVersionRecord& to = *record.add_versions();
    to.set_version(number);
    to.set_intent(version.intent);
    to.set_attempt_floor(version.attempt_floor);
    to.set_forgotten_completed(version.forgotten_completed);
    to.set_forgotten_bad(version.forgotten_bad);
  }
  record.set_filled(job.filled);
  for (const SlotRun& run : job.runs) {
    v1::SlotRunRecord& to = *record.add_runs();
    to.set_first(run.first);
    to.set_version(run.version);
  }
  for (const std::uint32_t slot : job.open) record.add_open(slot);
  for (const NodeName& node : job.nodes) record.add_nodes(node.str());
  record.set_settled_version(job.settled_version);
  record.set_failure(job.failure);
  record.set_progress_at_ns(ToNanos(job.progress_at));
  record.set_end(ToProto(job.end));
  record.set_end_reason(job.end_reason);
  record.set_ended_at_ns(ToNanos(job.ended_at));
  return record;
}

Result<Job> JobFrom(const v1::JobRecord& record) {
  Job job;
  CUBE_TRY(job.name, TaskName::Parse(record.name(), "name"));
  CUBE_TRY(job.type, FromProto(record.type()));
  job.replicas = record.replicas();
  job.update = FromProto(record.update());
  job.version = record.version();
  job.stop_wanted = record.stop_wanted();
  if (record.has_stop_grace_ns()) job.stop_grace = Duration(record.stop_grace_ns());
  job.submitted_at = WallFromNanos(record.submitted_at_ns());
  for (const v1::JobVersionRecord& from : record.versions()) {
    JobVersion& version = job.versions[from.version()];
    version.ref = std::make_shared<const JobRef>(JobRef{job.name, from.version(), job.type});
    version.intent = from.intent();
    version.attempt_floor = from.attempt_floor();
    version.forgotten_completed = from.forgotten_completed();
    version.forgotten_bad = from.forgotten_bad();
  }
  job.filled = record.filled();
  for (const v1::SlotRunRecord& run : record.runs()) {
    job.runs.push_back({run.first(), run.version()});
  }
  job.open.assign(record.open().begin(), record.open().end());
  for (const std::string& node : record.nodes()) job.nodes.push_back(NodeName::Trusted(node));
  job.settled_version = record.settled_version();
  job.failure = record.failure();
  job.progress_at = WallFromNanos(record.progress_at_ns());
  CUBE_TRY(job.end, FromProto(record.end()));
  job.end_reason = record.end_reason();
  job.ended_at = WallFromNanos(record.ended_at_ns());
  return job;
}

}  // namespace cube::manager
