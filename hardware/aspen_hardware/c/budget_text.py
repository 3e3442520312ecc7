"""Pieces of the C that holds a budget."""

HEADER = """/* @p@_budget.h: holds an energy budget by the knob of @p@.c, and by skipping windows.
 *
 * Energy is counted in units of @unit@: the budget is @hourly@ units in any hour, @earned@ of them
 * are earned in a window of @seconds@ s. Each call of @p@_budget_update is one such window. */

#ifndef @P@_BUDGET_H
#define @P@_BUDGET_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* At the start: sets the knob for the first window. */
void @p@_budget_begin(void);

/* Whether to run the next window; otherwise it is skipped, and the last answer stands. */
int @p@_budget_run(void);

/* Whether a window that has spent so much may make one more time step. Stop it where it may not. */
int @p@_budget_covers(uint32_t spent);

/* After a window: what it spent, and whether it ran. Sets the knob for the next. */
void @p@_budget_update(uint32_t spent, int ran);

/* What may be spent at once; and where the knob stands, as it was set. */
int64_t @p@_budget_left(void);
uint16_t @p@_budget_setting(void);
@spent@
#ifdef __cplusplus
}
#endif

#endif
"""
SPENT_DECLARED = """
#ifdef @p@_COUNTERS
/* What the time steps since @p@_reset cost, by their counts. Where a board counts cycles, these are better. */
uint32_t @p@_budget_spent(void);
#endif
"""
SOURCE = """/* @p@_budget.c: written by ASPEN @version@. Do not edit: write it again. */

#include "@p@_budget.h"
#include "@p@.h"

#define EARNED @earned@ /* in a window */
#define HOURLY @hourly@ll
#define CAPACITY @capacity@ll /* that can be kept */
#define START @start@ll
#define HELD_BACK @held_back@ll
#define REPAID @repaid@ /* by which a window aims lower, at most */
#define CAUGHT_UP @caught_up@ /* by which one aims higher */
#define WORST_STEP @worst_step@ll
#define MOST_SPENT 0xFFFFFFFFu
#define PARTS @parts@u /* of an hour; one more is going on */
#define WINDOWS @windows@u /* of a part */
#define POINTS @points@
@tables@
static struct {
    int64_t balance, past; /* what is in the bucket; what was spent in the parts that are over */
    uint32_t parts[PARTS + 1u]; /* of the hour */
    int32_t place, log_factor; /* of the knob; of what windows cost, over what the table says */
    uint16_t now, windows; /* which part it is, and its windows so far */
    uint8_t run;
} budget;
@halved@
/* Logarithm to the base 2, times 65536, rounded down; x is not 0. */
static int32_t log2_of(uint32_t x)
{
    int32_t result = 31;
    while ((x & 0x80000000u) == 0) {
        x <<= 1;
        result--;
    }
    for (int i = 0; i < 16; i++) {
        const uint64_t square = (uint64_t)x * x >> 31;
        const uint32_t bit = (uint32_t)(square >> 32);
        result = result * 2 + (int32_t)bit;
        x = (uint32_t)(square >> bit);
    }
    return result;
}

/* 2 to the power of x / 65536, rounded, from 1 to 2**32 - 1. */
static uint32_t exp2_of(int32_t x)
{
    if (x <= 0) {
        return 1;
    }
    if (x >= 32 * 65536) {
        return MOST_SPENT;
    }
    const uint32_t shift = 31u - ((uint32_t)x >> 16);
    uint64_t result = 0x80000000u;
    for (uint32_t i = 0; i < 16u; i++) {
        if (((uint32_t)x >> (15u - i) & 1u) != 0) {
            result = result * roots[i] >> 31;
        }
    }
    return (uint32_t)((result + (1u << shift >> 1)) >> shift);
}

static int64_t at_most(int64_t x, int64_t most)
{
    return x < most ? x : most;
}

static int64_t at_least(int64_t x, int64_t least)
{
    return x > least ? x : least;
}

/* What the table says of a window at the place of the knob, as a logarithm. */
static int32_t cost(void)
{
@cost@    return costs[POINTS - 1];
}

/* The place at which a window costs so much. */
static int32_t place_for(int32_t wanted)
{
    if (wanted <= costs[0]) {
        return places[0];
    }
@place@    return places[POINTS - 1];
}

/* Learns from a window what windows cost at present. */
static void observe(uint32_t spent)
{
    const int64_t ratio = log2_of(spent == 0 ? 1u : spent) - cost();
    const int32_t off = (int32_t)at_most(at_least(ratio, -@largest@), @largest@) - budget.log_factor;
    const int64_t share = (int64_t)(off < 0 ? -off : off) * @sudden@ >> 16;
    budget.log_factor += (int32_t)halved_wide(off * at_most(at_least(share, @agility@), @one@), 16);
}

/* Turns the knob to where the next window costs what it may, and says whether it is to run. */
static void aim(void)
{
    const int64_t over = halved_wide((budget.balance - HELD_BACK) * @patience@, 16);
    const uint32_t wanted = (uint32_t)(EARNED + at_most(at_least(over, -REPAID), CAUGHT_UP));
    int64_t place = place_for(log2_of(wanted) - budget.log_factor);
    place = at_most(at_least(place, budget.place - @most@), budget.place + @most@);
    budget.place = (int32_t)at_most(at_least(place, @low@), @high@);
    @p@_set_@turned@(@p@_budget_setting());
    const int64_t expected = at_most(exp2_of(cost() + budget.log_factor), HELD_BACK - WORST_STEP);
    budget.run = @p@_budget_left() >= WORST_STEP + expected;
}

void @p@_budget_begin(void)
{
    budget.balance = START;
    budget.past = 0;
    for (uint32_t i = 0; i <= PARTS; i++) {
        budget.parts[i] = 0;
    }
    budget.place = @first@;
    budget.log_factor = 0;
    budget.now = 0;
    budget.windows = 0;
    aim();
}

int @p@_budget_run(void)
{
    return budget.run;
}

int @p@_budget_covers(uint32_t spent)
{
    return spent + WORST_STEP <= @p@_budget_left();
}

void @p@_budget_update(uint32_t spent, int ran)
{
    budget.balance = at_most(budget.balance + EARNED - spent, CAPACITY);
    budget.parts[budget.now] = (uint32_t)at_most((int64_t)budget.parts[budget.now] + spent, MOST_SPENT);
    if (++budget.windows == WINDOWS) {
        budget.windows = 0;
        budget.past += budget.parts[budget.now];
        budget.now = budget.now == PARTS ? 0 : (uint16_t)(budget.now + 1u);
        budget.past -= budget.parts[budget.now];
        budget.parts[budget.now] = 0;
    }
    if (ran) {
        observe(spent);
    }
    aim();
}

int64_t @p@_budget_left(void)
{
    return at_most(budget.balance, HOURLY - budget.past - budget.parts[budget.now]);
}

uint16_t @p@_budget_setting(void)
{
    return (uint16_t)@setting@;
}
"""
COST = """    for (int k = 0; k < POINTS - 1; k++) {
        if (budget.place @within@ places[k + 1]) {
            return costs[k] + (int32_t)halved_wide((int64_t)slopes[k] * (budget.place - places[k]), 16);
        }
    }
"""
PLACE = """    for (int k = 0; k < POINTS - 1; k++) {
        if (wanted <= costs[k + 1]) {
            return places[k] + (int32_t)halved_wide((int64_t)ways[k] * (wanted - costs[k]), 16);
        }
    }
"""
SPENT = """
#ifdef @p@_COUNTERS
@tables@

uint32_t @p@_budget_spent(void)
{
    const @p@_counts *counts = @p@_counted();
    uint64_t total = (uint64_t)counts->steps * @step@u;
    for (uint32_t i = 0; i < @populations@u; i++) {
        total += (uint64_t)counts->spikes[i] * spike_price[i];
    }
    for (uint32_t i = 0; i < @connections@u; i++) {
        total += (uint64_t)counts->operations[i] * operation_price[i];
    }
@off@    return total < MOST_SPENT ? (uint32_t)total : MOST_SPENT;
}
#endif
"""
OFF = """    uint64_t saved = 0; /* by neurons that were off */
    for (uint32_t i = 0; i < @populations@u; i++) {
        saved += (uint64_t)counts->off[i] * off_saves[i];
    }
    for (uint32_t i = 0; i < @connections@u; i++) {
        total += (uint64_t)counts->off_operations[i] * operation_price[i];
        saved += (uint64_t)counts->off_operations[i] * off_operation_saves[i];
        saved += (uint64_t)counts->off_pairs[i] * off_pair_saves[i];
    }
    total = total > saved ? total - saved : 0;
"""
README = """
## A budget

`@p@_budget.c` and `@p@_budget.h` hold @hourly_energy@ in any hour, beside static power, without floating point: after
each window they turn the knob to where the next one costs what it may, skip it where nothing is left, and say when a
window must stop.
They take @ram@ bytes of RAM and @flash@ bytes of flash for tables. Energy is counted in units of @unit@.

```c
@p@_budget_begin();
for (;;) { /* one window after the other */
    uint32_t spent = 0;
    const int run = @p@_budget_run();
    @p@_reset();
    /* for each time step of the window, while run and @p@_budget_covers(spent):
       make it, and set spent to what the window has cost so far */
    @p@_budget_update(spent, run);
}
```
"""
