// cube-bench-place: the table of bench/micro/place.h alone, without a cluster.
#include "bench/micro/place.h"

int main() { cube::bench::MeasurePlacement({100, 1'000, 10'000, 100'000}); }
