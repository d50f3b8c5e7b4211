#include "test/simulation/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace cube::sim {
namespace {

constexpr std::array<std::string_view, kFaults> kNames = {
    "kills",
    "deaths in a step",
    "views lost",
    "pauses",
    "clock jumps",
    "server stops",
    "engine outages",
    "launches touched",
    "drains",
    "leaves",
    "tails lost",
    "full disks",
    "ends of stores lost",
    "engine troubles",
    "engine answers lost",
    "messages lost",
    "messages doubled",
    "acks lost",
    "connections lost",
    "hops delayed",
};

double Hours(Duration time) { return std::chrono::duration<double>(time).count() / 3600; }

std::string FaultsText(const FaultCounts& faults) {
  std::string text;
  for (std::size_t i = 0; i < kFaults; ++i) {
    const auto fault = static_cast<Fault>(i);
    if (faults.of(fault) == 0) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", FaultName(fault), faults.of(fault));
  }
  return text.empty() ? "none" : text;
}

}  // namespace

std::string_view FaultName(Fault fault) { return kNames[static_cast<std::size_t>(fault)]; }

// A process's own line begins with its name and a colon, and counts for nothing but its death:
// whoever dies within a step, or ends by itself, is gone with the next line, and is no kill.
void FaultCounts::Note(std::string_view line) {
  const std::string_view name = line.substr(0, line.find(' '));
  if (name.ends_with(':')) return;
  const std::string_view rest = line.substr(std::min(line.size(), name.size() + 1));
  if (rest == "is gone") {
    ++at(Fault::kKill);
  } else if (rest.starts_with("dies")) {
    ++at(Fault::kDeathInStep);
    --at(Fault::kKill);
  } else if (rest.starts_with("ends:")) {
    --at(Fault::kKill);
  } else if (rest == "loses its view") {
    ++at(Fault::kViewLost);
  } else if (rest.starts_with("is paused")) {
    ++at(Fault::kPause);
  } else if (line.starts_with("the clock of")) {
    ++at(Fault::kClockJump);
  } else if (line == "server stops") {
    ++at(Fault::kServerStop);
  } else if (line.starts_with("engine of")) {
    ++at(Fault::kEngineOutage);
  } else if (line.starts_with("somebody touches")) {
    ++at(Fault::kLaunchTouched);
  } else if (line.starts_with("drain of") || line.starts_with("cordon of")) {
    ++at(Fault::kDrain);
  } else if (rest == "is told to end") {
    ++at(Fault::kLeave);
  } else if (line.starts_with("a power cut takes")) {
    ++at(Fault::kTailLost);
  } else if (line.starts_with("the disk of")) {
    ++at(Fault::kDiskFull);
  } else if (rest.starts_with("loses the newest")) {
    ++at(Fault::kEndLost);
  } else if (line.starts_with("starts on")) {
    ++at(Fault::kEngineTrouble);
  } else if (line.starts_with("answer of")) {
    ++at(Fault::kAnswerLost);
  }
}

void FaultCounts::Add(const bus::SimFaultsDone& net) {
  at(Fault::kMessageLost) += net.messages_lost;
  at(Fault::kMessageDoubled) += net.messages_doubled;
  at(Fault::kAckLost) += net.acks_lost;
  at(Fault::kConnectionLost) += net.connections_lost;
  at(Fault::kHopDelayed) += net.hops_delayed;
}

void FaultCounts::Add(const FaultCounts& other) {
  for (std::size_t i = 0; i < kFaults; ++i) counts_[i] += other.counts_[i];
}

std::uint64_t FaultCounts::all() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : counts_) sum += count;
  return sum;
}

SeedReport RunSeed(std::uint64_t seed, const std::function<void(const std::string&)>& print) {
  SeedReport report;
  report.plan = Plan::FromSeed(seed);
  report.outcome = World(report.plan, [&report, &print](const std::string& line) {
                     // Its time comes first.
                     const std::size_t time = line.find(' ');
                     report.faults.Note(std::string_view(line).substr(time + 1));
                     if (print) {
                       print(line);
                       return;
                     }
                     if (report.last.size() == kLastLines) report.last.pop_front();
                     report.last.push_back(line);
                   }).Run();
  report.faults.Add(report.outcome.net);
  return report;
}

std::string FailureText(const SeedReport& report) {
  const Outcome& outcome = report.outcome;
  std::string text;
  if (!report.last.empty()) {
    text += fmt::format("the last {} lines of the trace:\n", report.last.size());
    for (const std::string& line : report.last) text += "  " + line + "\n";
  }
  text += fmt::format(
      "seed {} FAILED after {} steps, {} simulated: {}\n  plan: {}\n  faults: {}\n"
      "  replay: cube-sim --first {} --seeds 1 --trace\n",
      report.plan.seed, outcome.steps, FormatDuration(outcome.simulated), outcome.broken,
      report.plan.Text(), FaultsText(report.faults), report.plan.seed);
  return text;
}

std::string JsonLine(const SeedReport& report) {
  const Outcome& outcome = report.outcome;
  nlohmann::ordered_json line;
  line["seed"] = report.plan.seed;
  line["broken"] = outcome.broken;
  line["steps"] = outcome.steps;
  line["simulated_hours"] = Hours(outcome.simulated);
  line["deaths"] = outcome.deaths;
  line["decisions"] = outcome.decisions;
  line["trimmed"] = outcome.trimmed;
  line["trace_hash"] = fmt::format("{:016x}", outcome.trace_hash);
  for (std::size_t i = 0; i < kFaults; ++i) {
    line["faults"][std::string(kNames[i])] = report.faults.of(static_cast<Fault>(i));
  }
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

void Totals::Add(const SeedReport& report) {
  ++seeds_;
  steps_ += report.outcome.steps;
  deaths_ += report.outcome.deaths;
  decisions_ += report.outcome.decisions;
  trimmed_ += report.outcome.trimmed;
  simulated_ += report.outcome.simulated;
  faults_.Add(report.faults);
}

std::string Totals::Text(std::uint64_t first, double took) const {
  return fmt::format(
      "{} seeds from {}: all laws held\n"
      "  simulated  {:.1f} hours, {} steps, {} decisions, {} messages trimmed, {} deaths\n"
      "  faults     {}: {}\n"
      "  took       {:.1f} s, {:.1f} seeds/s\n",
      seeds_, first, Hours(simulated_), steps_, decisions_, trimmed_, deaths_, faults_.all(),
      FaultsText(faults_), took, static_cast<double>(seeds_) / std::max(took, 0.001));
}

}  // namespace cube::sim
