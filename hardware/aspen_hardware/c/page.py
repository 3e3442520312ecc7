"""The page about a program that lies beside it: what it takes, and how it is used."""

from __future__ import annotations

from collections.abc import Iterator

from aspen_hardware.c.dial import UNIT, scale_range
from aspen_hardware.c.program import Program
from aspen_hardware.c.text import filled

README = """# @p@

A spiking network as portable C99, written by ASPEN: no allocation, no floating point, nothing but `<stdint.h>` and
`<string.h>`. It gives the same spikes, to the bit, as ASPEN's other engines do.

| | |
|---|---|
| RAM | @ram@ bytes, static; beside them a stack of a few hundred |
| flash, tables | @flash@ bytes |
| flash, code | comes on top: a few kB, which the map file of your build tells |
| a step at worst, every neuron spikes | @operations@ synaptic operations, @neurons@ neuron updates |
| a step without a spike | @neurons@ neuron updates |

```
@network@
```

## Use

Add `@p@.c` and `@p@.h` to your project and compile with `-O2`; `example.c` is a program that runs them.

```c
@p@_reset();
for (int step = 0; step < @steps@; step++) {
    /* write input[@p@_INPUTS]: @input@ */
    @p@_step(input);
@ends@}
answer = @p@_winner(); /* 0 to @last@, or -1: nothing has reached the outputs */
```

@calls@

- All state is static and begins at zero, so a step before the first reset is allowed. There is one network of this name
  in a program; write another one with another prefix for a second.
- No function may interrupt another one of the same network: call them from one thread, or from one interrupt.
- What `@p@_spikes` and `@p@_scores` point to is written anew by the next step or reset.
- Where the compiler says that the core adds two 16-bit numbers at once (`-mcpu=cortex-m4`, `-mcpu=cortex-m33`), the
  program does; the results are the same everywhere.

Compiled with `-D@p@_COUNTERS` it counts spikes and synaptic operations, with `-D@p@_TRACE` every membrane can be read
(`@p@.h`); without, neither costs anything.
"""
ENDS = """    if (@p@_done()) {
        break;
    }
"""


def readme(program: Program) -> str:
    """The text of ``README.md``."""
    p, network = program.prefix, program.network
    values = {
        "p": p, "ram": f"{program.ram:,}", "flash": f"{program.flash:,}", "operations": f"{network.n_synapses:,}",
        "neurons": f"{network.n_neurons:,}", "network": network, "input": _input(program),
        "last": network[network.output].size - 1, "calls": "\n".join(["| | |", "|---|---|", *_calls(program)]),
        "steps": "STEPS" if program.early is None else f"{p}_STEPS",
        "ends": "" if program.early is None else filled(ENDS, {"p": p}),
    }  # fmt: skip
    return filled(README, values)


def _input(program: Program) -> str:
    if program.spikes_in:
        return "0, or 1 for a spike"
    return f"integers to {program.largest_value} in magnitude"


def _calls(program: Program) -> list[str]:
    """A row for each function."""
    p, score = program.prefix, f"{program.prefix}_score"
    spikes, early = program.spikes_in, program.early is not None
    rows = [("void", "reset(void)", "begins an inference: currents, membranes, delays, scores are 0; the knob stays")]
    rows.append(_knob(program))
    if program.skips:
        rows.append(("int", "skips(void)", f"1 where the knob leaves out the next time step: `{p}_step` does not read "
                     "its input, and only counts it"))  # fmt: skip
    if spikes:
        rows += [
            ("void", "step(const uint8_t *input)", f"one time step; a byte for each of `{p}_INPUTS`, 0 or a spike"),
            ("void", "step_events(const uint16_t *indices, unsigned count)", "the same, where the inputs that spike "
             "are listed, in any order; those out of range are ignored and counted, those listed twice spike once"),
        ]  # fmt: skip
    else:
        held = "; what the first step since the reset is given counts for all, and later ones do not read it"
        text = f"one time step; {meaning(program)}{held if program.network.input.static else ''}"
        most = f"A value beyond {program.largest_value} in magnitude is cut to that, and counted"
        rows.append(("void", "step(const int16_t *input)", f"{text}. {most}"))
    rows += [
        ("const uint8_t *", "spikes(void)", f"`{p}_OUTPUTS` bytes: 1 where an output spiked in the last step"),
        (f"const {score} *", "scores(void)", "what the answer goes by, one for each output"),
        ("int", "winner(void)", "the answer: the highest score, the first of several; -1 while all are 0"),
        (score, "margin(void)", "by how much the answer is ahead"),
    ]
    if early:
        rows.append(("int", "done(void)", "1 where the inference may end: its answer is as sure as was calibrated for "
                     f"the knob of its first step, or it took `{p}_STEPS` steps"))  # fmt: skip
    rows.append(("uint32_t", "refused(void)", f"{'events' if spikes else 'values'} since the reset out of range"))
    return [f"| `{kind}{'' if kind.endswith('*') else ' '}{p}_{call}` | {text} |" for kind, call, text in rows]


def _knob(program: Program) -> tuple[str, str, str]:
    profile = program.profile
    if profile is not None:
        text = f"between any two steps: 0 is a knob of {profile.low:g}, 65535 one of {profile.high:g}; at 0 at first"
        if program.path is not None:
            text = "between any two steps: from 0, the most accurate that was calibrated, to 65535, the cheapest"
        text += "".join(f". {line}" for line in _nested(program))
        return "void", "set_knob(uint16_t setting)", text
    low, high = scale_range(program.network)
    text = f"between any two steps: all hidden thresholds times `q12` / {UNIT}; at {UNIT} at first"
    return "void", "set_threshold_scale(uint16_t q12)", f"{text}. Below {low} and above {high} it counts as these"


def _nested(program: Program) -> Iterator[str]:
    """What the knob does to neurons that it switches off."""
    if program.nests:
        yield f"It switches neurons off at once, and on again with the next `{program.prefix}_reset`"
        parts = (f"{int(nest.counts[-1])} of {len(nest.last)} of {name}" for name, nest in program.nests.items())
        yield f"What is off is not touched and takes no time; at the dial's highest knob {', '.join(parts)} are on"


def meaning(program: Program) -> str:
    """What an input that is no spikes consists of."""
    given = program.network.input
    if given.host is not None:
        return (
            "bias mantissas of the first layer, which a host makes of the values once for each inference: "
            f"W x + b, times {given.host.scale:.9g}, rounded (`network.input.host.encode` in Python)"
        )
    if given.neuron is not None:
        return "currents into its neurons, as bias mantissas"
    if given.graded is None:
        return "integers, which the weights multiply"
    return f"the analog value times {given.graded.scale:.9g}, rounded to the nearest even"
