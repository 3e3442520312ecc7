"""Functions in C that the updates of neurons call."""

from __future__ import annotations

INLINE = """
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define APART static __attribute__((noinline)) /* with all registers for itself */
#define RARE(condition) __builtin_expect((condition), 0)
#else
#define INLINE static inline
#define APART static
#define RARE(condition) (condition)
#endif
#if defined(__clang__)
#define ROLLED _Pragma("clang loop unroll(disable)") /* unrolled, it needs more registers than small cores have */
#else
#define ROLLED
#endif
#if defined(__GNUC__) && defined(__ARM_ARCH_ISA_THUMB)
#define HELD(value) __asm__("" : "+r"(value)) /* in a register, and not made anew */
#else
#define HELD(value) (void)0
#endif
#if defined(__GNUC__) && defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 2
#define THUMB_2
#define NEXT(pointer, n) do { (pointer) += (n); HELD(pointer); } while (0)
#define TOGETHER(...) __asm__("" : __VA_ARGS__) /* loads next to each other overlap */
#else
#define NEXT(pointer, n) (pointer) += (n)
#define TOGETHER(...) (void)0
#endif
"""
HELPERS = {
    "decayed": """
/* `arrived`, and what is left of `x` after a step that keeps `keep` of 4096, rounded towards zero. */
INLINE int32_t decayed(int32_t arrived, int32_t x, int32_t keep)
{
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB < 2
    const uint32_t low = (uint32_t)x & 4095u; /* no product of 64 bits on such a core */
    const uint32_t left = (low * (uint32_t)keep + (x < 0 ? 4095u : 0u)) >> 12;
    return arrived + (x >> 12) * keep + (int32_t)left;
#elif defined(THUMB_2)
    uint32_t low = x < 0 ? 0xFFFFFFFFu : 0u; /* compilers do not find this instruction */
    __asm__("smlal %0, %1, %2, %3" : "+r"(low), "+r"(arrived) : "r"(x * 64), "r"(keep * 16384));
    return arrived;
#else
    const uint64_t start = (uint64_t)(uint32_t)arrived << 32 | (x < 0 ? 0xFFFFFFFFu : 0u);
    return (int32_t)((start + (uint64_t)((int64_t)(x * 64) * (keep * 16384))) >> 32);
#endif
}
""",
    "decay": """
/* What is left of `x` after a step that keeps `keep` of 4096, rounded towards zero. */
static int32_t decay(int32_t x, uint32_t keep)
{
    const uint32_t magnitude = x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
    const int32_t left = (int32_t)(((uint64_t)magnitude * keep) >> 12);
    return x < 0 ? -left : left;
}
""",
    "decay_wide": """
/* What is left of `x` after a step that keeps `keep` of 4096, rounded towards zero. */
static int64_t decay_wide(int64_t x, uint32_t keep)
{
    const uint64_t magnitude = x < 0 ? 0u - (uint64_t)x : (uint64_t)x;
    const int64_t left = (int64_t)((magnitude * keep) >> 12);
    return x < 0 ? -left : left;
}
""",
    "wrapped": """
/* A current that leaves 24 bits wraps around, once. */
static int32_t wrapped(int32_t u)
{
    return u > LIMIT ? u - 2 * LIMIT : u <= -LIMIT ? u + 2 * LIMIT : u;
}
""",
    "wrapped_wide": """
/* A current that leaves 24 bits wraps around, once. */
static int64_t wrapped_wide(int64_t u)
{
    return u > LIMIT ? u - 2 * LIMIT : u <= -LIMIT ? u + 2 * LIMIT : u;
}
""",
    "clipped": """
/* A membrane stays within 24 bits. */
static int32_t clipped(int32_t v)
{
    return v >= LIMIT ? LIMIT - 1 : v <= -LIMIT ? 1 - LIMIT : v;
}
""",
    "clipped_wide": """
/* A membrane stays within 24 bits. */
static int64_t clipped_wide(int64_t v)
{
    return v >= LIMIT ? LIMIT - 1 : v <= -LIMIT ? 1 - LIMIT : v;
}
""",
    "halved": """
/* `x` divided by two to the power of `bits`, rounded down. */
static int32_t halved(int32_t x, uint32_t bits)
{
    return x < 0 ? ~(~x >> bits) : x >> bits;
}
""",
    "halved_wide": """
/* `x` divided by two to the power of `bits`, rounded down. */
static int64_t halved_wide(int64_t x, uint32_t bits)
{
    return x < 0 ? ~(~x >> bits) : x >> bits;
}
""",
    "by_synapse": """
/* What a synapse of a neuron onto itself subtracts: its threshold, rounded to 8 significant bits, halves up. */
static int32_t by_synapse(int32_t threshold)
{
    const uint32_t mantissa = (uint32_t)threshold >> 6;
    uint32_t exponent = 0;
    while (mantissa >> exponent > 255u) {
        exponent++;
    }
    return (int32_t)((mantissa + (1u << exponent >> 1)) >> exponent << (exponent + 6u));
}
""",
}
"""Functions that the updates call, by name; only those that are called are written."""
