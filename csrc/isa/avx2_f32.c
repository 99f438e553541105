#if defined(__x86_64__)
#include <immintrin.h>

#include "outside.h"

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#define REAL_BITS 32
#define VECTOR_BYTES 32
#define MACHINE_HEADER "avx2.h"
#define TABLE kernels_avx2_f32
#include "body.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
