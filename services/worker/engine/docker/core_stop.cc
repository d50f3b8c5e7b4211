// Ends of launches: stop, remove; and their output.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "services/worker/engine/docker/core.h"

namespace cube::engine::docker {
namespace {

constexpr std::chrono::seconds kKillTimeout{30};
constexpr std::chrono::seconds kDeleteTimeout{60};
// A killed process that does not end for so long hangs in the kernel: that is reported.
constexpr std::chrono::seconds kKillWait{15};
constexpr int kNoContent = 204;
constexpr int kNotFound = 404;
constexpr int kConflict = 409;
constexpr std::string_view kKill = "SIGKILL";

using Clock = std::chrono::steady_clock;

}  // namespace

void Core::FailOp(const LaunchKey& key, Error error) { Emit(OpFailed{key, std::move(error)}); }

// The grace is ours, not the engine's (POST /containers/{id}/stop): it counts whole seconds, has
// no signal before API 1.42, and its long call would hide how far a stop has come.
void Core::Stop(const LaunchKey& key, const std::string& signal, Duration grace) {
  Entry* entry = Find(key);
  if (entry == nullptr) {
    if (!session_.up() || !listed_) return FailOp(key, session_.NotUp());
    return FailOp(key, {Code::kNotFound, "the engine has no such launch", {}});
  }
  if (entry->status.state == LaunchState::kExited) return EmitChanged(*entry);
  if (!entry->launching && !session_.up()) return FailOp(key, session_.NotUp());
  const auto wait = std::clamp<Duration>(grace, Duration{0}, std::chrono::hours(24 * 365));
  const auto kill_at = Clock::now() + std::chrono::duration_cast<Clock::duration>(wait);
  if (entry->stopping) {
    if (kill_at < entry->stopping->kill_at && !entry->stopping->killed) {
      entry->stopping->kill_at = kill_at;
      if (!entry->launching) ArmKill(*entry);
    }
    return;
  }
  std::string name = signal.empty() ? entry->stop_signal : signal;
  if (name.empty()) name = "SIGTERM";
  entry->stopping = Stopping{.signal = std::move(name), .kill_at = kill_at};
  // Should it run by the time this is noticed, it is stopped then.
  if (entry->launching) return entry->launching->Cancel();
  BeginStop(*entry);
}

void Core::BeginStop(Entry& entry) {
  const LaunchKey key = entry.status.key;
  if (entry.status.state < LaunchState::kRunning) return DropCreated(key);
  ArmKill(entry);
  if (entry.stopping->signal != kKill && entry.stopping->kill_at > Clock::now())
    Kill(key, entry.stopping->signal);
}

void Core::ArmKill(Entry& entry) {
  Stopping& stopping = *entry.stopping;
  if (stopping.timer) loop_.CancelTimer(*stopping.timer);
  const bool now = stopping.signal == kKill;
  const auto left = now ? Clock::duration{0} : stopping.kill_at - Clock::now();
  stopping.timer = loop_.After(std::max<Duration>(left, Duration{0}),
                               [this, key = entry.status.key] { OnKillTime(key); });
}

void Core::Kill(const LaunchKey& key, const std::string& signal) {
  session_.Call("POST",
                fmt::format("/containers/{}/kill?signal={}", Find(key)->status.container_id,
                            HttpLoop::Escape(signal)),
                {}, kKillTimeout,
                [this, key](const Result<HttpResponse>& answer) { OnKillAnswer(key, answer); });
}

void Core::OnKillAnswer(const LaunchKey& key, const Result<HttpResponse>& answer) {
  // Its end comes as an event. Whatever else the engine says (not running, gone, no such
  // signal), a look tells what is true; and at the end of the grace the kill follows.
  if (!answer || answer->status != kNoContent) Refresh(key);
}

void Core::OnKillTime(const LaunchKey& key) {
  Entry* entry = Find(key);
  if (entry == nullptr || !entry->stopping) return;
  Stopping& stopping = *entry->stopping;
  stopping.timer.reset();
  if (stopping.killed) {
    EndStop(*entry);
    Refresh(key);
    return FailOp(
        key, {Code::kTimedOut,
              fmt::format("the container has not ended {} after a kill", FormatDuration(kKillWait)),
              {}});
  }
  stopping.killed = true;
  stopping.timer = loop_.After(kKillWait, [this, key] { OnKillTime(key); });
  Kill(key, std::string(kKill));
}

void Core::EndStop(Entry& entry) {
  if (entry.stopping && entry.stopping->timer) loop_.CancelTimer(*entry.stopping->timer);
  entry.stopping.reset();
}

// A container that was made and never started has nothing to stop: it goes.
void Core::DropCreated(const LaunchKey& key) {
  Find(key)->dropping = true;
  session_.Call("DELETE", fmt::format("/containers/{}?v=1", Find(key)->status.container_id), {},
                kDeleteTimeout, [this, key](Result<HttpResponse> answer) {
                  Entry* entry = Find(key);
                  if (entry == nullptr) return;
                  if (answer && (answer->status == kNoContent || answer->status == kNotFound))
                    return Vanish(key, {});
                  entry->dropping = false;
                  EndStop(*entry);
                  Refresh(key);
                  FailOp(key, {Code::kUnavailable,
                               answer ? DecodeErrorText(answer->body) : answer.error().message,
                               {}});
                });
}

// ---- removing -----------------------------------------------------------------------------

void Core::Remove(const LaunchKey& key, const std::string& save_output_to, std::size_t save_bytes) {
  if (!session_.up() || !listed_) return FailOp(key, session_.NotUp());
  Entry* entry = Find(key);
  if (entry == nullptr) return Emit(Removed{key});
  if (entry->launching || entry->status.state != LaunchState::kExited)
    return FailOp(key, {Code::kPrecondition, "the launch has not ended; stop it first", {}});
  if (std::exchange(entry->removing, true)) return;
  if (save_output_to.empty() || save_bytes == 0) return Delete(key);
  FetchOutputTail(session_, entry->status.container_id, entry->tty, save_bytes,
                  [this, key, save_output_to](Result<std::optional<std::string>> output) {
                    Entry* e = Find(key);
                    if (e == nullptr) return;
                    Result<void> saved;
                    if (!output) {
                      saved = std::unexpected(output.error());
                    } else if (*output) {
                      saved = WriteWhole(save_output_to, **output);
                    }
                    if (saved) return Delete(key);
                    e->removing = false;
                    OpenWaiting(*e);
                    FailOp(key, saved.error());
                  });
}

void Core::Delete(const LaunchKey& key) {
  session_.Call("DELETE", fmt::format("/containers/{}?v=1&force=0", Find(key)->status.container_id),
                {}, kDeleteTimeout, [this, key](Result<HttpResponse> answer) {
                  Entry* entry = Find(key);
                  if (entry == nullptr) return;  // its destroy event came first
                  if (answer && (answer->status == kNoContent || answer->status == kNotFound))
                    return Vanish(key, {});
                  entry->removing = false;
                  OpenWaiting(*entry);
                  // 409: somebody is removing it right now.
                  const bool passing = !answer || answer->status == kConflict;
                  FailOp(key, {passing ? Code::kUnavailable : Code::kInternal,
                               answer ? DecodeErrorText(answer->body) : answer.error().message,
                               {}});
                });
}

// ---- output -------------------------------------------------------------------------------

void Core::OpenLogs(std::uint64_t stream, const LaunchKey& key, const LogOptions& options) {
  const auto refuse = [&](Error error) { Emit(LogEnd{stream, std::move(error)}); };
  if (streams_.contains(stream)) return;  // its number is in use: a mistake of the caller
  if (!session_.up() || !listed_) return refuse(session_.NotUp());
  Entry* entry = Find(key);
  if (entry == nullptr) return refuse({Code::kNotFound, "the engine has no such launch", {}});
  if (entry->status.state < LaunchState::kRunning)
    return refuse({Code::kPrecondition, "the launch has not started yet", {}});
  if (streams_.size() >= kLogStreamsMax)
    return refuse({Code::kResource,
                   fmt::format("{} log streams are open, which is the limit", kLogStreamsMax),
                   {}});
  LogStream::Handlers handlers;
  handlers.on_chunk = [this](LogChunk chunk) { Emit(std::move(chunk)); };
  handlers.on_end = [this, stream](std::optional<Error> error) {
    EndStream(stream, std::move(error));
  };
  handlers.has_ended = [this, key] {
    const Entry* e = Find(key);
    return e == nullptr || e->status.state == LaunchState::kExited;
  };
  Reader& reader = streams_[stream];
  reader.key = key;
  reader.options = options;
  reader.stream = std::make_unique<LogStream>(loop_, session_, stream, std::move(handlers));
  // Its output is being saved: what becomes of that decides where it is read.
  reader.opened = !entry->removing;
  if (reader.opened) reader.stream->Open(entry->status.container_id, entry->tty, options);
}

// The launch is not being removed after all.
void Core::OpenWaiting(const Entry& entry) {
  for (auto& [stream, reader] : streams_) {
    if (reader.key != entry.status.key || std::exchange(reader.opened, true)) continue;
    reader.stream->Open(entry.status.container_id, entry.tty, reader.options);
  }
}

std::vector<std::uint64_t> Core::ReadersOf(const LaunchKey& key, bool opened) const {
  std::vector<std::uint64_t> readers;
  for (const auto& [stream, reader] : streams_)
    if (reader.key == key && reader.opened == opened) readers.push_back(stream);
  return readers;
}

void Core::WakeReaders(const LaunchKey& key) {
  for (const std::uint64_t stream : ReadersOf(key, /*opened=*/true))
    if (const auto it = streams_.find(stream); it != streams_.end()) it->second.stream->Wake();
}

void Core::LogCredit(std::uint64_t stream, std::size_t bytes) {
  const auto it = streams_.find(stream);
  if (it != streams_.end()) it->second.stream->Credit(bytes);
}

void Core::CloseLogs(std::uint64_t stream) {
  if (streams_.contains(stream)) EndStream(stream, std::nullopt);
}

void Core::EndStream(std::uint64_t stream, std::optional<Error> error) {
  auto node = streams_.extract(stream);
  if (node.empty()) return;
  node.mapped().stream->Halt();
  retired_streams_.push_back(std::move(node.mapped().stream));
  loop_.Post([this] { retired_streams_.clear(); });
  Emit(LogEnd{stream, std::move(error)});
}

}  // namespace cube::engine::docker
