/* firmware.c: a window of samples after the other, as far as the budget goes. */

#include "firmware.h"
#include "wrist.h"
#include "wrist_budget.h"
#include "wrist_encoder.h"

#include <stddef.h>

#ifndef WINDOW
#define WINDOW 128 /* samples */
#endif

static struct window now;
static unsigned sample;
static int running;

void start(void)
{
    now.answer = -1;
    sample = 0;
    wrist_budget_begin();
}

static void begin_window(void)
{
    wrist_reset();
    wrist_encoder_reset();
    running = wrist_budget_run();
    now.ran = (uint16_t)running;
    now.setting = wrist_budget_setting();
    now.spent = 0;
    now.steps = 0;
    now.cut = 0;
}

/* The network takes a sample, unless the step that begins with it might cost what is not there. */
static void take(const int16_t *raw)
{
    if (sample % wrist_STEP_SAMPLES == 0 && !wrist_budget_covers(now.spent)) {
        running = 0;
        now.cut = 1;
        return;
    }
    const unsigned made = wrist_sample(raw);
    if (made > 0) {
        now.steps = (uint16_t)(now.steps + made);
        now.spent = wrist_budget_spent(); /* a board that counts its cycles reads these instead */
        running = !wrist_done();          /* sure enough: the core sleeps through what is left of the window */
    }
}

const struct window *on_sample(const int16_t *raw)
{
    if (sample == 0) {
        begin_window();
    }
    if (running) {
        take(raw);
    }
    if (++sample < WINDOW) {
        return NULL;
    }
    sample = 0;
    if (now.steps > 0) {
        now.answer = wrist_winner();
    }
    wrist_budget_update(now.spent, now.ran); /* turns the knob for the next window */
    now.left = wrist_budget_left();
    return &now;
}
