#include "services/cli/job_views.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/cli/render/format.h"
#include "services/cli/render/values.h"
#include "shared/wire/convert.h"
#include "shared/wire/convert_jobs.h"
#include "shared/wire/human.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kTextWidthMin = 10;

Json TextOrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

// A job that this version cannot read (a newer manager's) is left out, not guessed.
Json SpecJson(const v1::JobView& job) {
  const auto task = wire::FromProto(job.task());
  const auto type = wire::FromProto(job.type());
  const auto name = TaskName::Parse(job.name(), "name");
  if (!task || !type || !name) return nullptr;
  JobSpec spec;
  spec.name = *name;
  spec.type = *type;
  spec.replicas = *type == JobType::kSystem ? 0 : job.replicas();
  spec.update = wire::FromProto(job.update());
  spec.task = std::make_shared<const TaskSpec>(*task);
  return wire::JobToHuman(spec);
}

}  // namespace

bool JobHasEnded(const v1::JobView& job) {
  return job.status() == "completed" || job.status() == "failed" || job.status() == "stopped";
}

std::string JobTypeText(const v1::JobView& job) {
  const auto type = wire::FromProto(job.type());
  return type ? std::string(JobTypeName(*type)) : "unknown";
}

std::string ReadyText(const v1::JobView& job) {
  const std::uint32_t done = job.type() == v1::JOB_TYPE_BATCH ? job.completed() : 0;
  return fmt::format("{}/{}", job.up() + done, job.replicas());
}

std::string JobSentence(const v1::JobView& job) {
  std::string text = job.status();
  if (job.status() == "updating") {
    text += fmt::format(", {}/{} replaced", job.updated(), job.replicas());
  }
  if (job.update_failed()) {
    text += ", the update failed";
    if (job.replicas() > 0) {
      text += fmt::format(" ({}/{} replaced)", job.updated(), job.replicas());
    }
  }
  if (job.failed() > 0 && !JobHasEnded(job)) {
    text += fmt::format(", {} task{} failed for good", job.failed(), job.failed() == 1 ? "" : "s");
  }
  if (!job.reason().empty()) text += ": " + job.reason();
  return text;
}

Json JobJson(const v1::JobView& job) {
  return {{"name", job.name()},
          {"type", JobTypeText(job)},
          {"status", job.status()},
          {"replicas", job.replicas()},
          {"up", job.up()},
          {"completed", job.completed()},
          {"failed", job.failed()},
          {"unfinished", job.unfinished()},
          {"version", job.version()},
          {"updated", job.updated()},
          {"update_failed", job.update_failed()},
          {"image", TextOrNull(job.task().image())},
          {"reason", TextOrNull(job.reason())},
          {"created_at", TimeJson(job.created_at_ns())},
          {"finished_at", TimeJson(job.ended_at_ns())}};
}

Json JobDetailJson(const v1::JobView& job) {
  Json json = JobJson(job);
  json["spec"] = SpecJson(job);
  return json;
}

Table JobTable(const std::vector<v1::JobView>& jobs, const ViewOptions& options) {
  const bool reasons =
      std::ranges::any_of(jobs, [](const auto& job) { return !job.reason().empty(); });
  std::vector<Column> columns = {{"NAME", false, kTextWidthMin},
                                 {"TYPE"},
                                 {"READY", true},
                                 {"STATUS"},
                                 {"VERSION", true},
                                 {"CREATED"},
                                 {"IMAGE", false, kTextWidthMin}};
  if (options.wide) {
    columns.insert(columns.end(), {{"COMPLETED", true}, {"FAILED", true}, {"UPDATED", true}});
  }
  if (reasons) columns.push_back({"REASON", false, kTextWidthMin});
  Table table(std::move(columns));
  for (const auto& job : jobs) {
    const std::string status =
        job.update_failed() ? job.status() + " (update failed)" : job.status();
    const std::string& image = job.task().image();
    std::vector<Cell> cells = {{job.name()},
                               {JobTypeText(job)},
                               {ReadyText(job)},
                               {status, StatusColor(job.update_failed() ? "failed" : job.status())},
                               {std::to_string(job.version())},
                               {FormatAge(WallFromNanos(job.created_at_ns()), options.now)},
                               {image.empty() ? "-" : image}};
    if (options.wide) {
      cells.insert(cells.end(), {{std::to_string(job.completed())},
                                 {std::to_string(job.failed())},
                                 {std::to_string(job.updated())}});
    }
    if (reasons) cells.push_back({job.reason()});
    table.Add(std::move(cells));
  }
  return table;
}

}  // namespace cube::cli
