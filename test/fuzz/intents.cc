// What people send: intents in both forms, spec files, and the small texts in them.
#include "shared/base/check.h"
#include "shared/base/time.h"
#include "shared/domain/validate.h"
#include "shared/wire/codec.h"
#include "shared/wire/human.h"
#include "shared/wire/limits.h"
#include "test/fuzz/target.h"
#include "test/support/wire/equal.h"
#include "test/support/wire/values.h"

namespace cube::fuzz {
namespace {

// ---- intents: "<subject>\0<outcome token>\0<payload>" -------------------------------------------

constexpr const char* kSubjects[] = {"cube.tasks.submit",   "cube.tasks.stop",  "cube.nodes.cordon",
                                     "cube.nodes.uncordon", "cube.nodes.drain", "cube.jobs.submit",
                                     "cube.jobs.stop",      "cube.jobs.scale"};

std::string PayloadFor(std::string_view subject, Random& random) {
  const bool human = random.Below(2) == 0;
  if (subject.ends_with("tasks.submit")) {
    if (human) return wire::SpecToHuman(testing::RandomSpec(random)).dump();
    return wire::EncodeSubmit(testing::RandomSubmits(random));
  }
  if (subject.ends_with("tasks.stop")) {
    if (human) return R"([{"id":"web-1","grace":"5s"},"web-2"])";
    return wire::EncodeStop(testing::RandomStops(random));
  }
  if (subject.ends_with("nodes.drain")) {
    if (human) return R"([{"node":"a","deadline":"1h"},"b"])";
    return wire::EncodeDrain(testing::RandomDrains(random));
  }
  if (subject.ends_with("jobs.submit")) {
    const JobSpec job = testing::RandomJob(random);
    return human ? wire::JobToHuman(job).dump() : wire::EncodeSubmitJob(job);
  }
  if (subject.ends_with("jobs.stop")) {
    if (human) return R"([{"name":"web","grace":"5s"},"other"])";
    return wire::EncodeStopJobs(testing::RandomJobStops(random));
  }
  if (subject.ends_with("jobs.scale")) {
    if (human) return R"({"name":"web","replicas":7})";
    return wire::EncodeScaleJobs(testing::RandomScales(random));
  }
  if (human) return R"(["a","b"])";
  return wire::EncodeCordon(testing::RandomNodes(random), subject.ends_with(".cordon"));
}

std::string IntentsSeed(Random& random) {
  const std::string subject = kSubjects[random.Below(std::size(kSubjects))];
  return subject + '\0' + (random.Below(3) == 0 ? "token-1" : "") + '\0' +
         PayloadFor(subject, random);
}

// The item sent alone, as the command line sends it; empty: it is none that anybody sends.
struct Sent {
  std::string subject;
  std::string payload;
};
Sent SentAgain(const IntentItem& item) {
  if (const auto* submit = std::get_if<SubmitTask>(&item)) {
    return {"cube.tasks.submit", wire::EncodeSubmit({*submit})};
  }
  if (const auto* stop = std::get_if<StopTask>(&item)) {
    return {"cube.tasks.stop", wire::EncodeStop({*stop})};
  }
  if (const auto* cordon = std::get_if<CordonNode>(&item)) {
    return {cordon->cordon ? "cube.nodes.cordon" : "cube.nodes.uncordon",
            wire::EncodeCordon({cordon->node}, cordon->cordon)};
  }
  if (const auto* drain = std::get_if<DrainNode>(&item)) {
    return {"cube.nodes.drain", wire::EncodeDrain({*drain})};
  }
  if (const auto* job = std::get_if<SubmitJob>(&item)) {
    return {"cube.jobs.submit", wire::EncodeSubmitJob(job->spec)};
  }
  if (const auto* scale = std::get_if<ScaleJob>(&item)) {
    return {"cube.jobs.scale", wire::EncodeScaleJobs({*scale})};
  }
  if (const auto* stop = std::get_if<StopJob>(&item)) {
    return {"cube.jobs.stop", wire::EncodeStopJobs({*stop})};
  }
  return {};
}

void RunIntents(std::string_view bytes) {
  const auto parts = Parts(bytes, 3);
  bus::Headers headers;
  if (!parts[1].empty()) headers["Cube-Outcome"] = parts[1];
  const IntentBatch batch = wire::DecodeIntents(parts[0], headers, parts[2]);
  CUBE_CHECK(!batch.items.empty());
  CUBE_CHECK(batch.items.size() <= wire::kIntentItemsMax);
  // The token becomes a subject's last one.
  CUBE_CHECK(batch.outcome_token.size() <= wire::kOutcomeTokenBytesMax);
  CUBE_CHECK(batch.outcome_token.find_first_of(".*> \t\r\n") == std::string::npos);
  for (const IntentItem& item : batch.items) {
    if (const auto* invalid = std::get_if<InvalidItem>(&item)) {
      CheckError(invalid->error);
      continue;
    }
    if (const auto* submit = std::get_if<SubmitTask>(&item)) {
      CUBE_CHECK(Validate(*submit->spec).has_value());
    }
    const Sent sent = SentAgain(item);
    const IntentBatch again = wire::DecodeIntents(sent.subject, {}, sent.payload);
    CUBE_CHECK(again.items.size() == 1 && testing::Equal(again.items[0], item));
  }
}

CUBE_FUZZ_TARGET(intents, &IntentsSeed, &RunIntents);

// ---- spec files -------------------------------------------------------------------------------

void ReadOne(const nlohmann::json& value) {
  if (wire::LooksLikeJob(value)) {
    const auto job = wire::JobFromHuman(value);
    if (!job) return CheckError(job.error());
    const auto printed = wire::ParseJson(wire::JobToHuman(*job).dump());
    CUBE_CHECK(printed.has_value());
    const auto again = wire::JobFromHuman(*printed);
    CUBE_CHECK(again.has_value() && wire::EncodeSubmitJob(*again) == wire::EncodeSubmitJob(*job));
    return;
  }
  if (const auto stop = wire::StopFromHuman(value); !stop) CheckError(stop.error());
  const auto task = wire::TaskFromHuman(value);
  if (!task) return CheckError(task.error());
  const auto printed = wire::ParseJson(wire::SpecToHuman(*task->spec).dump());
  CUBE_CHECK(printed.has_value());
  const auto again = wire::TaskFromHuman(*printed);
  CUBE_CHECK(again.has_value() && *again->spec == *task->spec);
}

void ReadDocument(const Result<nlohmann::json>& document) {
  if (!document) return CheckError(document.error());
  // What was read can be printed and is read as the same.
  const auto again = wire::ParseJson(document->dump());
  CUBE_CHECK(again.has_value() && *again == *document);
  if (!document->is_array()) return ReadOne(*document);
  for (const nlohmann::json& element : *document) ReadOne(element);
}

std::string SpecSeed(Random& random) {
  const int indent = random.Below(2) == 0 ? -1 : 2;
  switch (random.Below(5)) {
    case 0:
      return wire::JobToHuman(testing::RandomJob(random)).dump(indent);
    case 1:
      return "- &base\n  name: web\n  image: 'nginx:1'\n  env: {A: 1.10, B: ~}\n- *base\n";
    case 2:
      return "name: web\nimage: nginx\nmemory: 512Mi\ncpus: 0.5\nports: [\"80\", 8080:80/udp]\n"
             "constraints: [disk=ssd, zone in a,b]\nrestart: on-failure:3\n";
    default:
      return wire::SpecToHuman(testing::RandomSpec(random)).dump(indent);
  }
}

CUBE_FUZZ_TARGET(spec, &SpecSeed, [](std::string_view bytes) {
  ReadDocument(wire::ParseYaml(bytes));
  ReadDocument(wire::ParseJson(bytes));
});

// ---- small texts ------------------------------------------------------------------------------

std::string TextsSeed(Random& random) {
  constexpr const char* kTexts[] = {"512Mi",
                                    "1.5Gi",
                                    "100k",
                                    "0.5",
                                    "8080:80/tcp",
                                    "53/udp",
                                    "data:/var/lib/data",
                                    "/srv/www:/www:ro",
                                    "on-failure:3",
                                    "unless-stopped",
                                    "on-lost",
                                    "zone in a,b",
                                    "disk=ssd:50",
                                    "1m30s",
                                    "1h2m3.004s",
                                    "250ms",
                                    "2026-01-31T12:00:00.123456789Z",
                                    "2026-01-31T12:00:00+02:00",
                                    "9223372036854775807",
                                    "2262-04-11T23:47:16.854775807Z"};
  return kTexts[random.Below(std::size(kTexts))];
}

// What is read prints, and that is read and printed as the same (times print milliseconds).
template <class Parse, class Format>
void CheckText(std::string_view text, Parse parse, Format format) {
  const auto value = parse(text);
  if (!value) return CheckError(value.error());
  const std::string printed = format(*value);
  const auto again = parse(std::string_view(printed));
  CUBE_CHECK(again.has_value() && format(*again) == printed);
}

void RunTexts(std::string_view text) {
  for (const bool docker_units : {false, true}) {
    const auto bytes = wire::ParseBytes(text, docker_units);
    if (!bytes) {
      CheckError(bytes.error());
    } else {
      const auto again = wire::ParseBytes(wire::FormatBytes(*bytes));
      CUBE_CHECK(again.has_value() && *again == *bytes);
    }
  }
  CheckText(text, &ParseDuration, &FormatDuration);
  CheckText(text, &ParseRfc3339, &FormatRfc3339);
  CheckText(text, &wire::ParseRestart, &wire::FormatRestart);
  CheckText(text, &wire::ParseReschedule, &wire::FormatReschedule);
  CheckText(text, &wire::ParseConstraint, &wire::FormatConstraint);
  CheckText(text, &wire::ParseAffinity, &wire::FormatAffinity);
  if (const auto cpus = wire::ParseCpus(text); !cpus) CheckError(cpus.error());
  if (const auto port = wire::ParsePort(text); !port) CheckError(port.error());
  if (const auto volume = wire::ParseVolume(text); !volume) CheckError(volume.error());
}

CUBE_FUZZ_TARGET(texts, &TextsSeed, &RunTexts);

}  // namespace
}  // namespace cube::fuzz
