/* Codes of raw categories: MurmurHash3_x86_32, which Austin Appleby has put into the public domain, of the bytes of UTF-8
 * text. Blocks of four bytes are read lowest first whatever the machine. */
#include "schuss.h"

static uint32_t turned(uint32_t x, int bits) { return x << bits | x >> (32 - bits); }

static uint32_t scrambled(uint32_t block) { return turned(block * 0xcc9e2d51u, 15) * 0x1b873593u; }

uint32_t schuss_hash(const void *bytes, ptrdiff_t n, uint32_t seed) {
    const unsigned char *at = bytes;
    uint32_t h = seed, rest = 0;
    for (ptrdiff_t left = n; left >= 4; left -= 4, at += 4) {
        const uint32_t block = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        h = turned(h ^ scrambled(block), 13) * 5 + 0xe6546b64u;
    }
    for (int k = (int)(n & 3) - 1; k >= 0; k--) rest = rest << 8 | at[k];
    h ^= scrambled(rest);
    h ^= (uint32_t)n;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

int64_t schuss_code_of_bytes(const struct schuss_hashing *how, ptrdiff_t i, const void *bytes, ptrdiff_t n) {
    const uint32_t salt = how->salted ? (uint32_t)(i % how->columns) : 0;
    return (int64_t)(schuss_hash(bytes, n, how->seed + salt) % how->n);
}

int64_t schuss_code_of_missing(const struct schuss_hashing *how, ptrdiff_t i) {
    return schuss_code_of_bytes(how, i, "\xff", 1);
}

static int64_t code_of_digits(const struct schuss_hashing *how, ptrdiff_t i, uint64_t size, int negative) {
    char digits[24], *end = digits + sizeof digits, *at = end;
    do *--at = (char)('0' + size % 10);
    while (size /= 10);
    if (negative) *--at = '-';
    return schuss_code_of_bytes(how, i, at, end - at);
}

int64_t schuss_code_of_integer(const struct schuss_hashing *how, ptrdiff_t i, int64_t value) {
    return code_of_digits(how, i, value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0);
}

void schuss_codes_of_integers(const struct schuss_hashing *how, ptrdiff_t count, const void *values, int is_signed,
                              int64_t *codes) {
    for (ptrdiff_t i = 0; i < count; i++)
        codes[i] = is_signed ? schuss_code_of_integer(how, i, ((const int64_t *)values)[i])
                             : code_of_digits(how, i, ((const uint64_t *)values)[i], 0);
}

/* Writes a character as UTF-8, and returns how many bytes that are; 0: it is none. */
static ptrdiff_t encoded(uint32_t c, unsigned char *to) {
    const int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
    for (int k = more; k > 0; k--, c >>= 6) to[k] = (unsigned char)(0x80 | (c & 0x3f));
    to[0] = (unsigned char)(more ? (0xff00 >> (more + 1) & 0xff) | c : c);
    return more + 1;
}

/* Bytes of text[width] as UTF-8, to room[4 width]; -1: one of its characters is none. */
static ptrdiff_t encoded_text(const uint32_t *text, ptrdiff_t width, unsigned char *room) {
    ptrdiff_t n = 0;
    while (n < width && text[n] < 0x80) {
        room[n] = (unsigned char)text[n];
        n++;
    }
    for (ptrdiff_t k = n; k < width; k++) {
        const ptrdiff_t more = encoded(text[k], room + n);
        if (!more) return -1;
        n += more;
    }
    return n;
}

ptrdiff_t schuss_codes_of_text(const struct schuss_hashing *how, ptrdiff_t count, const void *text, ptrdiff_t width,
                               int bytes, void *room, int64_t *codes) {
    for (ptrdiff_t i = 0; i < count; i++) {
        const unsigned char *narrow = (const unsigned char *)text + i * width;
        const uint32_t *wide = (const uint32_t *)text + i * width;
        ptrdiff_t n = width;
        while (n && !(bytes ? narrow[n - 1] : wide[n - 1])) n--;
        if (!bytes) n = encoded_text(wide, n, room);
        if (n < 0) return i;
        codes[i] = schuss_code_of_bytes(how, i, bytes ? narrow : room, n);
    }
    return -1;
}
