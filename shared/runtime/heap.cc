#include "shared/runtime/heap.h"

#include <malloc.h>

namespace cube::runtime {

void ReturnFreedMemory() {
  // Small enough for the tables and batches of a burst, large enough that mapping one costs little
  // beside filling it.
  constexpr int kMapFromBytes = 1 << 20;
  // Kept at the end of the heap for the next cycle.
  constexpr int kKeepBytes = 8 << 20;
  mallopt(M_MMAP_THRESHOLD, kMapFromBytes);
  mallopt(M_TRIM_THRESHOLD, kKeepBytes);
}

}  // namespace cube::runtime
