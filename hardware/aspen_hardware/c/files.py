"""What lies beside the program: its header, and an example that runs anywhere."""

from __future__ import annotations

from aspen.network.readout import NO_ANSWER
from aspen_hardware.c.dial import UNIT, scale_range
from aspen_hardware.c.page import meaning
from aspen_hardware.c.program import Program
from aspen_hardware.c.text import filled

_READOUTS = {
    "spikes": "the spikes of each output neuron",
    "membrane": "the membranes of the output neurons, before their reset, added up",
    "membrane-last": "the membranes of the output neurons in the last step, before their reset",
    "membrane-max": "the highest membranes of the output neurons, before their reset",
}
HEADER = """/* @p@.h: the interface of @p@.c, which README.md explains. */

#ifndef @P@_H
#define @P@_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
@numbers@
};

typedef @score@ @p@_score;

/* Back to the state at the start of a sample; the knob stays where it is. */
void @p@_reset(void);

@knob@@skips@
@step@

/* @p@_OUTPUTS bytes: 1 where an output neuron spiked in the last step. */
const uint8_t *@p@_spikes(void);

/* @p@_OUTPUTS numbers: @readout@, since the reset. */
const @p@_score *@p@_scores(void);

/* The output with the highest score, the first where several have it; @none@ while all scores are 0. */
int @p@_winner(void);

/* By how much the winner is ahead of the next; 0 where there is none. */
@p@_score @p@_margin(void);
@done@
/* Input since the reset that was out of range: @refused@. */
uint32_t @p@_refused(void);

/* Compile with -D@p@_COUNTERS to count. Counts start at the reset, and begin again at 0 after 2**32 - 1. */
#ifdef @p@_COUNTERS
typedef struct {
    uint32_t steps;
    uint32_t spikes[@populations@]; /* @names@ */
    uint32_t operations[@connections@]; /* synaptic operations: @routes@ */
@off@} @p@_counts;
const @p@_counts *@p@_counted(void);
#endif

/* Compile with -D@p@_TRACE to look inside: @order@. */
#ifdef @p@_TRACE
typedef struct {
    uint8_t spikes[@p@_NEURONS];
    int32_t membranes[@p@_NEURONS]; /* as they were compared with the thresholds@untouched@ */
} @p@_trace;
const @p@_trace *@p@_traced(void);
/* Sets every threshold, in units of the membrane; of a population that keeps one only, that of its first.@all_on@ */
void @p@_set_thresholds(const int32_t *thresholds);
#endif

#ifdef __cplusplus
}
#endif

#endif
"""
PATH = """/* Turns the knob, between any two steps, along @stops@ stops@ends@: 0 is the most accurate setting
 * that was calibrated, 65535 the cheapest.@nested@ */
void @p@_set_knob(uint16_t knob);
"""
KNOB = """/* Turns the learned dial, between any two steps: 0 is a knob of @low@, 65535 one of @high@.@nested@ */
void @p@_set_knob(uint16_t setting);
"""
SCALE = """/* Multiplies all hidden thresholds by q12/4096, between any two steps: 4096 leaves them as trained.
 * Below @p@_SCALE_LOW and above @p@_SCALE_HIGH a threshold would leave its range: a setting there counts as these. */
void @p@_set_threshold_scale(uint16_t q12);
"""
SKIPS = """
/* 1 where the knob leaves out the next time step: its input is not read, and need not be there. One step in so many
 * runs as was calibrated for the knob of the first step since the reset; all are given to @p@_step, which counts. */
int @p@_skips(void);
"""
NESTED = """
 * It switches neurons off at once, and on again with the next @p@_reset; what is off is not touched."""
OFF = """    uint32_t off[@populations@]; /* neurons that were off, added up over the steps */
    uint32_t off_operations[@connections@]; /* more operations, onto neurons that were off: they were left out */
    uint32_t off_pairs[@connections@]; /* neurons of the target that were off, for each spike or value of the source */
"""
DONE = """
/* 1 where an inference may end: its answer is as sure as was calibrated for the knob of its first step, or it took all
 * @p@_STEPS steps. */
int @p@_done(void);
"""
STEP_SPIKES = """/* One time step. `input` has @p@_INPUTS bytes, 0 where there is no spike. */
void @p@_step(const uint8_t *input);

/* The same, where `indices` lists the inputs that spike. One out of range is ignored and counted. */
void @p@_step_events(const uint16_t *indices, unsigned count);"""
STEP_VALUES = """/* One time step. `input` has @p@_INPUTS values: @meaning@.
 * One beyond @most@ in magnitude is cut to that and counted.@static@ */
void @p@_step(const int16_t *input);"""
STATIC = """
 * It is the same at every step: what the first step since the reset is given counts, later ones do not read it."""
EXAMPLE = """/* Runs @p@.c on an input made up, to be compiled anywhere: cc -std=c99 -o example example.c @p@.c */

#include "@p@.h"

#include <stdio.h>

static @type@ input[@p@_INPUTS];

/* Input as a sensor's driver would leave it: here a pattern@moves@. */
static void read_input(int step)
{
    for (int i = 0; i < @p@_INPUTS; i++) {
        input[i] = (@type@)@made@;
    }
@unused@}

/* One inference. */
static void classify(void)
{
    @p@_reset();
    for (int step = 0; step < @steps@; step++) {
        read_input(step);
        @p@_step(input);
        printf("step %d:", step);
        for (int i = 0; i < @p@_OUTPUTS; i++) {
            printf(" %d", @p@_spikes()[i]);
        }
        printf("\\n");
@ends@    }
    printf("answer %d, ahead by %ld\\n", @p@_winner(), (long)@p@_margin());
}

int main(void)
{
    classify();
    @turn@; /* fewer spikes from here on */
    classify();
    return 0;
}
"""
ENDS = """        if (@p@_done()) {
            break; /* sure enough */
        }
"""


def header(program: Program) -> str:
    """The text of ``PREFIX.h``."""
    network, p = program.network, program.prefix
    profile, early = program.profile, program.early
    counts = {"populations": len(network.names), "connections": len(network.connections)}
    values = {
        "p": p, "P": p.upper(), "numbers": _numbers(program),
        "score": program.score_type, "done": "" if early is None else filled(DONE, {"p": p}),
        "readout": _READOUTS[network.readout], "none": NO_ANSWER, "most": program.largest_value,
        **counts, "names": ", ".join(network.names), "routes": ", ".join(c.name for c in network.connections),
        "all_on": " All are on then." if program.nests else "",
        "untouched": "; 0 of neurons that are off" if program.nests else "",
        "off": filled(OFF, counts) if program.nests else "",
        "order": ", ".join(f"{each.population.name} from {each.offset}" for each in program.populations),
        "low": "" if profile is None else f"{profile.low:g}", "high": "" if profile is None else f"{profile.high:g}",
        "refused": "events that were ignored" if program.spikes_in else "values that were cut",
        "meaning": meaning(program), "static": STATIC if network.input.static else "",
    }  # fmt: skip
    values["nested"] = filled(NESTED, values) if program.nests else ""
    if program.path is not None:
        levers = ["the dial", *(["time steps"] if program.skips else []), *([] if early is None else ["the early end"])]
        ends = "" if len(levers) == 1 else f" of {', of '.join(levers[:-1])} and of {levers[-1]}"
        values |= {"stops": len(program.path.knobs), "ends": ends}
    values["knob"] = filled(SCALE if profile is None else KNOB if program.path is None else PATH, values)
    values["skips"] = filled(SKIPS, {"p": p}) if program.skips else ""
    values["step"] = filled(STEP_SPIKES if program.spikes_in else STEP_VALUES, values)
    return filled(HEADER, values)


def _numbers(program: Program) -> str:
    """The constants, the last one without a comma, as older compilers have it."""
    network, found = program.network, [("INPUTS", program.network.input.size, "")]
    found += [("OUTPUTS", network[network.output].size, ""), ("NEURONS", program.n_neurons, "but for the input")]
    if program.profile is None:
        low, high = scale_range(network)
        found += [("SCALE_LOW", low, "of settings"), ("SCALE_HIGH", high, f"{UNIT} is 1")]
    if program.early is not None:
        about = "of an inference, with those that the knob leaves out" if program.skips else "of an inference"
        found.append(("STEPS", program.early.steps, about))
    *others, last = [
        f"    {program.prefix}_{name} = {value}@{about and f' /* {about} */'}" for name, value, about in found
    ]
    return "\n".join([*(line.replace("@", ",") for line in others), last.replace("@", "")])


def example(program: Program) -> str:
    """The text of ``example.c``."""
    most, p, given = program.largest_value, program.prefix, program.network.input
    place = "i * 7" if given.static else "i * 7 + step * 3"
    values = {
        "p": p,
        "type": "uint8_t" if program.spikes_in else "int16_t",
        "made": f"(({place}) % 5 == 0)" if program.spikes_in else f"(({place}) % {min(most, 100)})",
        "moves": "" if given.static else " that moves",
        "unused": "    (void)step; /* the input is the same at every step */\n" if given.static else "",
        "steps": 20 if program.early is None else f"{p}_STEPS",
        "ends": "" if program.early is None else filled(ENDS, {"p": p}),
        "turn": f"{p}_set_threshold_scale(8192)" if program.profile is None else f"{p}_set_knob(65535)",
    }
    return filled(EXAMPLE, values)
