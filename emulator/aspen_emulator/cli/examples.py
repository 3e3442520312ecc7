"""Two or more examples of every command, as its help shows them; the tests run them."""

from __future__ import annotations

EXAMPLES = {
    "demo": ("aspen demo", "aspen demo --output runs/quick --seeds 1 --epochs 2 --no-lava"),
    "doctor": ("aspen doctor", "aspen doctor --json"),
    "help": ("aspen help", "aspen help sweep"),
    "train": (
        "aspen train --output dial.aspen",
        "aspen train --output net.aspen --recipe perturbed --epochs 10 --checkpoint net.ckpt",
        "aspen train --output mine.aspen --data my.npz --chip cortex-m4",
    ),
    "export": (
        "aspen export mymodels:make_net --sample spikes.npy --output own.aspen",
        "aspen export mymodels:make_net --sample spikes.npy --state-dict weights.pt --output own.nir",
    ),
    "encode": (
        "aspen encode net.aspen --values raw.npy --output spikes.npy",
        "aspen encode --data digits --part test --output spikes.npy --labels-output labels.npy",
        "aspen encode --encoder rate --values raw.npy --output rates.npy",
    ),
    "chips": ("aspen chips", "aspen chips cortex-m4", "aspen chips loihi1 --json"),
    "check": (
        "aspen check net.aspen --chip loihi2",
        "aspen check net.aspen --chip loihi1 --input spikes.npy --labels labels.npy",
    ),
    "compile": (
        "aspen compile net.aspen --chip loihi1",
        "aspen compile net.aspen --chip loihi2 --calibrate spikes.npy",
        "aspen compile dial.aspen --to c --output wearable",
    ),
    "run": (
        "aspen run net.aspen --input spikes.npy --output out.npy --knob 1.5",
        "aspen run dial.aspen --values raw.npy --output out.npy --chip cortex-m4 --dial --knob 0.3",
    ),
    "sweep": (
        "aspen sweep net.aspen --data digits --plot dial.png",
        "aspen sweep dial.aspen --data digits --dial --chip cortex-m4 --window-time 1s",
    ),
    "calibrate": (
        "aspen calibrate dial.aspen --data digits --dial --early --every 2,4",
        "aspen calibrate dial.aspen --data digits --dial --max-energy 850uJ",
        "aspen calibrate dial.aspen --stored --dial --battery 100mAh@3.7V --hours 2 --rate 1/s --gated",
    ),
    "stream": (
        "aspen stream dial.aspen --input long.npy --budget 0.3uJ/window --dynamic --plot stream.png",
        "aspen stream dial.aspen --data digits --battery 100mAh@3.7V --hours 3 --window-time 1s --log stream.csv",
    ),
    "report": (
        "aspen report net.aspen --data digits --chip loihi1 --chip truenorth --ann",
        "aspen report dial.aspen --data digits --dial --knob 0.3 --plot energy.png",
    ),
    "explore": (
        "aspen explore net.aspen --data digits",
        "aspen explore dial.aspen --data digits --dial --chip cortex-m4 --window-time 1s --output dial.html",
    ),
    "profile": (
        "aspen profile mymodels:make_net --input spikes.npy",
        "aspen profile mymodels:make_net --input spikes.npy --state-dict weights.pt --chip cortex-m4 --chip loihi1",
    ),
    "study": ("aspen study digits --energy --seeds 2", "aspen study digits --final --report study.md"),
}  # fmt: skip
"""Command -> lines as they are typed."""
