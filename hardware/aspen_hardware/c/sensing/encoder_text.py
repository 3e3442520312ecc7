"""Pieces of the C that encodes a sensor's samples."""

HEADER = """/* @p@_encoder.h: a sensor's raw integers in, time steps of @p@.c out.
 *
 * @about@
 * A raw integer stands for the value raw * @scale@ + @offset@. */

#ifndef @P@_ENCODER_H
#define @P@_ENCODER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    @p@_CHANNELS = @channels@, /* raw integers in a sample */
    @unit@
};

/* Forgets all samples so far. @p@_reset leaves them, as a window may be one of a signal that goes on. */
void @p@_encoder_reset(void);

/* Takes a sample, @p@_CHANNELS raw integers, and makes the time steps of the network that are due.
 * Returns how many these were: @due@. */
unsigned @p@_sample(const int16_t *raw);

#ifdef __cplusplus
}
#endif

#endif
"""
SOURCE = """/* @p@_encoder.c: written by ASPEN @version@. Do not edit: write it again. */

#include "@p@_encoder.h"
#include "@p@.h"

#include <string.h>
@tables@
static struct {
@fields@
} encoder;

void @p@_encoder_reset(void)
{
    memset(&encoder, 0, sizeof encoder);
}
@functions@"""
BEGIN = """
    if (encoder.begun == 0) {
        for (uint32_t c = 0; c < @p@_CHANNELS; c++) {
            encoder.reference[c] = @first@;
        }
        encoder.begun = 1;
    }"""
DELTA = """
/* Channels that have moved by their threshold since they last spiked: ON of all channels, then OFF. */
static void encode(const int16_t *raw)
{@begin@
    encoder.count = 0;
    for (uint32_t c = 0; c < @p@_CHANNELS; c++) {
        const int32_t distance = (int32_t)raw[c] * @unit@ - encoder.reference[c];
        if (distance >= @threshold@) {
            encoder.reference[c] += @threshold@;
            encoder.events[encoder.count++] = (uint16_t)c;
        } else if (distance <= -@threshold@) {
            encoder.reference[c] -= @threshold@;
            encoder.events[encoder.count++] = (uint16_t)(@p@_CHANNELS + c);
        }
    }
}
"""
LEVELS = """
unsigned @p@_sample(const int16_t *raw)
{
@take@    for (uint32_t c = 0; c < @rows@u; c++) {
        encoder.sum[c] += @read@;
    }
    if (++encoder.samples < @every@u) {
        return 0;
    }
    encoder.samples = 0;
    for (uint32_t c = 0; c < @rows@u; c++) {
        const @edge@ *edge = &edges[c * @bounds@u];
        uint32_t level = 0;
        while (level < @bounds@u && encoder.sum[c] > edge[level]) {
            level++;
        }
        encoder.events[c] = (uint16_t)(c * @levels@u + level);
        encoder.sum[c] = 0;
    }
    @p@_step_events(encoder.events, @rows@u);
    return 1;
}
"""
ON_LINE = """
/* (raw * factor + addend) / 2**@shift@, rounded down, from @low@ to @high@. */
static @type@ on_line(uint32_t c, int32_t raw)
{
    const int64_t found = halved_wide((int64_t)raw * @factor@ + @addend@, @shift@u);@unused@
    return (@type@)(found < @low@ ? @low@ : found > @high@ ? @high@ : found);
}
"""
CURRENT = """
static void encode(const int16_t *raw)
{
@take@    for (uint32_t c = 0; c < @rows@u; c++) {
        encoder.values[c] = on_line(c, @read@);
    }
}
"""
EACH = """
unsigned @p@_sample(const int16_t *raw)
{
    encode(raw);
    @step@;
    return 1;
}
"""
WINDOW = """
unsigned @p@_sample(const int16_t *raw)
{
    @recent@ *now = encoder.recent[encoder.slot];
    encode(raw);
@keep@
    encoder.slot = (uint16_t)((encoder.slot + 1u) % @size@u);
    if (encoder.seen < @size@u && ++encoder.seen < @size@u) {
        return 0;
    }
    if (encoder.wait != 0) {
        encoder.wait = (uint16_t)((encoder.wait + 1u) % @every@u);
        return 0;
    }
    encoder.wait = @next@;
    @clear@
    for (uint32_t i = 0; i < @inner@u; i++) {
        for (uint32_t k = 0; k < @size@u; k++) { /* the oldest first */
@show@
        }
    }
    @step@;
    return 1;
}
"""
STATIC = """
unsigned @p@_sample(const int16_t *raw)
{
    encode(raw);
    unsigned t = 0;
    for (; t < @steps@u@ending@; t++) {
        @p@_step(encoder.values);
    }
    return t;
}
"""
DRAWN = """
unsigned @p@_sample(const int16_t *raw)
{@prepare@
    unsigned t = 0;
    for (; t < @steps@u@ending@; t++) {
        unsigned count = 0;
        for (uint32_t c = 0; c < @p@_CHANNELS; c++) {
            if (@spikes@) {
                encoder.events[count++] = (uint16_t)c;
            }
        }
        @p@_step_events(encoder.events, count);
    }
    return t;
}
"""
RANDOM = """
/* 16 random bits, by xorshift32 (Marsaglia 2003). */
static uint32_t drawn(void)
{
    uint32_t x = encoder.random == 0 ? @seed@u : encoder.random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    encoder.random = x;
    return x >> 16;
}
"""
README = """
## From the sensor

`@p@_encoder.c` and `@p@_encoder.h` are the encoder that the network was trained with (@kind@), in integers:
`@p@_sample(raw)` takes @channels@ raw integers of the sensor, and makes the time steps that are due.
It takes @ram@ bytes of RAM, and @flash@ bytes of flash for tables.
`@p@_encoder_reset()` forgets the samples so far; call it beside `@p@_reset()` where a window begins anew.
"""
