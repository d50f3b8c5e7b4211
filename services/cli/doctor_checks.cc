#include "services/cli/doctor_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "services/cli/render/values.h"

namespace cube::cli {
namespace {

// The oldest server that Cube supports, and the first that can sync before it acknowledges.
constexpr int kMajor = 2;
constexpr int kMinorOldest = 9;
constexpr int kMinorSync = 10;
// Names in a sentence; the rest is a number.
constexpr std::size_t kNamesShown = 5;

std::string Names(const std::vector<std::string>& names) {
  const std::size_t shown = std::min(names.size(), kNamesShown);
  std::string text =
      fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<long>(shown), ", "));
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

std::string Milliseconds(Duration duration) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return fmt::format("{:.1f} ms", static_cast<double>(us) / 1'000.0);
}

class Diagnosis {
 public:
  explicit Diagnosis(const DoctorSight& sight) : sight_(sight) {}

  std::vector<Finding> Run() {
    Server();
    if (Streams()) {
      Sizes();
      Durability();
    }
    if (Leader()) {
      Nodes();
      Engines();
    }
    Clocks();
    return std::move(findings_);
  }

 private:
  void Add(Level level, std::string check, std::string text, std::string remedy = {}) {
    findings_.push_back({level, std::move(check), std::move(text), std::move(remedy)});
  }

  void Server() {
    const std::string where =
        fmt::format("at {}, answers within {}", sight_.server, Milliseconds(sight_.round_trip));
    if (sight_.version.empty()) {
      Add(Level::kOk, "server", "NATS " + where + "; it does not tell its version");
    } else if (!AtLeast(sight_.version, kMajor, kMinorOldest)) {
      Add(Level::kFailed, "server", fmt::format("nats-server {} {}", sight_.version, where),
          fmt::format("Cube needs {}.{} or newer: update the server", kMajor, kMinorOldest));
    } else {
      Add(Level::kOk, "server", fmt::format("nats-server {} {}", sight_.version, where));
    }
  }

  bool Streams() {
    std::vector<std::string> missing;
    for (const auto& stream : sight_.streams) {
      if (stream.state) continue;
      const Error& error = stream.state.error();
      if (error.code == Code::kNotFound || error.code == Code::kPrecondition) {
        missing.push_back(stream.name);
        continue;
      }
      Add(Level::kFailed, "streams", error.Text(),
          "is JetStream on (nats-server -js, or jetstream {} in its configuration), and may this "
          "user ask it?");
      return false;
    }
    if (missing.empty()) {
      Add(Level::kOk, "streams", fmt::format("all {} are there", sight_.streams.size()));
      return true;
    }
    Add(Level::kFailed, "streams", "missing: " + Names(missing),
        "start a manager (cube manager): it creates them; if one runs, its log says what keeps it "
        "from that, and --root must be the same");
    return false;
  }

  void Sizes() {
    for (const auto& stream : sight_.streams) {
      if (std::find(sight_.sized.begin(), sight_.sized.end(), stream.name) == sight_.sized.end()) {
        continue;
      }
      const bus::StreamState& state = *stream.state;
      const auto used = static_cast<double>(state.bytes);
      const double share = state.bytes_max > 0 ? used / static_cast<double>(state.bytes_max) : 0.0;
      std::string text = fmt::format("{}: {} in {} message{}", stream.name,
                                     FormatSize(static_cast<std::int64_t>(state.bytes)),
                                     state.messages, state.messages == 1 ? "" : "s");
      if (state.bytes_max > 0) {
        text += fmt::format(", {:.0f} % of {}", share * 100, FormatSize(state.bytes_max));
      }
      if (share < kStreamFullNotice) {
        Add(Level::kOk, "size", std::move(text));
        continue;
      }
      Add(share < kStreamFullDanger ? Level::kWarning : Level::kFailed, "size", std::move(text),
          "managers trim from 70 % on: if the manager's log says why it cannot, mend that, or "
          "restart the managers with a larger --stream-bytes");
    }
  }

  void Durability() {
    std::int32_t replicas = 0;
    for (const auto& stream : sight_.streams) {
      if (stream.name == sight_.decisions_stream) replicas = stream.state->replicas;
    }
    if (replicas > 1) {
      Add(Level::kOk, "durability", fmt::format("{} replicas of each stream", replicas));
      return;
    }
    std::string remedy =
        "for power cuts set jetstream { sync_interval: always } in the server's configuration, or "
        "use three servers and --replicas 3";
    if (!sight_.version.empty() && !AtLeast(sight_.version, kMajor, kMinorSync)) {
      remedy = fmt::format(
          "nats-server {} cannot sync before it acknowledges; {}.{} and newer can "
          "(sync_interval: always), or use three servers and --replicas 3",
          sight_.version, kMajor, kMinorSync);
    }
    Add(Level::kWarning, "durability",
        "one replica: what the server acknowledges survives a crash of any process; whether it "
        "survives a power cut depends on its sync_interval, which a client cannot see",
        std::move(remedy));
  }

  bool Leader() {
    if (!sight_.cluster) {
      Add(Level::kFailed, "manager", sight_.cluster.error().Text(),
          "start one with 'cube manager'; what runs, runs on meanwhile");
      return false;
    }
    const v1::QueryReply& reply = *sight_.cluster;
    const auto& cluster = reply.cluster();
    std::uint64_t behind = 0;
    for (const auto& stream : sight_.streams) {
      if (stream.name != sight_.decisions_stream || !stream.state) continue;
      const std::uint64_t last = stream.state->last_seq;
      behind = last > reply.decision_seq() ? last - reply.decision_seq() : 0;
    }
    if (cluster.leader().empty()) {
      Add(Level::kFailed, "leader", "no manager has led yet",
          "the log of the manager says why; a lease of a manager that was killed runs out by "
          "itself within seconds");
    } else {
      Add(Level::kOk, "leader",
          fmt::format("{} (epoch {}); {} answers at decision {}", cluster.leader(),
                      cluster.term().epoch(), reply.manager(), reply.decision_seq()));
    }
    if (behind > kDecisionsBehindNotice) {
      Add(Level::kWarning, "leader",
          fmt::format("{} is {} decisions behind the log", reply.manager(), behind),
          "it may still be reading; if the number does not fall, look at its log and its machine");
    }
    if (cluster.foreign_messages() > 0) {
      Add(Level::kWarning, "leader",
          fmt::format("{} decision messages were skipped as foreign", cluster.foreign_messages()),
          "harmless if rare (a manager that was deposed); else look for a stream that was "
          "restored");
    }
    return true;
  }

  void Nodes() {
    std::map<std::string, std::vector<std::string>> by_status;
    for (const auto& node : sight_.nodes) by_status[node.status()].push_back(node.name());
    const std::size_t ready = by_status["ready"].size();
    const std::string text = fmt::format("{} of {} ready", ready, sight_.nodes.size());
    if (sight_.nodes.empty()) {
      Add(Level::kFailed, "nodes", "no node has joined yet",
          "start a worker: cube worker --server URL");
      return;
    }
    Add(ready == 0 ? Level::kFailed : Level::kOk, "nodes", text,
        ready == 0 ? "nothing can be placed until one is" : "");
    for (const auto& [status, names] : by_status) {
      if (status == "ready" || names.empty()) continue;
      Add(Level::kWarning, "nodes", fmt::format("{}: {}", status, Names(names)),
          "cube node inspect NAME says why");
    }
  }

  void Engines() {
    if (sight_.nodes.empty()) return;
    std::vector<std::string> down;
    std::vector<std::string> unlimited;
    for (const auto& node : sight_.nodes) {
      if (node.status() != "ready") continue;
      for (const auto& engine : node.description().engines()) {
        const std::string name = fmt::format("{} on {}", engine.kind(), node.name());
        if (!engine.up()) down.push_back(name);
        if (engine.up() && !engine.limits()) unlimited.push_back(name);
      }
    }
    if (!down.empty()) {
      Add(Level::kWarning, "engines", "not answering: " + Names(down),
          "on that machine: is the engine running, and may the worker's user use it?");
    }
    if (!unlimited.empty()) {
      Add(Level::kWarning, "engines", "no cpu and memory limits: " + Names(unlimited),
          "tasks there can use more than they asked for; control groups must be writable");
    }
    if (down.empty() && unlimited.empty()) Add(Level::kOk, "engines", "all answer");
  }

  void Clocks() {
    std::vector<std::string> wrong;
    for (const auto& beat : sight_.beats) {
      if (!IsSet(beat.sent) || !IsSet(beat.stored)) continue;
      const Duration skew = beat.sent - beat.stored;
      if (skew < kClockSkewNotice && -skew < kClockSkewNotice) continue;
      wrong.push_back(fmt::format("{} by {}{}", beat.node, skew < Duration{0} ? "-" : "+",
                                  FormatSpan(skew < Duration{0} ? -skew : skew)));
    }
    if (!wrong.empty()) {
      Add(Level::kWarning, "clocks", "differ from the server's: " + Names(wrong),
          "set them right (NTP); only the times that people read depend on it");
    } else if (!sight_.beats.empty()) {
      Add(Level::kOk, "clocks",
          fmt::format("{} node{} within {} of the server's", sight_.beats.size(),
                      sight_.beats.size() == 1 ? "" : "s", FormatSpan(kClockSkewNotice)));
    }
  }

  const DoctorSight& sight_;
  std::vector<Finding> findings_;
};

}  // namespace

std::string_view LevelName(Level level) {
  switch (level) {
    case Level::kOk:
      return "ok";
    case Level::kWarning:
      return "warning";
    case Level::kFailed:
      return "failed";
  }
  return "";
}

std::vector<Finding> Diagnose(const DoctorSight& sight) { return Diagnosis(sight).Run(); }

bool AllWell(const std::vector<Finding>& findings) {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& finding) { return finding.level == Level::kFailed; });
}

nlohmann::ordered_json ToJson(const std::vector<Finding>& findings) {
  auto json = nlohmann::ordered_json::array();
  for (const auto& finding : findings) {
    json.push_back({{"level", LevelName(finding.level)},
                    {"check", finding.check},
                    {"text", finding.text},
                    {"remedy", finding.remedy.empty() ? nlohmann::ordered_json(nullptr)
                                                      : nlohmann::ordered_json(finding.remedy)}});
  }
  return json;
}

bool AtLeast(std::string_view version, int major, int minor) {
  int have_major = 0;
  int have_minor = 0;
  const char* end = version.data() + version.size();
  const auto first = std::from_chars(version.data(), end, have_major);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '.') return false;
  const auto second = std::from_chars(first.ptr + 1, end, have_minor);
  if (second.ec != std::errc{}) return false;
  return have_major > major || (have_major == major && have_minor >= minor);
}

}  // namespace cube::cli
