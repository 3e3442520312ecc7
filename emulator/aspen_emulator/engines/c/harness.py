"""The process around a compiled program: commands come in through a pipe, what every neuron did goes out."""

HARNESS = r"""/* Runs a network for ASPEN's engine `c`: reads commands on standard input, answers on standard output. */

#include "network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void take(void *data, size_t size)
{
    if (size != 0 && fread(data, size, 1, stdin) != 1) {
        exit(3);
    }
}

static void give(const void *data, size_t size)
{
    if (fwrite(data, size, 1, stdout) != 1) {
        exit(4);
    }
}

static void *room(size_t size)
{
    void *data = malloc(size + 1);
    if (data == NULL) {
        exit(5);
    }
    return data;
}

static void give_step(void)
{
    const network_trace *trace = network_traced();
    if (memcmp(network_spikes(), &trace->spikes[OUTPUT_AT], network_OUTPUTS) != 0) {
        exit(6);
    }
    give(trace->spikes, sizeof trace->spikes);
    give(trace->membranes, sizeof trace->membranes);
}

static void run_steps(uint32_t count)
{
    const size_t size = network_INPUTS * sizeof(INPUT_TYPE);
    INPUT_TYPE *input = room(size * count);
    take(input, size * count);
    for (uint32_t t = 0; t < count; t++) {
        network_step(&input[(size_t)t * network_INPUTS]);
        give_step();
    }
    free(input);
}

#ifdef TAKES_EVENTS
static void run_events(uint32_t count)
{
    uint16_t *indices = room(count * sizeof *indices);
    take(indices, count * sizeof *indices);
    network_step_events(indices, count);
    give_step();
    free(indices);
}
#endif

static void set_thresholds(void)
{
    static int32_t thresholds[network_NEURONS];
    take(thresholds, sizeof thresholds);
    network_set_thresholds(thresholds);
}

static void give_answer(void)
{
    const network_counts *counted = network_counted();
    const int64_t numbers[4] = {network_winner(), network_margin(), network_refused(), counted->steps};
    give(numbers, sizeof numbers);
    for (int i = 0; i < network_OUTPUTS; i++) {
        const int64_t score = network_scores()[i];
        give(&score, sizeof score);
    }
    give(counted->spikes, sizeof counted->spikes);
    give(counted->operations, sizeof counted->operations);
#ifdef SWITCHES_OFF
    give(counted->off, sizeof counted->off);
    give(counted->off_operations, sizeof counted->off_operations);
    give(counted->off_pairs, sizeof counted->off_pairs);
#endif
}

int main(void)
{
    unsigned char command;
    uint32_t number;
    while (fread(&command, 1, 1, stdin) == 1) {
        take(&number, sizeof number);
        switch (command) {
        case 'R':
            network_reset();
            break;
        case 'K':
            TURN((uint16_t)number);
            break;
        case 'T':
            set_thresholds();
            break;
        case 'S':
            run_steps(number);
            break;
#ifdef TAKES_EVENTS
        case 'E':
            run_events(number);
            break;
#endif
        case 'A':
            give_answer();
            break;
#ifdef ENDS_EARLY
        case 'D':
            fputc(network_done(), stdout);
            break;
#endif
        default:
            exit(2);
        }
        fflush(stdout);
    }
    return 0;
}
"""
"""Compiled with ``OUTPUT_AT``, ``INPUT_TYPE`` and ``TURN``, ``TAKES_EVENTS`` where the input is spikes,
``ENDS_EARLY`` where the program says when an inference may end, and ``SWITCHES_OFF`` where its dial switches neurons
off."""
