/* Little-endian numbers at unaligned places: the only way bytes of a file become numbers and the reverse. */
#ifndef TR_FORMAT_BYTES_H
#define TR_FORMAT_BYTES_H

#include <stdint.h>
#include <string.h>

/* Weights are used where the file was mapped, so the order of bytes in memory must be the file's. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tallrec needs a little-endian machine");

static inline uint16_t tr_load_u16(const void *at) { uint16_t v; memcpy(&v, at, sizeof v); return v; }
static inline uint32_t tr_load_u32(const void *at) { uint32_t v; memcpy(&v, at, sizeof v); return v; }
static inline uint64_t tr_load_u64(const void *at) { uint64_t v; memcpy(&v, at, sizeof v); return v; }
static inline float tr_load_f32(const void *at) { float v; memcpy(&v, at, sizeof v); return v; }
static inline double tr_load_f64(const void *at) { double v; memcpy(&v, at, sizeof v); return v; }

static inline void tr_store_u32(void *at, uint32_t v) { memcpy(at, &v, sizeof v); }
static inline void tr_store_u64(void *at, uint64_t v) { memcpy(at, &v, sizeof v); }
static inline void tr_store_f32(void *at, float v) { memcpy(at, &v, sizeof v); }
static inline void tr_store_f64(void *at, double v) { memcpy(at, &v, sizeof v); }

#endif
