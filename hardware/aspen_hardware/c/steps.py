"""The frame of the program in C: a time step, what a population receives in it, and the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aspen_hardware.c.knob import begins_nested
from aspen_hardware.c.packing import PER_WORD, WIDTHS, padded
from aspen_hardware.c.text import filled

if TYPE_CHECKING:
    from aspen_hardware.c.connections import Stored
    from aspen_hardware.c.neurons import Neurons
    from aspen_hardware.c.program import Program

SHIFT_IN = """
/* Adds the sums of one exponent to all, shifted, and clears them. */
static void @name@(@type@ *sum, @type@ *part, uint32_t n, int exponent)
{
    for (uint32_t i = 0; i < n; i++) {
        sum[i] += @left@;
        part[i] = 0;
    }
}
"""
RESET = """
void @p@_reset(void)
{
@lines@
#ifdef @p@_COUNTERS
    memset(&counters, 0, sizeof counters);
#endif
#ifdef @p@_TRACE
    memset(&trace, 0, sizeof trace);
#endif
@nested@}

/* One time step, when the input is there. */
static void advance(void)
{
    if (state.dialled == 0) {
        @first@;
    }
@begins@@turns@@calls@
    state.begun = 1;
#ifdef @p@_COUNTERS
    counters.steps++;
@off@#endif
}
"""
BEGINS = """    if (state.begun == 0) {
        state.began_at = state.setting;
    }
    state.taken = (uint16_t)(state.taken + (state.taken < @p@_STEPS));
"""
SPIKES_IN = """
static void begin_input(void)
{
    state.count_@in@ = 0;
@turn@}

/* Adds an input to the `count` spikes of this step, and returns how many these are now. */
INLINE uint32_t put_input(uint32_t index, uint32_t count)
{
    state.events_@in@[count] = (uint16_t)index;
@past@#ifdef @p@_COUNTERS
    counters.spikes[@number@]++;
@counts@#endif
    return count + 1u;
}

/* Whether any of four bytes, at any address, is not 0. */
INLINE int any_of_four(const uint8_t *bytes)
{
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB < 2
    return (bytes[0] | bytes[1] | bytes[2] | bytes[3]) != 0;
#elif defined(__GNUC__)
    uint32_t word;
    __builtin_memcpy(&word, bytes, sizeof word); /* a load, where the library's may be a call */
    return word != 0;
#else
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word != 0;
#endif
}

void @p@_step(const uint8_t *input)
{
    uint32_t count = 0, i = 0;
@skips@    begin_input();
    for (; i + 4u <= @p@_INPUTS; i += 4u) {
        if (RARE(any_of_four(&input[i]))) {
            for (uint32_t k = i; k < i + 4u; k++) {
                count = input[k] != 0 ? put_input(k, count) : count;
            }
        }
    }
    for (; i < @p@_INPUTS; i++) {
        count = input[i] != 0 ? put_input(i, count) : count;
    }
    state.count_@in@ = (uint16_t)count;
    advance();
}

void @p@_step_events(const uint16_t *indices, unsigned count)
{
    uint32_t found = 0;
@skips@    begin_input();
    for (unsigned k = 0; k < count; k++) {
        const uint32_t index = indices[k];
        if (index >= @p@_INPUTS) {
            state.refused++;
        } else if (state.listed_@in@[index] == 0) {
            state.listed_@in@[index] = 1;
            found = put_input(index, found);
        }
    }
    for (uint32_t k = 0; k < found; k++) {
        state.listed_@in@[state.events_@in@[k]] = 0;
    }
    state.count_@in@ = (uint16_t)found;
    advance();
}
"""
VALUES_IN = """
/* A value within the range that the network was made for. */
static int16_t in_range(int16_t value)
{
    if (@beyond@) {
        state.refused++;
        return value < 0 ? -@most@ : @most@;
    }
    return value;
}

void @p@_step(const int16_t *input)
{
@skips@@turn@@take@@counted@@past@    advance();
}
"""
TAKE = """    for (uint32_t i = 0; i < @p@_INPUTS; i++) {
        state.values_@in@[i] = in_range(input[@place@]);
    }
"""
TAKE_FIRST = """    if (state.begun == 0) {
        for (uint32_t i = 0; i < @p@_INPUTS; i++) {
            state.values_@in@[i] = in_range(input[@place@]);
        }
    }
"""
COUNT_VALUES = """#ifdef @p@_COUNTERS
    for (uint32_t i = 0; i < @p@_INPUTS; i++) {
        if (state.values_@in@[i] != 0) {
@lines@        }
    }
#endif
"""
ANSWER = """
const uint8_t *@p@_spikes(void)
{
    return state.spikes_@out@;
}

const @p@_score *@p@_scores(void)
{
    return state.scores;
}

int @p@_winner(void)
{
    int winner = -1;
    for (int i = 0; i < @p@_OUTPUTS; i++) {
        if (state.scores[i] != 0 && winner < 0) {
            winner = 0;
        }
    }
    for (int i = 1; i < @p@_OUTPUTS && winner >= 0; i++) {
        if (state.scores[i] > state.scores[winner]) {
            winner = i;
        }
    }
    return winner;
}

@p@_score @p@_margin(void)
{
    const int winner = @p@_winner();
    @p@_score margin = 0;
    int found = 0;
    for (int i = 0; i < @p@_OUTPUTS && winner >= 0; i++) {
        const @p@_score lead = state.scores[winner] - state.scores[i];
        if (i != winner && (found == 0 || lead < margin)) {
            margin = lead;
            found = 1;
        }
    }
    return margin;
}

uint32_t @p@_refused(void)
{
    return state.refused;
}

#ifdef @p@_COUNTERS
const @p@_counts *@p@_counted(void)
{
    return &counters;
}
#endif

#ifdef @p@_TRACE
const @p@_trace *@p@_traced(void)
{
    return &trace;
}

void @p@_set_thresholds(const int32_t *thresholds)
{
@set@
    state.dialled = 1;
}
#endif
"""


def gather_code(program: Program) -> tuple[str, set[str]]:
    """Functions that add up sums of several exponents, where any population has these; and the helpers they call."""
    text, used = "", set()
    for end, ctype in (("", "int32_t"), ("_wide", "int64_t")):
        groups = [
            group
            for each in program.populations
            if each.bounds.wide == bool(end) and len(program.into(each.population.name)) > 1
            for group in program.into(each.population.name)
        ]
        if groups:
            down = any(group[0].exponent < 0 for group in groups)
            up = f"part[i] * (({ctype})1 << exponent)"
            left = f"exponent >= 0 ? {up} : halved{end}(part[i], (uint32_t)-exponent)" if down else up
            text += filled(SHIFT_IN, {"name": f"shift_in{end}", "type": ctype, "left": left})
            used |= {f"halved{end}"} if down else set()
    return text, used


def step_code(program: Program) -> str:
    """The reset, a step, and its input."""
    values = {
        "p": program.prefix,
        "in": program.names[program.network.input.name],
        "number": program.network.names.index(program.network.input.name),
        "first": program.first_setting,
        "most": program.largest_value,
        "beyond": _beyond(program.largest_value),
        "lines": _kept_over_reset(program),
        "nested": "".join(begins_nested(each) for each in program.populations if each.nest is not None),
        "place": _given_at(program),
        "off": "".join(
            f"    counters.off[{each.number}] += {each.population.size}u - state.on_{each.name};\n"
            for each in program.populations
            if each.nest is not None
        ),
        "turns": "".join(_turn(each.name, each.depth) for each in program.populations if each.depth),
        "calls": "\n".join(line for each in program.populations for line in _calls(program, each)),
        "skips": "    if (left_out()) {\n        return;\n    }\n" if program.skips else "",
        "begins": "" if program.early is None else filled(BEGINS, {"p": program.prefix}),
    }
    given = program.network.input.name
    depth = max((c.connection.delay for c in program.connections if c.connection.source == given), default=0)
    own = not program.network.input.current or program.network.input.neuron is None
    outgoing = program.out_of(given) if own else ()
    values["counts"] = "".join(f"    {stored.count('index')}\n" for stored in outgoing)
    lines = "".join(f"            {stored.count('i')}\n" for stored in outgoing)
    values["counted"] = filled(COUNT_VALUES, {**values, "lines": lines}) if outgoing else ""
    values["take"] = filled(TAKE_FIRST if program.network.input.static else TAKE, values)
    values["turn"] = _turn(str(values["in"]), depth) if depth and own else ""
    values["past"] = _past(program, str(values["in"])) if depth and own else ""
    return filled(RESET + (SPIKES_IN if program.spikes_in else VALUES_IN), values)


def _given_at(program: Program) -> str:
    """Where in the input the value of the program's neuron ``i`` is."""
    return next((f"{each.places.name}[i]" for each in program.populations if each.reads_places), "i")


def _beyond(most: int) -> str:
    """Whether a value of 16 bits is out of range; compilers warn of what is never so."""
    return f"value < -{most} || value > {most}" if most < 2**15 - 1 else f"value < -{most}"


def _past(program: Program, name: str) -> str:
    if program.spikes_in:
        return f"    state.history_{name}[state.slot_{name}][index >> 3] |= (uint8_t)(1u << (index & 7u));\n"
    place = f"state.history_{name}[state.slot_{name}]"
    return f"    memcpy({place}, state.values_{name}, sizeof {place});\n"


def _turn(name: str, depth: int) -> str:
    """To the next place of a history, which is cleared."""
    place = f"state.history_{name}[state.slot_{name}]"
    return (
        f"    state.slot_{name} = (uint8_t)((state.slot_{name} + 1u) % {depth + 1}u);\n"
        f"    memset({place}, 0, sizeof {place});\n"
    )


def _kept_over_reset(program: Program) -> str:
    """Everything is cleared but the thresholds, whether they were set, and what else follows from the setting."""
    kept = ["dialled", "setting", "every"]
    for each in program.populations:
        kept += [f"threshold_{each.name}", *(f"{what}_{each.name}" for what in ("on", "most", "level", "next_level"))]
    lines = []
    for field in program.fields:
        if field.name not in kept:
            value = f"state.{field.name}"
            lines.append(f"    memset({value}, 0, sizeof {value});" if field.shape else f"    {value} = 0;")
    return "\n".join(lines)


def _calls(program: Program, neurons: Neurons) -> list[str]:
    """What is called for a population in a step: its input is added up, its neurons advance."""
    lines: list[str] = []
    groups = program.into(neurons.population.name)
    total = f"state.{neurons.sums.name}"
    if len(groups) == 1:
        lines += [f"    {stored.name}({total});" for stored in groups[0]]
    else:
        for group in groups:
            lines += [f"    {stored.name}({total}_part);" for stored in group]
            lines.append(_shift_in(neurons, group, total))
    lines.append(f"    update_{neurons.name}();")
    if neurons.nest is None or neurons.sums.are_set or not any(map(_packs, groups)):
        return lines
    on, n = f"state.on_{neurons.name}", _in_blocks(neurons)
    return [*lines, f"    memset(&{total}[{on}], 0, ({n} - {on}) * sizeof *{total}); /* packed rows end later */"]


def _shift_in(neurons: Neurons, group: list[Stored], total: str) -> str:
    end, n = "_wide" if neurons.bounds.wide else "", f"{neurons.population.size}u"
    if neurons.nest is not None:
        n = _in_blocks(neurons) if _packs(group) else f"state.on_{neurons.name}"
    return f"    shift_in{end}({total}, {total}_part, {n}, {group[0].exponent});"


def _packs(group: list[Stored]) -> bool:
    return any(stored.form == "packed" for stored in group)


def _in_blocks(neurons: Neurons) -> str:
    """How many sums packed rows raise at most: whole blocks of those of neurons that are on."""
    return f"in_blocks(state.on_{neurons.name}, {PER_WORD * max(WIDTHS)}u, {padded(neurons.population.size)}u)"


def answer_code(program: Program) -> str:
    """Spikes, scores, winner and margin, and what is compiled in on request."""
    set_lines = "\n".join(_set(each) for each in program.populations)
    values = {"p": program.prefix, "out": program.names[program.network.output], "set": set_lines}
    return filled(ANSWER, values)


def _set(neurons: Neurons) -> str:
    """Sets the thresholds of a population that was given in the network's order, and switches all of it on."""
    value = f"state.threshold_{neurons.name}"
    if neurons.nest is None:
        target = f"&{value}" if neurons.scalar else value
        return f"    memcpy({target}, &thresholds[{neurons.offset}], sizeof {value});"
    start = f"    state.next_level_{neurons.name} = 0;\n{begins_nested(neurons)}"
    index = "0" if neurons.scalar else "i"
    line = f"{value}{'' if neurons.scalar else '[i]'} = thresholds[{neurons.offset}u + place_{neurons.name}[{index}]];"
    if neurons.scalar:
        return f"{start}    {line}"
    return f"{start}    for (uint32_t i = 0; i < {neurons.population.size}u; i++) {{\n        {line}\n    }}"
