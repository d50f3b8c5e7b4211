#include "services/manager/liveness.h"

#include <algorithm>
#include <iterator>

namespace cube::manager {

void Liveness::Reset() {
  heard_.clear();
  silent_.clear();
  returned_.clear();
  claiming_.clear();
  joins_.clear();
  mass_ = false;
}

bool Liveness::OnHeartbeat(const View& view, const Heartbeat& beat, bool claims) {
  const NodeName name = NodeName::Trusted(beat.node);
  const auto it = view.nodes.find(name);
  if (it == view.nodes.end() || it->second.incarnation == 0 ||
      it->second.instance != beat.instance) {
    return false;
  }
  Heard& heard = heard_[name];
  heard.echo = echoes_;
  heard.instance = beat.instance;
  ++heard.beats;
  silent_.erase(name);
  if (!it->second.down) return true;
  returned_.insert(name);
  if (claims) {
    claiming_.insert(name);
  } else {
    claiming_.erase(name);
  }
  return true;
}

void Liveness::OnEcho(const View& view) {
  ++echoes_;
  for (const auto& [name, node] : view.nodes) {
    if (node.incarnation == 0) continue;
    const auto [it, is_new] = heard_.try_emplace(name, Heard{echoes_, 0, node.instance});
    if (it->second.instance != node.instance) it->second = {echoes_, 0, node.instance};
  }
}

void Liveness::OnDrained(const View& view, MonoTime now, std::string& notice) {
  if (judged_ == echoes_) return;
  judged_ = echoes_;
  std::map<NodeName, std::uint64_t> silent;
  std::size_t up = 0;
  for (const auto& [name, node] : view.nodes) {
    const auto heard = heard_.find(name);
    if (node.incarnation == 0 || node.down || heard == heard_.end()) continue;
    ++up;
    const bool same = heard->second.instance == node.instance;
    if (same && judged_ - heard->second.echo >= kSilentEchoes) silent.emplace(name, node.instance);
  }
  const bool few = silent.size() < kMassSilenceMin;
  if (few || (!mass_ && silent.size() * kMassSilenceShare <= up)) {
    mass_ = false;
    silent_ = std::move(silent);
    return;
  }
  if (!mass_) {
    mass_ = true;
    mass_since_ = now;
    notice = std::to_string(silent.size()) + " of " + std::to_string(up) +
             " nodes went silent together; none is called down for " +
             FormatDuration(kMassSilenceHold) + ", then a few at a time";
  }
  if (now - mass_since_ < kMassSilenceHold) return;
  std::size_t left = std::max<std::size_t>(1, up / kMassDownShare);
  for (const auto& entry : silent) {
    if (left == 0) return;
    if (silent_.insert(entry).second) --left;
  }
}

void Liveness::JudgeJoins(const View& view, Verdicts& verdicts) {
  for (const NodeName& name : view.joining) {
    const Node& node = view.nodes.at(name);
    // A down node whose worker beats again is that worker's.
    const bool gone = (node.down && !returned_.contains(name)) || silent_.contains(name);
    // After a reset nobody has the name; and the worker that has it may be asked to join again.
    const bool free = node.instance == 0 || node.instance == node.joining_instance;
    if (free || gone) {
      verdicts.join_ok.insert(name);
      continue;
    }
    const Heard& heard = heard_.try_emplace(name, Heard{echoes_, 0, node.instance}).first->second;
    Join& join = joins_[name];
    if (join.instance != node.joining_instance) {
      join = {node.joining_instance, heard.beats, echoes_};
    }
    if (heard.beats > join.beats) {
      verdicts.join_refused.push_back(name);
    } else if (judged_ >= join.echo + kSilentEchoes) {
      verdicts.join_ok.insert(name);
    }
  }
  std::erase_if(joins_, [&view](const auto& entry) { return !view.joining.contains(entry.first); });
}

Verdicts Liveness::Judge(const View& view) {
  Verdicts verdicts;
  JudgeJoins(view, verdicts);
  // The silence of one worker says nothing about the next one, which was welcomed since.
  std::erase_if(silent_, [&view](const auto& entry) {
    const auto it = view.nodes.find(entry.first);
    return it == view.nodes.end() || it->second.down || it->second.instance != entry.second;
  });
  for (const auto& [name, instance] : silent_) {
    // A worker that takes over the name is welcomed instead: its launches may still run.
    if (!verdicts.join_ok.contains(name)) {
      verdicts.silent.emplace(name,
                              "no heartbeat for " + std::to_string(kSilentEchoes) + " intervals");
    }
  }
  for (std::set<NodeName>* names : {&returned_, &claiming_}) {
    std::erase_if(*names, [&view](const NodeName& name) {
      const auto it = view.nodes.find(name);
      return it == view.nodes.end() || !it->second.down;
    });
  }
  std::set_difference(returned_.begin(), returned_.end(), claiming_.begin(), claiming_.end(),
                      std::back_inserter(verdicts.heard));
  return verdicts;
}

}  // namespace cube::manager
