/* The chain for any processor: SSE2, NEON and the like. */
#define LANES 4
#include "chain.c"
