"""Networks in Lava programs of one's own: :func:`import_lava` and :func:`to_lava`.

Nothing of Lava is imported before one of them is called. A whole program: ``examples/lava_program``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aspen._base.checks import as_flag, as_integer, as_name
from aspen.dial.path import AnyDial
from aspen.dial.scale import ThresholdScale
from aspen.errors import InputError
from aspen.network.network import Network
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.lava.layout import check_network, longest_delay
from aspen_emulator.engines.lava.loihi import check_stock
from aspen_emulator.engines.lava.shim import import_lava as import_lava
from aspen_emulator.engines.run import network_of
from aspen_emulator.engines.turning import begins_at
from aspen_hardware.compiling.deployment import Deployment

if TYPE_CHECKING:
    from aspen_emulator.engines.lava.program.network import NetworkProcess

__all__ = ["import_lava", "to_lava"]


def to_lava(
    program: Network | Deployment,
    threshold_scale: ThresholdScale = 1.0,
    *,
    profile: AnyDial | None = None,
    knob: float | None = None,
    reset_interval: int = 0,
    stock: bool = False,
    name: str = "network",
) -> NetworkProcess:
    """A network as a process of Lava, which connects to any source, sink and process and runs under any run
    configuration; see :class:`aspen_emulator.engines.lava.program.network.NetworkProcess`.

    >>> import_lava()  # doctest: +SKIP
    >>> with to_lava(deployment) as net:  # doctest: +SKIP
    ...     source.s_out.connect(net.s_in)
    ...     net.s_out.connect(sink.a_in)
    ...     net.run(RunSteps(num_steps=100), Loihi2SimCfg())
    ...     net.threshold_scale = 1.5
    ...     net.run(RunSteps(num_steps=100))

    Its spikes are those of every engine, each population ``net.depths[name]`` Lava steps late.

    Args:
        program: a deployment (a chip's integers), or a network in floating point.
        threshold_scale: where the knob stands at first.
        profile: a learned dial (:func:`aspen.load_profile`), turned by ``net.knob``.
        knob: where the dial stands at first; default: its accurate end.
        reset_interval: Lava steps after which every population starts from rest again, each at its own time, so that
            samples follow each other without a pause. The last steps of an interval, as many as the longest delay has
            (1 in a recurrent network), are silent. 0: a sample begins with ``net.reset`` or ``net.run_sample`` only.
        stock: build it from Lava's stock processes, as Loihi has no others (``Loihi2HwCfg``; on a CPU
            ``Loihi2SimCfg(select_tag="fixed_pt")``). They take less (``hardware/README.md``), and keep the thresholds
            that they begin with.
        name: of the process, for Lava's messages.

    Raises:
        InputError: something given is not allowed.
        EngineError: the network cannot run on Lava, or not on its stock processes.
        MissingDependencyError: Lava is not installed.
    """
    network = network_of(program)
    first = begins_at(network, threshold_scale, profile, knob)
    scale = first if profile is None else profile.scale(first)  # type: ignore[arg-type]
    as_name("name", name)
    interval = _checked_interval(network, reset_interval, as_flag("stock", stock))
    check_network(network)
    if stock:
        check_stock(network, thresholds_for(network, scale, 1, 1))
    import_lava()
    from aspen_emulator.engines.lava.program.network import DialNetwork, StockNetwork

    made = (
        StockNetwork(network, scale, profile, name) if stock else DialNetwork(network, scale, profile, interval, name)
    )
    if profile is not None:
        made.knob = profile.low if knob is None else knob
    return made


def _checked_interval(network: Network, interval: int, stock: bool) -> int:
    least = longest_delay(network) + 1
    checked = as_integer("reset_interval", interval, 0)
    if checked and (stock or checked < least):
        allowed = "none with stock=True" if stock else f"0, or {least} steps and more"
        raise InputError(f"reset_interval: found {checked}, allowed is {allowed}; call run_sample for each sample")
    return checked
