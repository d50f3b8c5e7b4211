#include "shared/domain/task_spec.h"

namespace cube {

std::string EngineOf(const TaskSpec& spec) {
  if (!spec.engine.empty()) return spec.engine;
  return spec.image.empty() ? "process" : "docker";
}

}  // namespace cube
