#include "shared/cluster/index.h"

#include "shared/base/check.h"

namespace cube::index {
namespace {

PendingKey KeyOf(const Task& task) { return {-task.spec->priority, task.number}; }

Node& NodeOf(View& view, const Task& task) {
  const auto it = view.nodes.find(task.node);
  CUBE_CHECK(it != view.nodes.end());  // attempts are placed on welcomed nodes only
  return it->second;
}

}  // namespace

void Enter(View& view, const Task& task) {
  if (IsLive(task)) {
    Node& node = NodeOf(view, task);
    node.allocated += task.spec->resources;
    node.attempts.insert(task.number);
    for (const PortSpec& port : task.spec->ports) {
      if (port.host_port != 0) node.static_ports[{port.host_port, port.protocol}] = task.number;
    }
  }
  if (IsPending(task)) view.pending[ShapeOf(*task.spec)].insert(KeyOf(task));
  if (NeedsStop(task)) view.stops_due.insert(task.number);
  if (IsFinished(task)) {
    if (IsSet(task.ended_at)) {
      view.finished.insert({task.ended_at, task.number});
    } else {
      view.ended_now.push_back(task.number);
    }
  }
}

void Leave(View& view, const Task& task) {
  if (IsLive(task)) {
    Node& node = NodeOf(view, task);
    node.allocated -= task.spec->resources;
    node.attempts.erase(task.number);
    for (const PortSpec& port : task.spec->ports) {
      if (port.host_port != 0) node.static_ports.erase({port.host_port, port.protocol});
    }
  }
  if (IsPending(task)) {
    const auto shape = view.pending.find(ShapeOf(*task.spec));
    CUBE_CHECK(shape != view.pending.end());
    shape->second.erase(KeyOf(task));
    if (shape->second.empty()) view.pending.erase(shape);
  }
  if (NeedsStop(task)) view.stops_due.erase(task.number);
  if (IsFinished(task)) {
    if (IsSet(task.ended_at)) {
      view.finished.erase({task.ended_at, task.number});
    } else {
      std::erase(view.ended_now, task.number);
    }
  }
}

}  // namespace cube::index
