/* The chain for x86 with AVX-512 (F, DQ, BW, VL). */
#define LANES 16
#include "chain.c"
