#include "services/worker/engine/docker/core.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "services/worker/engine/docker/oom_log.h"

namespace cube::engine::docker {
namespace {

constexpr std::chrono::seconds kListTimeout{60};
constexpr std::chrono::seconds kInspectTimeout{30};
constexpr std::chrono::milliseconds kInspectRetry{500};
// Looks at containers that a list has in flight at once.
constexpr std::size_t kInspectsMax = 16;
// The engine may learn of an out-of-memory kill shortly after the exit that it caused.
constexpr std::chrono::milliseconds kOomWait{200};
constexpr std::int32_t kExitKilled = 137;
constexpr int kOk = 200;
constexpr int kNotFound = 404;

WallTime WallNow() {
  return WallTime(
      std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch()));
}

}  // namespace

Core::Core(HttpLoop& loop, Endpoint endpoint, Allowances allowances, Owner owner, Sink sink)
    : loop_(loop),
      allowances_(std::move(allowances)),
      sink_(std::move(sink)),
      session_(loop, std::move(endpoint), std::move(owner),
               {.on_up = [this](const Up& up) { OnUp(up); },
                .on_down = [this](const std::string& reason) { OnDown(reason); },
                .on_event = [this](const ContainerEvent& event) { OnEvent(event); }}),
      pulls_(session_),
      usage_(session_, [this](Usages usages) { Emit(std::move(usages)); }) {}

Core::~Core() {
  // Pulls and slots must outlive what holds places in them.
  streams_.clear();
  retired_streams_.clear();
  execs_.clear();
  retired_execs_.clear();
  entries_.clear();
  retired_launchings_.clear();
}

// ---- connection ---------------------------------------------------------------------------

void Core::OnUp(const Up& up) {
  Emit(up);
  BeginListing();
}

void Core::OnDown(const std::string& reason) {
  listing_.reset();
  listed_ = false;
  pulls_.Forget();
  slots_.Clear();
  usage_.EngineDown();
  std::vector<LaunchKey> unfinished;
  for (auto& [key, entry] : entries_) {
    if (entry.launching) {
      entry.launching->Suspend();
    } else if (entry.stopping || entry.removing) {
      EndStop(entry);
      unfinished.push_back(key);
    }
    entry.removing = false;
    entry.dropping = false;
    entry.refreshing = false;
    entry.stale = false;
  }
  Emit(Down{reason});
  for (const LaunchKey& key : unfinished) FailOp(key, session_.NotUp());
  std::vector<std::uint64_t> streams;
  for (const auto& [stream, object] : streams_) streams.push_back(stream);
  for (const std::uint64_t stream : streams) EndStream(stream, session_.NotUp());
  EndExecs(session_.NotUp());
}

void Core::OnEvent(const ContainerEvent& event) {
  const auto identity = IdentityOf(event.labels, session_.owner());
  if (!identity) return;
  Entry* entry = Find(identity->key);
  if (entry == nullptr || entry->status.container_id != event.id) return;
  if (event.action == "oom") entry->oom_seen = true;
  if (event.action == "destroy") {
    entry->destroyed = true;
    if (!entry->launching) Vanish(identity->key, event.time);
    return;
  }
  // While it is being launched the next answer is newer than this event, or it is asked again.
  entry->stale = true;
  if (!entry->launching && event.action == "die") Refresh(identity->key);
}

// ---- listing ------------------------------------------------------------------------------

void Core::List() {
  if (!session_.up()) return;  // a list follows the next Up
  if (listing_) {
    listing_->again = true;
    return;
  }
  BeginListing();
}

void Core::BeginListing() {
  listing_.emplace();
  for (const auto& [key, entry] : entries_)
    if (!entry.launching) listing_->before.emplace(key, entry.status.container_id);
  const std::string filters = HttpLoop::Escape(EncodeFilters(session_.owner(), false));
  session_.Call("GET", "/containers/json?all=1&filters=" + filters, {}, kListTimeout,
                [this](Result<HttpResponse> answer) { OnRows(std::move(answer)); });
}

void Core::OnRows(Result<HttpResponse> answer) {
  if (!answer) return session_.Lose(answer.error().message);
  if (answer->status != kOk)
    return session_.Lose(
        fmt::format("its list of containers fails: {}", DecodeErrorText(answer->body)));
  const auto rows = DecodeContainerList(answer->body);
  if (!rows) return session_.Lose(rows.error().message);
  for (const ContainerRow& row : *rows) {
    const auto identity = IdentityOf(row.labels, session_.owner());
    if (!identity || !listing_->seen.insert(identity->key).second) continue;
    const Entry* entry = Find(identity->key);
    if (entry != nullptr && entry->launching) continue;
    const bool known = entry != nullptr && entry->status.container_id == row.id;
    const bool same =
        known && (entry->status.state == LaunchState::kExited ||
                  (entry->status.state == LaunchState::kRunning && row.state == "running"));
    if (!same) listing_->to_inspect.emplace_back(identity->key, row.id);
  }
  InspectNext();
}

void Core::InspectNext() {
  while (listing_->inspecting < kInspectsMax && !listing_->to_inspect.empty()) {
    auto [key, id] = std::move(listing_->to_inspect.front());
    listing_->to_inspect.pop_front();
    ++listing_->inspecting;
    session_.Call("GET", fmt::format("/containers/{}/json", id), {}, kInspectTimeout,
                  [this, launch = std::move(key)](Result<HttpResponse> answer) {
                    OnInspected(launch, std::move(answer));
                  });
  }
  if (listing_->inspecting == 0) FinishListing();
}

void Core::OnInspected(const LaunchKey& key, Result<HttpResponse> answer) {
  if (!answer) return session_.Lose(answer.error().message);
  --listing_->inspecting;
  Entry* entry = Find(key);
  if (answer->status == kNotFound) {
    listing_->seen.erase(key);
  } else if (answer->status == kOk && (entry == nullptr || !entry->launching)) {
    const auto container = DecodeContainer(answer->body);
    if (!container) return session_.Lose(container.error().message);
    // Labels cannot change, but they are what makes it ours: they are read again by id.
    const auto identity = IdentityOf(container->labels, session_.owner());
    if (identity && identity->key == key && entry == nullptr) {
      Entry& added = entries_[key];
      added.status = StatusOf(*container, *identity);
      Adopt(added, *container);
    } else if (identity && identity->key == key && entry->status.container_id == container->id) {
      Apply(*entry, *container);
    }
  }
  InspectNext();
}

void Core::FinishListing() {
  const Listing listing = std::move(*listing_);
  listing_.reset();
  for (const auto& [key, id] : listing.before) {
    const Entry* entry = Find(key);
    if (entry == nullptr || entry->launching || entry->status.container_id != id) continue;
    if (!listing.seen.contains(key)) Vanish(key, {});
  }
  Listed listed;
  for (const auto& [key, entry] : entries_) listed.launches.push_back(entry.status);
  Emit(std::move(listed));
  if (!std::exchange(listed_, true)) {
    std::vector<LaunchKey> suspended;
    for (const auto& [key, entry] : entries_)
      if (entry.launching) suspended.push_back(key);
    for (const LaunchKey& key : suspended)
      if (Entry* entry = Find(key); entry != nullptr && entry->launching)
        entry->launching->Begin(/*look_first=*/true);
  }
  if (listing.again) BeginListing();
}

// ---- usage --------------------------------------------------------------------------------

void Core::Usage() {
  std::vector<UsageReader::Target> targets;
  for (const auto& [key, entry] : entries_) {
    if (entry.launching || entry.status.state != LaunchState::kRunning) continue;
    targets.push_back({.key = key,
                       .container_id = entry.status.container_id,
                       .pid = entry.pid,
                       .own_network = !entry.status.address.empty()});
  }
  usage_.Look(std::move(targets));
}

// ---- the table ----------------------------------------------------------------------------

Core::Entry* Core::Find(const LaunchKey& key) {
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &it->second;
}

void Core::Adopt(Entry& entry, const Container& container) {
  entry.pid = container.pid;
  entry.tty = container.tty;
  entry.stop_signal = container.stop_signal;
  entry.memory_bytes = container.memory_bytes;
}

// Takes what an inspect says. States only move forward; nothing follows an exit.
void Core::Apply(Entry& entry, const Container& container) {
  Adopt(entry, container);
  if (entry.status.state == LaunchState::kExited) return;
  if (container.state == ContainerState::kRemoving) return;  // its destroy event will follow
  LaunchStatus status = StatusOf(container, {entry.status.key, entry.status.placement});
  if (status.state < entry.status.state) return;
  if (status.state == LaunchState::kExited) return ApplyExit(entry, std::move(status));
  if (status == entry.status) return;
  entry.status = std::move(status);
  EmitChanged(entry);
}

void Core::ApplyExit(Entry& entry, LaunchStatus status) {
  if (entry.oom_seen && status.exit_code != 0) status.cause = ExitCause::kOutOfMemory;
  bool maybe_oom = status.exit_code == kExitKilled && entry.memory_bytes > 0 &&
                   status.cause != ExitCause::kOutOfMemory && !entry.stopping;
  if (maybe_oom && KernelKilledForMemory(status.container_id)) {
    status.cause = ExitCause::kOutOfMemory;
    maybe_oom = false;
  }
  if (maybe_oom && entry.oom_wait != Entry::OomWait::kDone) {
    if (std::exchange(entry.oom_wait, Entry::OomWait::kWaiting) == Entry::OomWait::kWaiting) return;
    loop_.After(kOomWait, [this, key = entry.status.key] {
      if (Entry* e = Find(key); e != nullptr) e->oom_wait = Entry::OomWait::kDone;
      Refresh(key);
    });
    return;
  }
  if (maybe_oom && status.detail.empty())
    status.detail = fmt::format(
        "killed from outside, perhaps at its memory limit of {}; the engine does not say",
        MemoryLimitText(entry.memory_bytes));
  if (entry.status.state < LaunchState::kRunning) {
    // It came and went between two looks.
    LaunchStatus running = status;
    running.state = LaunchState::kRunning;
    running.cause = ExitCause::kNone;
    running.exit_code = 0;
    running.detail.clear();
    running.finished_at = {};
    Emit(Changed{std::move(running)});
  }
  EndStop(entry);
  entry.status = std::move(status);
  EmitChanged(entry);
  WakeReaders(entry.status.key);
}

// Asks how a container is. Questions do not pile up: one that comes meanwhile repeats it.
void Core::Refresh(const LaunchKey& key) {
  Entry* entry = Find(key);
  if (entry == nullptr || entry->launching || !session_.up()) return;
  if (entry->refreshing) {
    entry->stale = true;
    return;
  }
  entry->refreshing = true;
  entry->stale = false;
  session_.Call("GET", fmt::format("/containers/{}/json", entry->status.container_id), {},
                kInspectTimeout,
                [this, key](Result<HttpResponse> answer) { OnRefreshed(key, std::move(answer)); });
}

void Core::OnRefreshed(const LaunchKey& key, Result<HttpResponse> answer) {
  Entry* entry = Find(key);
  if (entry == nullptr) return;
  entry->refreshing = false;
  if (answer && answer->status == kNotFound) return Vanish(key, {});
  const auto container = answer && answer->status == kOk
                             ? DecodeContainer(answer->body)
                             : Result<Container>(Fail(Code::kUnavailable, "no answer"));
  if (!container) {
    loop_.After(kInspectRetry, [this, key] { Refresh(key); });
    return;
  }
  Apply(*entry, *container);
  if (entry->stale) Refresh(key);
}

// Somebody has removed the container.
void Core::Vanish(const LaunchKey& key, WallTime when) {
  Entry* entry = Find(key);
  if (entry == nullptr) return;
  // Our own removal, told by its event or by its answer, whichever comes first.
  if (entry->dropping)
    return OnStartFailed(key, {Code::kAborted, "stopped before it started", {}}, -1);
  if (entry->status.state != LaunchState::kExited) {
    entry->status.state = LaunchState::kExited;
    entry->status.cause = ExitCause::kVanished;
    entry->status.exit_code = -1;
    entry->status.detail = "somebody else removed the container";
    entry->status.finished_at = std::max(IsSet(when) ? when : WallNow(), entry->status.started_at);
    EmitChanged(*entry);
  }
  const bool removing = entry->removing;
  Erase(key);
  if (removing) Emit(Removed{key});
}

void Core::Erase(const LaunchKey& key) {
  const auto it = entries_.find(key);
  if (it == entries_.end()) return;
  EndStop(it->second);
  if (it->second.launching) Retire(std::move(it->second.launching));
  entries_.erase(it);
  // Whoever waited for its removal finds its output saved.
  for (const std::uint64_t stream : ReadersOf(key, /*opened=*/false))
    EndStream(stream, Error{Code::kNotFound, "the launch has been removed", {}});
  WakeReaders(key);
}

// ---- launching ----------------------------------------------------------------------------

void Core::Launch(LaunchRequest request) {
  const LaunchKey key = request.key;
  if (Entry* entry = Find(key); entry != nullptr) {
    // An adopted container that was made and never started is started now.
    const bool begin = !entry->launching && entry->status.state < LaunchState::kRunning;
    EmitChanged(*entry);
    if (begin) StartLaunching(*entry, std::move(request), /*look_first=*/true);
    return;
  }
  Entry& entry = entries_[key];
  entry.status.key = key;
  entry.status.placement = request.placement;
  entry.status.state = LaunchState::kPulling;
  StartLaunching(entry, std::move(request), /*look_first=*/false);
}

void Core::StartLaunching(Entry& entry, LaunchRequest request, bool look_first) {
  const LaunchKey key = request.key;
  Launching::Handlers handlers;
  handlers.on_progress = [this, key](LaunchState state, const std::string& detail,
                                     const std::string& id) {
    Entry* e = Find(key);
    if (e == nullptr) return;
    LaunchStatus next = e->status;
    next.state = std::max(state, next.state);
    next.detail = detail;
    if (!id.empty()) next.container_id = id;
    if (next == e->status) return;
    e->status = std::move(next);
    EmitChanged(*e);
  };
  handlers.on_started = [this, key](std::optional<Container> container, const std::string& id) {
    OnStarted(key, std::move(container), id);
  };
  handlers.on_failed = [this, key](const Error& error, std::int32_t exit_code) {
    OnStartFailed(key, error, exit_code);
  };
  entry.launching =
      std::make_unique<Launching>(Launching::Parts{loop_, session_, pulls_, slots_, allowances_},
                                  std::move(request), std::move(handlers));
  // Before the first list nobody knows what exists; the list begins it.
  if (session_.up() && listed_) entry.launching->Begin(look_first);
}

void Core::OnStarted(const LaunchKey& key, std::optional<Container> container,
                     const std::string& id) {
  Entry* entry = Find(key);
  if (entry == nullptr) return;
  Retire(std::move(entry->launching));
  entry->status.container_id = id;
  entry->status.detail.clear();
  if (!container) return Vanish(key, {});
  // Containers of an earlier life keep the stamp they were made with.
  if (const auto identity = IdentityOf(container->labels, session_.owner()))
    entry->status.placement = identity->placement;
  Apply(*entry, *container);
  if (entry->destroyed) return Vanish(key, {});
  if (entry->status.state == LaunchState::kExited) return;
  if (entry->stopping) BeginStop(*entry);
  if (entry->stale) Refresh(key);
}

void Core::OnStartFailed(const LaunchKey& key, const Error& error, std::int32_t exit_code) {
  Entry* entry = Find(key);
  if (entry == nullptr) return;
  entry->status.state = LaunchState::kExited;
  entry->status.cause = ExitCause::kStartFailed;
  entry->status.exit_code = exit_code;
  entry->status.failure = error.code;
  entry->status.detail = error.message;
  entry->status.finished_at = WallNow();
  EmitChanged(*entry);
  Erase(key);
}

void Core::Retire(std::unique_ptr<Launching> launching) {
  retired_launchings_.push_back(std::move(launching));
  loop_.Post([this] { retired_launchings_.clear(); });
}

}  // namespace cube::engine::docker
