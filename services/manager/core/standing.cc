#include "services/manager/core/standing.h"

#include <bit>

namespace cube::manager {

Standing StandingOf(const Node& node) {
  __extension__ using Wide = unsigned __int128;
  Standing standing;
  standing.capacity = AmountsOf(node.description.capacity);
  standing.promised = AmountsOf(node.allocated);
  standing.load = node.load;
  const std::array<std::uint8_t, kResources> load{node.load.cpu, node.load.memory, node.load.disk};
  for (std::size_t i = 0; i < kResources; ++i) {
    const std::int64_t capacity = standing.capacity[i];
    if (capacity <= 0) continue;
    standing.measured[i] = capacity * load[i] / kLoadFull;
    // Between 2^62 and 2^63, since a capacity of w bits is at least 2^(w-1).
    const auto width = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(capacity)));
    const Wide inverse = (Wide{1} << (62 + width)) / static_cast<std::uint64_t>(capacity);
    standing.inverse[i] = static_cast<std::uint64_t>(inverse);
    standing.shift[i] = static_cast<std::uint8_t>(62 + width - kScoreBits);
  }
  standing.tasks = static_cast<std::uint32_t>(node.attempts.size());
  standing.tasks_max = node.description.tasks_max;
  return standing;
}

}  // namespace cube::manager
