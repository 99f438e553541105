#if defined(__x86_64__)
#include <immintrin.h>

#include "outside.h"

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,prefer-vector-width=512")
#endif

#define REAL_BITS 32
#define VECTOR_BYTES 64
#define MACHINE_HEADER "avx512.h"
#define TABLE kernels_avx512_f32
#include "body.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
