#include "services/worker/engine/docker/launching.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "shared/domain/isolation.h"

namespace cube::engine::docker {
namespace {

constexpr std::chrono::seconds kCreateTimeout{60};
// A loaded engine takes long to start many; far above what one start may take.
constexpr std::chrono::seconds kStartTimeout{120};
constexpr std::chrono::seconds kInspectTimeout{30};
constexpr std::chrono::seconds kDeleteTimeout{60};

constexpr int kOk = 200;
constexpr int kCreated = 201;
constexpr int kNoContent = 204;
constexpr int kNotModified = 304;
constexpr int kBadRequest = 400;
constexpr int kNotFound = 404;
constexpr int kConflict = 409;
constexpr ApiVersion kApiWithMounts{1, 25};

// Whether some process of this host listens on the port. Only a hint: the network of the engine
// may be another one.
bool BoundOnThisHost(const PortSpec& port) {
  const bool udp = port.protocol == Protocol::kUdp;
  const int fd = ::socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int on = 1;
  if (!udp) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port.host_port);
  const bool taken =
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno == EADDRINUSE;
  ::close(fd);
  return taken;
}

}  // namespace

void StartSlots::Take(const void* who, std::function<void()> go) {
  if (holders_.contains(who)) return go();
  if (holders_.size() < kSlots) {
    holders_.insert(who);
    return go();
  }
  waiting_.emplace_back(who, std::move(go));
}

void StartSlots::Give(const void* who) {
  std::erase_if(waiting_, [&](const auto& entry) { return entry.first == who; });
  if (holders_.erase(who) == 0 || waiting_.empty()) return;
  auto [next, go] = std::move(waiting_.front());
  waiting_.pop_front();
  holders_.insert(next);
  go();
}

void StartSlots::Clear() {
  holders_.clear();
  waiting_.clear();
}

Launching::Launching(Parts parts, LaunchRequest request, Handlers handlers)
    : parts_(parts), request_(std::move(request)), handlers_(std::move(handlers)) {}

Launching::~Launching() {
  if (timer_) parts_.loop.CancelTimer(*timer_);
  if (ticket_) parts_.pulls.Leave(*ticket_);
  parts_.slots.Give(this);
}

Error Launching::Aborted() { return {Code::kAborted, "stopped before it started", {}}; }

std::string Launching::NameTarget(std::string_view tail) const {
  const std::string name =
      id_.empty() ? ContainerName(parts_.session.owner().cluster, request_.key) : id_;
  return fmt::format("/containers/{}{}", name, tail);
}

void Launching::Begin(bool look_first) {
  if (done_) return;
  auto image = ParseImageRef(request_.spec->image);
  if (!image) return Fail(image.error());
  image_ = std::move(*image);
  if (look_first) return LookUp();
  if (request_.spec->pull == PullPolicy::kAlways && !pulled_) return Pull();
  Create();
}

void Launching::Suspend() {
  if (timer_) parts_.loop.CancelTimer(*timer_);
  timer_.reset();
  ticket_.reset();
  busy_ = false;
  tries_ = 0;
  spec_.reset();
  volumes_to_check_.clear();
  parts_.slots.Give(this);
}

void Launching::Cancel() {
  if (cancelled_ || done_) return;
  cancelled_ = true;
  if (busy_ || discarding_) return;  // seen when the answer comes
  if (timer_) parts_.loop.CancelTimer(*timer_);
  timer_.reset();
  parts_.slots.Give(this);
  if (!maybe_created_) return Fail(Aborted());
  if (parts_.session.up()) LookUp();  // else when the engine is back
}

void Launching::Pull() {
  // Others may create meanwhile.
  parts_.slots.Give(this);
  handlers_.on_progress(LaunchState::kPulling, "asking the registry", {});
  ImagePulls::Handlers handlers;
  handlers.on_progress = [this](const std::string& text) {
    handlers_.on_progress(LaunchState::kPulling, text, {});
  };
  handlers.on_done = [this](Result<void> result) {
    ticket_.reset();
    if (done_) return;
    if (!result) return Fail(result.error());
    pulled_ = true;
    Create();
  };
  ticket_ = parts_.pulls.Join(*image_, std::move(handlers));
}

// What this node allows, and what the engine has: before anything is made or fetched.
void Launching::CheckNode() {
  auto spec = std::make_shared<TaskSpec>(*request_.spec);
  if (auto allowed = Allow(parts_.allowances, *spec); !allowed)
    return Fail(std::move(allowed).error());
  if (!spec->volumes.empty() && parts_.session.api() < kApiWithMounts)
    return Fail({Code::kUnsupported, "this engine's API cannot mount volumes", "volumes"});
  for (const VolumeSpec& volume : spec->volumes) {
    if (!volume.source.empty() && !volume.source.starts_with('/') &&
        !parts_.allowances.volumes.contains(volume.source))
      volumes_to_check_.push_back(volume.source);
  }
  network_to_check_ = !spec->network.empty() && spec->network != kNetworkBridge &&
                      spec->network != kNetworkNone && spec->network != kNetworkHost;
  spec->image = image_->full;
  spec_ = std::move(spec);
  CheckNext();
}

void Launching::CheckNext() {
  if (cancelled_) return Fail(Aborted());
  if (!network_to_check_ && volumes_to_check_.empty()) return Create();
  const bool network = std::exchange(network_to_check_, false);
  std::string name = spec_->network;
  if (!network) {
    name = std::move(volumes_to_check_.back());
    volumes_to_check_.pop_back();
  }
  busy_ = true;
  const std::string target = fmt::format("/{}/{}", network ? "networks" : "volumes", name);
  parts_.session.Call("GET", target, {}, kInspectTimeout,
                      [this, network, name](Result<HttpResponse> answer) {
                        busy_ = false;
                        if (!answer) {
                          spec_.reset();
                          volumes_to_check_.clear();
                          return Later(answer.error().message, &Launching::Again);
                        }
                        network ? OnNetwork(name, *answer) : OnVolume(name, *answer);
                      });
}

void Launching::OnNetwork(const std::string& name, const HttpResponse& answer) {
  const auto network = DecodeNetwork(answer.body);
  // The engine also takes ids, and the beginnings of ids.
  if (answer.status != kOk || !network || network->name != name)
    return Fail({Code::kPrecondition,
                 fmt::format("the node has no network {0}; make it there ('docker network create "
                             "{0}') or take another one",
                             name),
                 "network"});
  if (network->driver == kNetworkHost && !parts_.allowances.host_network)
    return Fail(HostNetworkDenied());
  CheckNext();
}

void Launching::OnVolume(const std::string& name, const HttpResponse& answer) {
  if (answer.status == kNotFound) return CheckNext();  // it is made with the container
  const auto labels = DecodeVolume(answer.body);
  if (answer.status != kOk || !labels)
    return Fail({Code::kUnavailable, DecodeErrorText(answer.body), "volumes"});
  if (!IsOfOurCluster(*labels)) return Fail(ForeignVolume(name));
  CheckNext();
}

void Launching::Create() {
  if (!spec_) return CheckNode();
  parts_.slots.Take(this, [this] {
    if (done_) return;
    const std::string target = fmt::format(
        "/containers/create?name={}", ContainerName(parts_.session.owner().cluster, request_.key));
    LaunchRequest request = request_;
    request.spec = spec_;
    busy_ = true;
    maybe_created_ = true;
    parts_.session.Call("POST", target, EncodeCreate(parts_.session.owner(), request),
                        kCreateTimeout,
                        [this](Result<HttpResponse> answer) { OnCreated(std::move(answer)); });
  });
}

void Launching::OnCreated(Result<HttpResponse> answer) {
  busy_ = false;
  if (!answer) return Retry(answer.error().message);
  name_taken_ = answer->status == kConflict;
  if (name_taken_) return LookUp();
  if (answer->status == kCreated) {
    auto id = DecodeCreated(answer->body);
    if (!id) return Retry(id.error().message);
    id_ = std::move(*id);
    return Begun();
  }
  maybe_created_ = false;
  if (cancelled_) return Fail(Aborted());
  std::string text = DecodeErrorText(answer->body);
  if (answer->status == kNotFound) {
    // Creating is the quickest way to ask whether the image is there.
    const bool may_pull = request_.spec->pull != PullPolicy::kNever && !pulled_;
    if (may_pull) return Pull();
    return Fail({Code::kNotFound, std::move(text), "image"});
  }
  const Code code = answer->status == kBadRequest ? Code::kInvalid : Code::kUnavailable;
  Fail({code, std::move(text), {}});
}

// Looks at what bears the launch's name.
void Launching::LookUp() {
  busy_ = true;
  parts_.session.Call("GET", NameTarget("/json"), {}, kInspectTimeout,
                      [this](Result<HttpResponse> answer) { OnLookedUp(std::move(answer)); });
}

void Launching::OnLookedUp(Result<HttpResponse> answer) {
  busy_ = false;
  if (!answer) return Retry(answer.error().message);
  if (answer->status == kNotFound) {
    id_.clear();
    if (discarding_) return Fail(*discarding_);
    if (cancelled_) return Fail(Aborted());
    // A name that is taken by a container which nobody can see: not yet, or not any more.
    if (std::exchange(name_taken_, false))
      return Later("the container's name is taken and free at once", &Launching::Again);
    return Again();
  }
  if (answer->status != kOk) return Retry(DecodeErrorText(answer->body));
  auto container = DecodeContainer(answer->body);
  if (!container) return Retry(container.error().message);
  const auto identity = IdentityOf(container->labels, parts_.session.owner());
  if (!identity || identity->key != request_.key) {
    // Not ours: it is left alone.
    id_.clear();
    if (discarding_) return Fail(*discarding_);
    if (cancelled_) return Fail(Aborted());
    if (IsOfOurCluster(container->labels) && ++name_waits_ <= kNameWaitsMax) return WaitForName();
    return Fail({Code::kConflict,
                 fmt::format("the name {} is taken by a container that is not this launch's",
                             ContainerName(parts_.session.owner().cluster, request_.key)),
                 {}});
  }
  id_ = container->id;
  if (discarding_) return Discard(*discarding_);
  if (container->state == ContainerState::kRemoving) return Retry("somebody is removing it");
  if (container->state == ContainerState::kCreated) return Begun();
  Finish(std::move(*container));
}

// The log has lost an attempt, and given its number to another node; the two share an engine. The
// other one ends what the log does not know.
void Launching::WaitForName() {
  parts_.slots.Give(this);
  handlers_.on_progress(LaunchState::kStarting, "waits for another node's container of that name",
                        {});
  After(kNameWait, &Launching::Again);
}

bool Launching::IsOfOurCluster(const Labels& labels) const {
  const auto cluster = labels.find(kLabelCluster);
  return cluster != labels.end() && cluster->second == parts_.session.owner().cluster;
}

// There is a container, and it has not been started.
void Launching::Begun() {
  if (cancelled_) return Discard(Aborted());
  handlers_.on_progress(LaunchState::kStarting, {}, id_);
  parts_.slots.Take(this, [this] {
    if (!done_) Start();
  });
}

void Launching::Start() {
  busy_ = true;
  parts_.session.Call("POST", NameTarget("/start"), {}, kStartTimeout,
                      [this](Result<HttpResponse> answer) { OnStarted(std::move(answer)); });
}

void Launching::OnStarted(Result<HttpResponse> answer) {
  busy_ = false;
  if (!answer) return Retry(answer.error().message);
  if (answer->status == kNoContent || answer->status == kNotModified) return Inspect();
  OnStartRefused(answer->status, DecodeErrorText(answer->body));
}

void Launching::Inspect() {
  busy_ = true;
  parts_.session.Call("GET", NameTarget("/json"), {}, kInspectTimeout,
                      [this](Result<HttpResponse> answer) {
                        busy_ = false;
                        if (!answer) return Retry(answer.error().message);
                        if (answer->status == kNotFound) return Finish(std::nullopt);
                        if (answer->status != kOk) return Retry(DecodeErrorText(answer->body));
                        auto container = DecodeContainer(answer->body);
                        if (!container) return Retry(container.error().message);
                        Finish(std::move(*container));
                      });
}

// Says why by status and by what the engine noted; a text is for people alone.
void Launching::OnStartRefused(int status, std::string text) {
  if (status == kNotFound)
    return Fail({Code::kUnavailable, "somebody removed the container before it started", {}});
  busy_ = true;
  parts_.session.Call("GET", NameTarget("/json"), {}, kInspectTimeout,
                      [this, status, text = std::move(text)](Result<HttpResponse> answer) {
                        busy_ = false;
                        if (!answer) return Retry(answer.error().message);
                        const auto container = DecodeContainer(answer->body);
                        if (container && (container->exit_code == kExitNotExecutable ||
                                          container->exit_code == kExitNoSuchCommand)) {
                          exit_code_ = container->exit_code;
                          return Discard({Code::kInvalid, text, "command"});
                        }
                        if (status == kBadRequest)
                          return Discard({Code::kInvalid, text, "command"});
                        CheckPorts(text);
                      });
}

// A clash of a static port is an ordinary server error to the engine, so look who has the port.
void Launching::CheckPorts(std::string text) {
  const auto& ports = request_.spec->ports;
  const bool has_static =
      std::any_of(ports.begin(), ports.end(), [](const PortSpec& p) { return p.host_port != 0; });
  if (!has_static) return Discard({Code::kUnavailable, std::move(text), {}});
  busy_ = true;
  parts_.session.Call(
      "GET", "/containers/json", {}, kInspectTimeout,
      [this, text = std::move(text)](Result<HttpResponse> answer) {
        busy_ = false;
        std::vector<ContainerRow> rows;
        if (answer && answer->status == kOk)
          rows = DecodeContainerList(answer->body).value_or(rows);
        const bool taken = PortTaken(rows);
        Discard({taken ? Code::kConflict : Code::kUnavailable, text, taken ? "ports" : ""});
      });
}

bool Launching::PortTaken(const std::vector<ContainerRow>& rows) const {
  const bool same_host = !parts_.session.endpoint().unix_socket.empty();
  for (const PortSpec& port : request_.spec->ports) {
    if (port.host_port == 0) continue;
    for (const ContainerRow& row : rows) {
      if (row.id == id_ || row.state != "running") continue;
      for (const BoundPort& bound : row.ports)
        if (bound.host_port == port.host_port && bound.protocol == port.protocol) return true;
    }
    if (same_host && BoundOnThisHost(port)) return true;
  }
  return false;
}

// Removes the container, then fails for `error`.
void Launching::Discard(Error error) {
  discarding_ = std::move(error);
  busy_ = true;
  parts_.session.Call("DELETE", NameTarget("?force=1&v=1"), {}, kDeleteTimeout,
                      [this](Result<HttpResponse> answer) {
                        busy_ = false;
                        if (answer && (answer->status == kNoContent || answer->status == kNotFound))
                          return Fail(*discarding_);
                        Retry(answer ? DecodeErrorText(answer->body) : answer.error().message);
                      });
}

void Launching::Retry(const std::string& why) { Later(why, &Launching::LookUp); }

void Launching::Later(const std::string& why, void (Launching::*step)()) {
  if (++tries_ > kTriesMax) {
    Error error = discarding_ ? *discarding_ : Error{Code::kUnavailable, why, {}};
    if (maybe_created_) error.message += " (a container may be left; the next list shows it)";
    return Fail(std::move(error));
  }
  After(std::min(kRetryMin * (1 << (tries_ - 1)), kRetryMax), step);
}

void Launching::After(std::chrono::milliseconds delay, void (Launching::*step)()) {
  timer_ = parts_.loop.After(delay, [this, step] {
    timer_.reset();
    (this->*step)();
  });
}

void Launching::Fail(Error error) {
  if (done_) return;
  done_ = true;
  parts_.slots.Give(this);
  if (ticket_) parts_.pulls.Leave(*std::exchange(ticket_, std::nullopt));
  handlers_.on_failed(std::move(error), exit_code_);
}

void Launching::Finish(std::optional<Container> container) {
  if (done_) return;
  done_ = true;
  parts_.slots.Give(this);
  handlers_.on_started(std::move(container), id_);
}

}  // namespace cube::engine::docker
