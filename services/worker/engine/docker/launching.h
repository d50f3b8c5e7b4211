// One launch on its way from a request to a running container: image, create, start, inspect.
// Runs on the loop's thread. The container's name is computed from the launch, so whatever
// answer is lost, a look at that name says how far it came; nothing is ever made twice.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/worker/engine/docker/allowances.h"
#include "services/worker/engine/docker/docker_json.h"
#include "services/worker/engine/docker/image_pulls.h"
#include "services/worker/engine/docker/session.h"

namespace cube::engine::docker {

// How many launches may be between create and inspect at once; the others wait in order. More
// only makes the engine's own queues longer, and its answers slower than our timeouts.
class StartSlots {
 public:
  static constexpr int kSlots = 32;
  // Calls `go` now or when its turn comes.
  void Take(const void* who, std::function<void()> go);
  // Gives back what `who` has, or its place in the queue.
  void Give(const void* who);
  // The engine is gone: nobody holds or waits.
  void Clear();

 private:
  std::set<const void*> holders_;
  std::deque<std::pair<const void*, std::function<void()>>> waiting_;
};

class Launching {
 public:
  struct Parts {
    HttpLoop& loop;
    Session& session;
    ImagePulls& pulls;
    StartSlots& slots;
    const Allowances& allowances;
  };
  struct Handlers {
    std::function<void(LaunchState, const std::string& detail, const std::string& id)> on_progress;
    // It was started, and this is what it is now; nothing if it is gone already.
    std::function<void(std::optional<Container>, const std::string& id)> on_started;
    // It was not started, and nothing of it is left. `exit_code`: see LaunchStatus.
    std::function<void(Error, std::int32_t exit_code)> on_failed;
  };

  Launching(Parts parts, LaunchRequest request, Handlers handlers);
  ~Launching();
  Launching(const Launching&) = delete;
  Launching& operator=(const Launching&) = delete;

  // Begins, or goes on after Suspend. `look_first`: something may exist already.
  void Begin(bool look_first);
  // The engine is gone: no answer will come. The launch is resumed by Begin(true).
  void Suspend();
  // Ends it before it runs, if that is still possible.
  void Cancel();

  // Lost answers and passing conflicts before a launch is given up.
  static constexpr int kTriesMax = 6;
  static constexpr std::chrono::milliseconds kRetryMin{200};
  static constexpr std::chrono::milliseconds kRetryMax{5'000};
  // Looks at a name that another node's container bears; longer than that node takes to stop it.
  static constexpr int kNameWaitsMax = 60;
  static constexpr std::chrono::milliseconds kNameWait{1'000};

 private:
  void Pull();
  void Create();
  void CheckNode();
  void CheckNext();
  void OnNetwork(const std::string& name, const HttpResponse& answer);
  void OnVolume(const std::string& name, const HttpResponse& answer);
  void OnCreated(Result<HttpResponse> answer);
  void LookUp();
  void OnLookedUp(Result<HttpResponse> answer);
  void Begun();
  void Start();
  void OnStarted(Result<HttpResponse> answer);
  void Inspect();
  void OnStartRefused(int status, std::string text);
  void CheckPorts(std::string text);
  void Discard(Error error);
  void Retry(const std::string& why);
  void Later(const std::string& why, void (Launching::*step)());
  void After(std::chrono::milliseconds delay, void (Launching::*step)());
  void WaitForName();
  [[nodiscard]] bool IsOfOurCluster(const Labels& labels) const;
  void Again() { Begin(/*look_first=*/false); }
  void Fail(Error error);
  void Finish(std::optional<Container> container);
  [[nodiscard]] std::string NameTarget(std::string_view tail) const;
  [[nodiscard]] bool PortTaken(const std::vector<ContainerRow>& rows) const;
  [[nodiscard]] static Error Aborted();

  Parts parts_;
  const LaunchRequest request_;
  const Handlers handlers_;
  std::shared_ptr<TaskSpec> spec_;  // as this node allows it; empty = that was not looked at
  std::vector<std::string> volumes_to_check_;
  bool network_to_check_ = false;
  std::optional<ImageRef> image_;
  std::optional<ImagePulls::Ticket> ticket_;
  std::optional<HttpLoop::Id> timer_;
  std::string id_;  // of the container that bears our labels
  int name_waits_ = 0;
  bool maybe_created_ = false;  // an answer is outstanding or was lost
  bool name_taken_ = false;     // said the last create
  bool pulled_ = false;
  bool cancelled_ = false;
  bool busy_ = false;  // an exchange is under way
  bool done_ = false;
  std::optional<Error> discarding_;  // it failed for this reason; the container must go
  std::int32_t exit_code_ = -1;      // with that
  int tries_ = 0;
};

}  // namespace cube::engine::docker
