/* The chain for x86 with AVX2 and FMA. */
#define LANES 8
#include "chain.c"
