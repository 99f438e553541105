#if !defined(__aarch64__)
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "outside.h"

#define REAL_BITS 64
#define VECTOR_BYTES 16
#define MACHINE_HEADER "baseline.h"
#define TABLE kernels_baseline_f64
#include "body.h"
#endif
