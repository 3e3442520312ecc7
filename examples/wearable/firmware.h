/* firmware.h: what firmware.c does with the sensor's samples, whoever calls it: a board, a PC, or an emulator. */

#ifndef FIRMWARE_H
#define FIRMWARE_H

#include <stdint.h>

/* A window that is over. Energy is in units of the budget. */
struct window {
    int64_t left; /* what may be spent at once, after it */
    uint32_t spent;
    int32_t answer; /* the class, -1 for none; that of the window before where this one was skipped */
    uint16_t setting; /* of the knob */
    uint16_t steps;   /* time steps that were made, fewer where it ended early */
    uint16_t ran;     /* 0 where it was skipped */
    uint16_t cut;     /* 1 where it was stopped for the budget */
};

void start(void);

/* Takes a sample, raw integers of all channels. Returns the window that it ends, NULL where there is none. */
const struct window *on_sample(const int16_t *raw);

#endif
