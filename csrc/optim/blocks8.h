/* Not here yet: the two formats of 8 bits. */

static void widen_8bit(int is_signed, ptrdiff_t n, const uint8_t *code, const float *absmax, real *to) {
    (void)is_signed, (void)n, (void)code, (void)absmax, (void)to;
}

static void narrow_8bit(int is_signed, ptrdiff_t n, const real *from, uint8_t *code, float *absmax) {
    (void)is_signed, (void)n, (void)from, (void)code, (void)absmax;
}
