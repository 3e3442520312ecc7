/* main.c: the main loop. Here samples come from standard input; on a board from the sensor. */

#include "firmware.h"
#include "wrist_encoder.h"

#include <stdio.h>

/* On a board: `__WFI()` until the sensor's interrupt, with the core asleep, then read the sensor's registers. */
static int wait_for_sample(int16_t *raw)
{
    return fread(raw, sizeof *raw, wrist_CHANNELS, stdin) == wrist_CHANNELS;
}

int main(void)
{
    int16_t raw[wrist_CHANNELS];
    start();
    while (wait_for_sample(raw)) {
        const struct window *window = on_sample(raw);
        if (window != NULL) {
            fwrite(window, sizeof *window, 1, stdout); /* on a board: show the answer, or send it */
        }
    }
    return 0;
}
