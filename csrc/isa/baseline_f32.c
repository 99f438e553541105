#if !defined(__aarch64__)
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "outside.h"

#define REAL_BITS 32
#define VECTOR_BYTES 16
#define MACHINE_HEADER "baseline.h"
#define TABLE kernels_baseline_f32
#include "body.h"
#endif
