/* Flushing denormals: moments of dead units decay into them and would make every step crawl. Per thread. */
#ifndef SCHUSS_FPMODE_H
#define SCHUSS_FPMODE_H

#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
typedef unsigned int fpmode;
enum { FLUSH_BITS = 0x8040 }; /* FTZ | DAZ */
static inline fpmode fpmode_flush(void) {
    fpmode found = _mm_getcsr();
    if ((found & FLUSH_BITS) != FLUSH_BITS) _mm_setcsr(found | FLUSH_BITS);
    return found;
}
static inline void fpmode_restore(fpmode found) {
    if ((found & FLUSH_BITS) != FLUSH_BITS) _mm_setcsr(found);
}
#elif defined(__aarch64__)
typedef uint64_t fpmode;
static inline fpmode fpmode_flush(void) {
    fpmode found;
    __asm__ volatile("mrs %0, fpcr" : "=r"(found));
    __asm__ volatile("msr fpcr, %0" ::"r"(found | (UINT64_C(1) << 24))); /* FZ */
    return found;
}
static inline void fpmode_restore(fpmode found) { __asm__ volatile("msr fpcr, %0" ::"r"(found)); }
#else
typedef int fpmode;
static inline fpmode fpmode_flush(void) { return 0; }
static inline void fpmode_restore(fpmode found) { (void)found; }
#endif

#endif
