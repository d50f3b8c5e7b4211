// Intents about jobs: cube.jobs.submit, .stop, .scale.
#include <cube/v1/jobs.pb.h>

#include "shared/domain/rules.h"
#include "shared/wire/codec.h"
#include "shared/wire/convert_jobs.h"
#include "shared/wire/fields.h"
#include "shared/wire/human.h"
#include "shared/wire/intent_readers.h"
#include "shared/wire/internal.h"

namespace cube::wire {
namespace internal {
namespace {

using nlohmann::json;

Result<void> CheckSize(const v1::JobSpec& proto) {
  const std::size_t size = proto.ByteSizeLong();
  if (size <= kIntentItemBytesMax) return {};
  return Fail(Code::kInvalid,
              "the job has " + std::to_string(size) + " bytes encoded; at most 64 KiB are allowed");
}

Result<std::vector<IntentItem>> ReadSubmit(std::string_view payload, SpecCache& /*known*/) {
  v1::SubmitJob message;
  CUBE_TRY_VOID(Parse(payload, "a SubmitJob message", message));
  const std::string& name = message.job().name();
  std::vector<IntentItem> items;
  if (auto good = CheckSize(message.job()); !good) {
    items.emplace_back(Invalid(std::move(good).error(), name, name));
    return items;
  }
  auto spec = FromProto(message.job());
  if (spec) {
    items.emplace_back(SubmitJob{*std::move(spec)});
  } else {
    items.emplace_back(Invalid(std::move(spec).error(), name, name));
  }
  return items;
}

// A message holds one job, since its tasks are numbered by the message.
Result<std::vector<IntentItem>> ReadHumanSubmit(std::string_view payload) {
  CUBE_TRY(const json document, ParseJson(payload));
  if (document.is_array()) {
    return cube::Fail(Code::kInvalid, "one message submits one job; send one for each");
  }
  const std::string name = TextMember(document, "name");
  std::vector<IntentItem> items;
  auto spec = JobFromHuman(document);
  v1::JobSpec proto;
  if (spec) ToProto(*spec, proto);
  if (!spec) {
    items.emplace_back(Invalid(std::move(spec).error(), name, name));
  } else if (auto good = CheckSize(proto); !good) {
    items.emplace_back(Invalid(std::move(good).error(), name, name));
  } else {
    items.emplace_back(SubmitJob{*std::move(spec)});
  }
  return items;
}

IntentItem CheckedStop(std::string_view name, std::optional<Duration> grace) {
  auto job = TaskName::Parse(name, "name");
  if (!job) return Invalid(std::move(job).error(), name, name);
  if (grace) {
    if (auto good = CheckGrace(*grace, "grace"); !good) {
      return Invalid(std::move(good).error(), name, name);
    }
  }
  return StopJob{*std::move(job), grace};
}

IntentItem CheckedScale(std::string_view name, std::int64_t replicas) {
  auto job = TaskName::Parse(name, "name");
  if (!job) return Invalid(std::move(job).error(), name, name);
  // Which numbers its type allows is known to whoever has the job.
  if (auto good = CheckReplicas(JobType::kService, replicas, "replicas"); !good) {
    return Invalid(std::move(good).error(), name, name);
  }
  return ScaleJob{*std::move(job), static_cast<std::uint32_t>(replicas)};
}

Result<std::vector<IntentItem>> ReadStops(std::string_view payload, SpecCache& /*known*/) {
  v1::StopJobs message;
  CUBE_TRY_VOID(Parse(payload, "a StopJobs message", message));
  CUBE_TRY_VOID(CheckCount(static_cast<std::size_t>(message.jobs_size()), kIntentItemsMax, "jobs"));
  std::vector<IntentItem> items;
  for (const v1::StopJob& job : message.jobs()) {
    std::optional<Duration> grace;
    if (job.has_grace_ns()) grace = Duration(job.grace_ns());
    items.push_back(CheckedStop(job.name(), grace));
  }
  return items;
}

Result<std::vector<IntentItem>> ReadScales(std::string_view payload, SpecCache& /*known*/) {
  v1::ScaleJobs message;
  CUBE_TRY_VOID(Parse(payload, "a ScaleJobs message", message));
  CUBE_TRY_VOID(CheckCount(static_cast<std::size_t>(message.jobs_size()), kIntentItemsMax, "jobs"));
  std::vector<IntentItem> items;
  for (const v1::ScaleJob& job : message.jobs()) {
    items.push_back(CheckedScale(job.name(), job.replicas()));
  }
  return items;
}

Result<StopJob> StopJobFromHuman(const json& value, std::string& name) {
  std::optional<Duration> grace;
  if (value.is_string()) {
    name = value.get<std::string>();
  } else if (!value.is_object()) {
    return WrongKind("a map with name and grace, or a name", value, {});
  } else {
    for (const auto& [field, member] : value.items()) {
      if (field == "name") {
        CUBE_TRY(name, Text(member, "name"));
      } else if (field == "grace") {
        CUBE_TRY(grace, DurationFromHuman(member, "grace"));
      } else {
        return UnknownField(field, {}, {"name", "grace"});
      }
    }
  }
  return StopJob{TaskName::Trusted(name), grace};
}

IntentItem ReadHumanStop(const json& value) {
  std::string name = TextMember(value, "name");
  auto stop = StopJobFromHuman(value, name);
  if (!stop) return Invalid(std::move(stop).error(), name, name);
  return CheckedStop(name, stop->grace);
}

Result<std::int64_t> ScaleFromHuman(const json& value, std::string& name) {
  if (!value.is_object()) return WrongKind("a map with name and replicas", value, {});
  std::optional<std::int64_t> replicas;
  for (const auto& [field, member] : value.items()) {
    if (field == "name") {
      CUBE_TRY(name, Text(member, "name"));
    } else if (field == "replicas") {
      CUBE_TRY(replicas, Integer(member, "replicas", 0, kReplicasMax));
    } else {
      return UnknownField(field, {}, {"name", "replicas"});
    }
  }
  if (!replicas) return cube::Fail(Code::kInvalid, "is required", "replicas");
  return *replicas;
}

IntentItem ReadHumanScale(const json& value) {
  std::string name = TextMember(value, "name");
  auto replicas = ScaleFromHuman(value, name);
  if (!replicas) return Invalid(std::move(replicas).error(), name, name);
  return CheckedScale(name, *replicas);
}

}  // namespace

const IntentReader kSubmitJobReader{ReadSubmit, ReadHumanSubmit, false};
const IntentReader kStopJobReader{
    ReadStops,
    [](std::string_view payload) { return ReadHumanItems(payload, "jobs", ReadHumanStop); }, true};
const IntentReader kScaleJobReader{
    ReadScales,
    [](std::string_view payload) { return ReadHumanItems(payload, "jobs", ReadHumanScale); },
    false};

}  // namespace internal

std::string EncodeSubmitJob(const JobSpec& spec) {
  v1::SubmitJob message;
  ToProto(spec, *message.mutable_job());
  return internal::Serialize(message);
}

std::string EncodeStopJobs(const std::vector<StopJob>& jobs) {
  v1::StopJobs message;
  for (const StopJob& job : jobs) {
    v1::StopJob* proto = message.add_jobs();
    proto->set_name(job.name.str());
    if (job.grace) proto->set_grace_ns(job.grace->count());
  }
  return internal::Serialize(message);
}

std::string EncodeScaleJobs(const std::vector<ScaleJob>& jobs) {
  v1::ScaleJobs message;
  for (const ScaleJob& job : jobs) {
    v1::ScaleJob* proto = message.add_jobs();
    proto->set_name(job.name.str());
    proto->set_replicas(job.replicas);
  }
  return internal::Serialize(message);
}

}  // namespace cube::wire
