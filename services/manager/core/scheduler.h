// Where a task goes: hard filters that explain themselves with counts, then a policy's choice.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/error.h"
#include "shared/cluster/view.h"
#include "shared/domain/decision.h"

namespace cube::manager {

// What this cycle's decisions take and free on top of the view: deciding is not folding.
class Overlay {
 public:
  explicit Overlay(const View& view) : view_(view) {}

  void Take(const Node& node, const TaskSpec& spec);
  [[nodiscard]] Resources Allocated(const Node& node) const;
  [[nodiscard]] std::uint32_t Tasks(const Node& node) const;
  [[nodiscard]] bool PortTaken(const Node& node, const HostPort& port) const;
  [[nodiscard]] const View& view() const { return view_; }

 private:
  struct Taken {
    Resources resources;
    std::uint32_t tasks = 0;
    std::set<HostPort> ports;
  };
  const View& view_;
  std::map<NodeName, Taken> taken_;
};

// The first hard rule that keeps a task off a node ("down", "memory", "port 8080 taken"); empty if
// it may go there.
[[nodiscard]] std::string RuledOutBy(const Overlay& overlay, const Node& node,
                                     const TaskSpec& spec);

struct Choice {
  NodeName node;  // empty = no node fits
  Explanation explanation;
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  [[nodiscard]] virtual std::string_view Name() const = 0;
  // `last` is the node of the placement before this one.
  [[nodiscard]] virtual Choice Pick(const Overlay& overlay, const TaskSpec& spec,
                                    const NodeName& last) const = 0;
};

// kInvalid names the policies that there are.
[[nodiscard]] Result<std::unique_ptr<Scheduler>> MakeScheduler(std::string_view name);

// "3 nodes: memory 2, down 1", "no node has joined yet".
[[nodiscard]] std::string DescribeWait(const Explanation& explanation);

}  // namespace cube::manager
