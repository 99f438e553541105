#if defined(__aarch64__)
#include <arm_neon.h>

#include "outside.h"

#define REAL_BITS 64
#define VECTOR_BYTES 16
#define MACHINE_HEADER "neon.h"
#define TABLE kernels_neon_f64
#include "body.h"
#endif
