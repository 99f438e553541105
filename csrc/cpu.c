/* Which instruction set to compute with. Compiled for the baseline: it runs before anything is known of the CPU. */
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "schuss.h"

struct level {
    const char *name;
    int (*supported)(void);
    const struct kernels *tables[2]; /* by dtype */
};

static int always(void) { return 1; }

#if defined(__x86_64__) || defined(_M_X64)

#include <cpuid.h>

enum { LEAF1_ECX_FMA = 1 << 12, LEAF1_ECX_OSXSAVE = 1 << 27, LEAF1_ECX_AVX = 1 << 28, LEAF1_ECX_F16C = 1 << 29 };
enum { LEAF7_EBX_AVX2 = 1 << 5, LEAF7_1_EAX_BF16 = 1 << 5 };
/* F, DQ, BW, VL */
#define LEAF7_EBX_AVX512 (UINT32_C(1) << 16 | UINT32_C(1) << 17 | UINT32_C(1) << 30 | UINT32_C(1) << 31)
enum { XCR0_YMM = 0x06, XCR0_ZMM = 0xe6 }; /* sse, avx; and opmask, zmm 0-15 upper halves, zmm 16-31 */

/* What the operating system saves on a switch of threads. Only with OSXSAVE. */
static uint32_t xcr0(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static int has(uint32_t leaf7_ebx, uint32_t state) {
    const uint32_t leaf1_ecx = LEAF1_ECX_FMA | LEAF1_ECX_OSXSAVE | LEAF1_ECX_AVX | LEAF1_ECX_F16C;
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & leaf1_ecx) != leaf1_ecx) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & leaf7_ebx) != leaf7_ebx) return 0;
    return (xcr0() & state) == state;
}

/* A CPU that lacks one of them, which none that was sold does, computes with the baseline. */
static int has_avx2(void) { return has(LEAF7_EBX_AVX2, XCR0_YMM); }
static int has_avx512(void) { return has(LEAF7_EBX_AVX2 | LEAF7_EBX_AVX512, XCR0_ZMM); }

/* CPUID is slow where a hypervisor answers. */
int schuss_has_bf16(void) {
    static atomic_int found = -1;
    int answer = atomic_load_explicit(&found, memory_order_relaxed);
    if (answer < 0) {
        unsigned a, b, c, d;
        answer = has_avx512() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & LEAF7_1_EAX_BF16);
        atomic_store_explicit(&found, answer, memory_order_relaxed);
    }
    return answer;
}

extern const struct kernels kernels_baseline_f32, kernels_baseline_f64;
extern const struct kernels kernels_avx2_f32, kernels_avx2_f64;
extern const struct kernels kernels_avx512_f32, kernels_avx512_f64;

static const struct level levels[] = {
    {"baseline", always, {&kernels_baseline_f32, &kernels_baseline_f64}},
    {"avx2", has_avx2, {&kernels_avx2_f32, &kernels_avx2_f64}},
    {"avx512", has_avx512, {&kernels_avx512_f32, &kernels_avx512_f64}},
};

#elif defined(__aarch64__)

extern const struct kernels kernels_neon_f32, kernels_neon_f64;

static const struct level levels[] = {{"neon", always, {&kernels_neon_f32, &kernels_neon_f64}}};

#else

extern const struct kernels kernels_baseline_f32, kernels_baseline_f64;

static const struct level levels[] = {{"baseline", always, {&kernels_baseline_f32, &kernels_baseline_f64}}};

#endif

enum { N_LEVELS = sizeof levels / sizeof levels[0] };

/* Names that mean a level somewhere: asking for one that is not compiled in is not a spelling mistake. */
static const char *const names_anywhere[] = {"baseline", "avx2", "avx512", "neon"};

const char *schuss_isa_name(int level) { return level >= 0 && level < N_LEVELS ? levels[level].name : NULL; }

int schuss_isa_supported(int level) { return level >= 0 && level < N_LEVELS && levels[level].supported(); }

/* The level of this name, the best if there is no name, or a status < 0. */
static int find_level(const char *name) {
    if (!name) {
        int best = N_LEVELS - 1;
        while (best && !levels[best].supported()) best--;
        return best;
    }
    if (!strcmp(name, "baseline")) return 0; /* the lowest, whatever it is called here */
    for (int i = 0; i < N_LEVELS; i++)
        if (!strcmp(name, levels[i].name)) return levels[i].supported() ? i : SCHUSS_NO_ISA;
    for (size_t i = 0; i < sizeof names_anywhere / sizeof names_anywhere[0]; i++)
        if (!strcmp(name, names_anywhere[i])) return SCHUSS_NO_ISA;
    return SCHUSS_BAD_ISA;
}

static const char *name_wanted(void) {
    const char *name = getenv("SCHUSS_ISA");
    return name && *name ? name : NULL;
}

enum { UNCHOSEN = INT_MIN };
static atomic_int chosen = UNCHOSEN;

int schuss_isa_select(const char *name) {
    int level = find_level(name ? name : name_wanted());
    if (level >= 0) atomic_store_explicit(&chosen, level, memory_order_relaxed);
    return level;
}

int schuss_isa_level(void) {
    int level = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (level != UNCHOSEN) return level;
    level = find_level(name_wanted());
    if (level < 0) return level;
    int found = UNCHOSEN; /* a choice by name in another thread meanwhile stands */
    if (atomic_compare_exchange_strong_explicit(&chosen, &found, level, memory_order_relaxed, memory_order_relaxed))
        return level;
    return found;
}

const struct kernels *schuss_kernels(int dtype) {
    int level = schuss_isa_level();
    return level >= 0 ? levels[level].tables[dtype == SCHUSS_F64] : NULL;
}

int schuss_vector_bytes(void) {
    const struct kernels *kernels = schuss_kernels(SCHUSS_F32);
    return kernels ? kernels->vector_bytes : 0;
}
