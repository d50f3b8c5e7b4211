// Power cuts: the server comes back without the ends of some streams, whose sequences come again.
// And servers that share the streams, which only show less of them; disks; engines in trouble.
#include <algorithm>

#include "shared/wire/codec.h"
#include "shared/wire/subjects.h"
#include "test/simulation/world.h"

namespace cube::sim {
namespace {

// Messages of one stream that a power cut takes at most: more than any plan writes in two minutes,
// the time after which a server syncs, would be another cluster.
constexpr std::uint64_t kTailMax = 60;

}  // namespace

void World::DrawPowerCuts() {
  const auto lasts = static_cast<std::uint64_t>(plan_.faults_last / Millis(1));
  for (std::uint32_t i = 0; i < plan_.tails_lost; ++i) {
    At(Millis(stage_.random.Below(lasts)), [this] {
      if (!stage_.server.running()) return;
      stage_.server.Stop();
      LoseTails();
      At(Millis(100 + stage_.random.Below(6000)), [this] {
        if (!stage_.server.running()) stage_.server.Start();
      });
    });
  }
}

// A server that led the streams dies, and the next one answers before it has applied all.
void World::DrawShownLess() {
  const auto lasts = static_cast<std::uint64_t>(plan_.faults_last / Millis(1));
  for (std::uint32_t i = 0; i < plan_.shows_less; ++i) {
    At(Millis(stage_.random.Below(lasts)), [this] {
      if (!stage_.server.running()) return;
      const Duration time = Millis(stage_.random.Below(15'000));
      using Shows = bus::SimServer::Shows;
      const Shows what = stage_.random.Below(2) == 0 ? Shows::kAll : Shows::kEnds;
      stage_.Note("less of the streams" + std::string(what == Shows::kAll ? "" : "' ends") +
                  " is shown for " + FormatDuration(time));
      stage_.server.Stop();
      stage_.server.ShowLess(time, 1 + stage_.random.Below(30), what);
      stage_.server.Start();
    });
  }
}

// Whoever has something to commit meanwhile ends, and is started again, and ends again.
void World::DrawDisks() {
  const auto lasts = static_cast<std::uint64_t>(plan_.faults_last / Millis(1));
  for (std::uint32_t i = 0; i < plan_.disks_full; ++i) {
    At(Millis(stage_.random.Below(lasts)), [this] {
      Actor& actor = AnyProcess();
      stage_.Note("the disk of " + actor.name() + " is full");
      actor.FillDisk(true);
      At(Millis(stage_.random.Below(20'000)), [&actor] { actor.FillDisk(false); });
    });
  }
  for (std::uint32_t i = 0; i < plan_.ends_lost; ++i) {
    At(Millis(stage_.random.Below(lasts)), [this] {
      ManagerActor& manager = *managers_[stage_.random.Below(managers_.size())];
      if (!manager.alive()) return;
      Kill(manager, false);
      manager.LoseEnd(1 + stage_.random.Below(20));
    });
  }
}

void World::DrawEngineTroubles() {
  const auto lasts = static_cast<std::uint64_t>(plan_.faults_last / Millis(1));
  for (std::uint32_t i = 0; i < plan_.engine_troubles; ++i) {
    At(Millis(stage_.random.Below(lasts)), [this] {
      WorkerActor& worker = *workers_[stage_.random.Below(workers_.size())];
      WorkerActor::Trouble trouble;
      trouble.slower = Millis(stage_.random.Below(15'000));
      trouble.fails = stage_.random.Below(2) == 0;
      stage_.Note("starts on " + worker.name() + " take " + FormatDuration(trouble.slower) +
                  " longer" + (trouble.fails ? ", and fail" : ""));
      worker.SetTrouble(trouble);
      At(Millis(stage_.random.Below(15'000)), [&worker] { worker.SetTrouble({}); });
    });
  }
}

// A log that was trimmed needs the snapshots behind which it was trimmed; where a cut takes those
// too only a person can go on, so it does not here.
void World::LoseTails() {
  const wire::Subjects names;
  bool any = false;
  const SnapshotCover stay = laws_.MustStay().value_or(SnapshotCover{});
  const std::map<std::string, std::uint64_t> keep = {{names.IntentsStream(), stay.intents.seq},
                                                     {names.FactsStream(), stay.facts.seq},
                                                     {names.DecisionsStream(), stay.decision},
                                                     {names.DesiredStream(), 0}};
  for (const auto& [name, last] : keep) {
    const bus::SimStream* stream = stage_.server.FindStream(name);
    if (stream == nullptr || stage_.random.Below(3) == 0) continue;
    const bus::StreamState state = stream->State();
    const std::uint64_t most = std::min(kTailMax, state.last_seq - std::min(last, state.last_seq));
    const std::uint64_t lost = stage_.random.Below(most + 1);
    if (lost == 0) continue;
    any = true;
    if (name == names.IntentsStream()) Excuse(*stream, state.last_seq - lost + 1);
    stage_.Note("a power cut takes " + std::to_string(lost) + " messages of " + name);
    stage_.server.LoseTail(name, state.last_seq - lost);
  }
  if (!any) return;
  laws_.OnTailsLost();
  // Who may lose its store later, or is another's rival, can hold nothing for sure.
  if (plan_.views_lost != 0 || plan_.rival || plan_.leaves != 0) return;
  for (const auto& worker : workers_) {
    if (worker->loop() == nullptr) continue;
    for (const engine::SimMachine::Seen& seen : worker->machine().All()) {
      const LaunchKey& key = seen.status.key;
      const worker::Attempt* attempt = worker->loop()->core().Find({key.task, key.attempt});
      const bool wanted = attempt != nullptr && !attempt->done && !attempt->stop;
      if (wanted) held_.insert({key.task, key.attempt});
    }
  }
}

void World::Excuse(const bus::SimStream& intents, std::uint64_t from) {
  for (auto it = intents.messages().lower_bound(from); it != intents.messages().end(); ++it) {
    const bus::StreamMessage& message = it->second;
    const IntentBatch batch =
        wire::DecodeIntents(message.subject, message.headers, message.payload);
    for (const IntentItem& item : batch.items) {
      if (const auto* submit = std::get_if<SubmitTask>(&item)) excused_.insert(submit->id.str());
      if (const auto* stop = std::get_if<StopTask>(&item)) excused_.insert(stop->id.str());
    }
  }
}

}  // namespace cube::sim
