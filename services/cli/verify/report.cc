#include "services/cli/verify/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/cli/exit_code.h"
#include "services/cli/render/text.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kGreen = 32;
constexpr int kYellow = 33;
constexpr int kRed = 31;

int ColorOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSame:
      return kGreen;
    case Verdict::kDiffers:
      return kRed;
    case Verdict::kNoAnswer:
      return kYellow;
    case Verdict::kNotCompared:
      return 0;
  }
  return 0;
}

std::uint64_t Missing(const VerifyReport& report) {
  std::uint64_t missing = 0;
  for (const StreamSeen& stream : report.streams) missing += stream.missing;
  return missing;
}

std::size_t Count(const VerifyReport& report, Verdict verdict) {
  return static_cast<std::size_t>(
      std::count_if(report.compared.begin(), report.compared.end(),
                    [verdict](const Compared& compared) { return compared.verdict == verdict; }));
}

std::string Number(std::uint64_t number) { return number == 0 ? "-" : std::to_string(number); }

std::string OrNothing(const std::string& text) { return text.empty() ? "nothing" : text; }

std::string StreamsText(const VerifyReport& report, const TableLayout& layout) {
  Table table({{.title = "STREAM"},
               {.title = "FIRST", .right = true},
               {.title = "LAST", .right = true},
               {.title = "MESSAGES", .right = true},
               {.title = "MISSING", .right = true}});
  for (const StreamSeen& stream : report.streams) {
    table.Add({{stream.name},
               {Number(stream.first)},
               {Number(stream.last)},
               {std::to_string(stream.messages)},
               {std::to_string(stream.missing), stream.missing == 0 ? 0 : kRed}});
  }
  return table.Render(layout);
}

std::string LogText(const VerifyReport& report) {
  std::string text = fmt::format(
      "\n{} nodes and {} tasks as of decision {}, in {} {} (epoch {}){}\n", report.nodes,
      report.tasks, report.decision, report.terms, report.terms == 1 ? "term" : "terms",
      report.epoch,
      report.began_with == 0
          ? std::string()
          : fmt::format(", read from the snapshot as of decision {}", report.began_with));
  text += fmt::format(
      "skipped: {} foreign decisions, {} unreadable facts messages, {} facts that were said "
      "again; not decided on yet: {} messages\n",
      report.foreign, report.unreadable, report.stale_facts, report.undecided);
  for (const std::string& note : report.notes) text += "  " + Printable(note) + "\n";
  if (report.unread > 0) {
    text += fmt::format(
        "the log ends at decision {}: {} later messages name intents or facts that are not there\n",
        report.decision, report.unread);
  }
  return text;
}

std::string ComparedText(const VerifyReport& report, const TableLayout& layout) {
  if (report.compared.empty()) return {};
  Table table({{.title = "WHAT"},
               {.title = "NAME", .width_min = 8},
               {.title = "AS OF", .right = true},
               {.title = "RESULT"},
               {.title = "", .width_min = 10}});
  for (const Compared& compared : report.compared) {
    std::string detail = compared.detail;
    if (compared.difference) {
      detail = fmt::format("{}: {}", compared.difference->record, compared.difference->field);
    }
    table.Add({{compared.kind},
               {compared.name},
               {Number(compared.decision)},
               {std::string(VerdictName(compared.verdict)), ColorOf(compared.verdict)},
               {detail}});
  }
  return "\n" + table.Render(layout);
}

std::string DifferenceText(const Compared& compared) {
  const Difference& found = *compared.difference;
  std::string text = fmt::format("\n{} {}, as of decision {}: {}\n", compared.kind, compared.name,
                                 compared.decision, Printable(found.record));
  text += fmt::format("  field   {}\n  log     {}\n  it has  {}\n", found.field,
                      Printable(OrNothing(found.log)), Printable(OrNothing(found.service)));
  if (found.more > 0) text += fmt::format("  and {} more fields of this record\n", found.more);
  return text;
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kSame:
      return "same";
    case Verdict::kDiffers:
      return "differs";
    case Verdict::kNoAnswer:
      return "no answer";
    case Verdict::kNotCompared:
      return "not compared";
  }
  return "";
}

int ExitCodeOf(const VerifyReport& report) {
  if (Count(report, Verdict::kDiffers) > 0 || Missing(report) > 0 || report.unread > 0) {
    return kExitFailed;
  }
  return Count(report, Verdict::kNoAnswer) > 0 ? kExitNotConverged : kExitDone;
}

Json ToJson(const VerifyReport& report) {
  Json streams = Json::array();
  for (const StreamSeen& stream : report.streams) {
    streams.push_back({{"name", stream.name},
                       {"first", stream.first},
                       {"last", stream.last},
                       {"messages", stream.messages},
                       {"missing", stream.missing}});
  }
  Json compared = Json::array();
  for (const Compared& one : report.compared) {
    Json json{{"kind", one.kind},         {"name", one.name},
              {"decision", one.decision}, {"result", VerdictName(one.verdict)},
              {"detail", one.detail},     {"difference", nullptr}};
    if (one.difference) {
      json["difference"] = {{"record", one.difference->record},
                            {"field", one.difference->field},
                            {"log", one.difference->log},
                            {"service", one.difference->service},
                            {"more_fields", one.difference->more}};
    }
    compared.push_back(std::move(json));
  }
  return {{"same", ExitCodeOf(report) == kExitDone},
          {"streams", std::move(streams)},
          {"began_with_snapshot", report.began_with},
          {"decision", report.decision},
          {"terms", report.terms},
          {"epoch", report.epoch},
          {"nodes", report.nodes},
          {"tasks", report.tasks},
          {"foreign_decisions", report.foreign},
          {"unreadable_facts", report.unreadable},
          {"stale_facts", report.stale_facts},
          {"undecided", report.undecided},
          {"unread_decisions", report.unread},
          {"notes", report.notes},
          {"compared", std::move(compared)}};
}

std::string ToText(const VerifyReport& report, const TableLayout& layout) {
  std::string text = StreamsText(report, layout) + LogText(report) + ComparedText(report, layout);
  for (const Compared& compared : report.compared) {
    if (compared.difference) text += DifferenceText(compared);
  }
  const std::size_t differ = Count(report, Verdict::kDiffers);
  const std::size_t silent = Count(report, Verdict::kNoAnswer);
  text += fmt::format("\n{} same, {} different, {} without an answer{}\n",
                      Count(report, Verdict::kSame), differ, silent,
                      Missing(report) == 0 ? "" : "; the log has holes");
  return text;
}

}  // namespace cube::cli
