// The allocator's settings of a long-lived process.
#pragma once

namespace cube::runtime {

// Large blocks go back to the system as soon as they are freed, and so does what lies free at the
// end of the heap: without it glibc keeps what one burst needed for ever (mallopt(3),
// M_MMAP_THRESHOLD: the threshold grows with each large block that is freed). To be called before
// threads begin.
void ReturnFreedMemory();

}  // namespace cube::runtime
