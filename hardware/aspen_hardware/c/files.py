"""What lies beside the program: its header, an example that runs anywhere, and a page about it."""

from __future__ import annotations

from aspen.network.readout import NO_ANSWER
from aspen_hardware.c.dial import UNIT, scale_range
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

@knob@
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
} @p@_counts;
const @p@_counts *@p@_counted(void);
#endif

/* Compile with -D@p@_TRACE to look inside: @order@. */
#ifdef @p@_TRACE
typedef struct {
    uint8_t spikes[@p@_NEURONS];
    int32_t membranes[@p@_NEURONS]; /* as they were compared with the thresholds */
} @p@_trace;
const @p@_trace *@p@_traced(void);
/* Sets every threshold, in units of the membrane; one for a population that keeps one only: that of its first. */
void @p@_set_thresholds(const int32_t *thresholds);
#endif

#ifdef __cplusplus
}
#endif

#endif
"""
KNOB = """/* Turns the learned dial, between any two steps: 0 is a knob of @low@, 65535 one of @high@. */
void @p@_set_knob(uint16_t setting);
"""
SCALE = """/* Multiplies all hidden thresholds by q12/4096, between any two steps: 4096 leaves them as trained.
 * Below @p@_SCALE_LOW and above @p@_SCALE_HIGH a threshold would leave its range: a setting there counts as these. */
void @p@_set_threshold_scale(uint16_t q12);
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
 * One beyond @most@ in magnitude is cut to that and counted. */
void @p@_step(const int16_t *input);"""
EXAMPLE = """/* Runs @p@.c on an input made up, to be compiled anywhere: cc -std=c99 -o example example.c @p@.c */

#include "@p@.h"

#include <stdio.h>

int main(void)
{
    static @type@ input[@p@_INPUTS];
    @p@_reset();
    for (int step = 0; step < 20; step++) {
        if (step == 10) {
            @turn@; /* fewer spikes from here on */
        }
        for (int i = 0; i < @p@_INPUTS; i++) {
            input[i] = (@type@)@made@;
        }
        @p@_step(input);
        printf("step %d:", step);
        for (int i = 0; i < @p@_OUTPUTS; i++) {
            printf(" %d", @p@_spikes()[i]);
        }
        printf("\\n");
    }
    printf("answer %d, ahead by %ld\\n", @p@_winner(), (long)@p@_margin());
    return 0;
}
"""
README = """# @p@

A spiking network as portable C99, written by ASPEN: no allocation, no floating point, nothing but `<stdint.h>` and
`<string.h>`. It gives the same spikes, to the bit, as ASPEN's other engines do.

| | |
|---|---|
| RAM | @ram@ bytes |
| flash, tables | @flash@ bytes; the code comes on top |
| a step at worst, every neuron spikes | @operations@ synaptic operations, @neurons@ neuron updates |
| a step without a spike | @neurons@ neuron updates |

```
@network@
```

## Use

Add `@p@.c` and `@p@.h` to your project; `example.c` is a program that runs it. All state is static, so there is one
network of this name in a program, for one thread; write another one with another prefix for a second.

@calls@

@counters@
"""
_CALLS = {
    "reset": "begins a sample: currents, membranes, delays and scores are 0; the knob stays",
    "set_knob": "turns the dial, from 0 to 65535, between any two steps; before the first call it is at 0",
    "set_threshold_scale": "multiplies the hidden thresholds by a number in units of 1/4096, between any two steps",
    "step": "one time step on a full array of input",
    "step_events": "the same on a list of the inputs that spike; those out of range are ignored and counted",
    "spikes": "the output's spikes in the last step",
    "scores": "what the answer goes by",
    "winner": "the answer; -1 while nothing has reached the outputs",
    "margin": "by how much the answer is ahead",
    "done": "1 where an inference may end: its answer is as sure as was calibrated, or it took all its steps",
    "refused": "how much of the input was out of range",
}


def header(program: Program) -> str:
    """The text of ``PREFIX.h``."""
    network, p = program.network, program.prefix
    profile, early = program.profile, program.early
    values = {
        "p": p, "P": p.upper(), "numbers": _numbers(program),
        "score": program.score_type, "done": "" if early is None else filled(DONE, {"p": p}),
        "readout": _READOUTS[network.readout], "none": NO_ANSWER, "most": program.largest_value,
        "populations": len(network.names), "names": ", ".join(network.names),
        "connections": len(network.connections), "routes": ", ".join(c.name for c in network.connections),
        "order": ", ".join(f"{each.population.name} from {each.offset}" for each in program.populations),
        "low": "" if profile is None else f"{profile.low:g}", "high": "" if profile is None else f"{profile.high:g}",
        "refused": "events that were ignored" if program.spikes_in else "values that were cut",
        "meaning": _meaning(program),
    }  # fmt: skip
    values["knob"] = filled(SCALE if profile is None else KNOB, values)
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
        found.append(("STEPS", program.early.steps, "of an inference"))
    *others, last = [
        f"    {program.prefix}_{name} = {value}@{about and f' /* {about} */'}" for name, value, about in found
    ]
    return "\n".join([*(line.replace("@", ",") for line in others), last.replace("@", "")])


def _meaning(program: Program) -> str:
    given = program.network.input
    if given.neuron is not None:
        return "currents into its neurons, as bias mantissas"
    if given.graded is None:
        return "integers, which the weights multiply"
    return f"the analog value times {given.graded.scale:.9g}, rounded to the nearest even"


def example(program: Program) -> str:
    """The text of ``example.c``."""
    most, p = program.largest_value, program.prefix
    values = {
        "p": p,
        "type": "uint8_t" if program.spikes_in else "int16_t",
        "made": "((i * 7 + step * 3) % 5 == 0)" if program.spikes_in else f"((i * 7 + step * 3) % {min(most, 100)})",
        "turn": f"{p}_set_threshold_scale(8192)" if program.profile is None else f"{p}_set_knob(65535)",
    }
    return filled(EXAMPLE, values)


def readme(program: Program) -> str:
    """The text of ``README.md``."""
    p, network = program.prefix, program.network
    left_out = {"set_knob" if program.profile is None else "set_threshold_scale"}
    left_out |= set() if program.spikes_in else {"step_events"}
    left_out |= {"done"} if program.early is None else set()
    rows = [f"| `{p}_{name}` | {text} |" for name, text in _CALLS.items() if name not in left_out]
    values = {
        "p": p, "ram": f"{program.ram:,}", "flash": f"{program.flash:,}", "operations": f"{network.n_synapses:,}",
        "neurons": f"{network.n_neurons:,}", "network": network, "calls": "\n".join(["| | |", "|---|---|", *rows]),
        "counters": f"Compiled with `-D{p}_COUNTERS` it counts spikes and synaptic operations, with `-D{p}_TRACE` "
                    f"every membrane can be read (`{p}.h`); without, neither costs anything.",
    }  # fmt: skip
    return filled(README, values)
