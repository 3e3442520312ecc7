"""From a trained model to a file: exported, its dial folded, with the range of its input and what encodes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from aspen._base.brief import Brief
from aspen.data import Dataset, StoredEncoder
from aspen.data.stored import ENCODER
from aspen.dial.profile import DIAL, DialProfile
from aspen.exporting import export
from aspen.network.files import NETWORK
from aspen.network.idle import without_idle
from aspen.network.network import Network
from aspen.storage.file import AspenFile
from aspen.training.framed import form_for
from aspen.training.inputs import telling, validation_samples


@dataclass(frozen=True)
class Trained(Brief):
    """A network as it is deployed, with what belongs to it: what ``aspen.fit(model, data).export()`` makes.

    >>> from aspen.data import digits, load_encoder
    >>> from aspen.models import DenseNet
    >>> model, data = DenseNet((64, 32, 10)), digits(steps=5)  # and a training loop of your own
    >>> trained = Trained.of(model, data)
    >>> trained.network.hidden
    ['lif1']
    >>> trained.save("net.aspen")
    >>> load_encoder("net.aspen").encode(data.test.values[:2], seed=0).shape  # from values to input, without torch
    (5, 2, 64)

    Args:
        network: as it is with the knob at its first setting; of an analog input it knows the range.
        profile: the learned dial, whose accurate end the network is; ``None`` where none was learned.
        encoder: what turns values into the network's input; ``None`` where a file cannot hold it.
    """

    network: Network
    profile: DialProfile | None = None
    encoder: StoredEncoder | None = None

    @classmethod
    def of(
        cls,
        model: nn.Module,
        data: Dataset,
        profile: DialProfile | None = None,
        training: Mapping[str, object] | None = None,
    ) -> Trained:
        """Export a model that learned ``data``, in a training loop of your own or by :func:`aspen.fit`.

        Neurons that never matter, as pruning leaves some, are taken away, which the network's notes say.

        Args:
            model: the trained model; it stays as it is.
            data: what it was trained on: its encoder, the range of a current that it gives, and two validation samples,
                on which the model is tried.
            profile: the dial that was learned with it, as :func:`aspen.learn_dial` gives it.
            training: what else the network is to say of its training, under ``provenance["training"]``: plain values.

        Raises:
            ModelError: something in the model cannot be mapped, as in :func:`aspen.export`.
            InputError: the profile is of another model, or the validation data hold zeros alone.
        """
        like = next(model.parameters())
        sample = telling(validation_samples(data)[0])
        frames = torch.from_numpy(sample).to(like.device, like.dtype)
        form = form_for(model, frames)
        network = export(model, form.sample(frames), time_axis=form.sample_axis, arguments=form.arguments)
        if network.input.is_analog:
            network = network.with_input_peak(data.input_peak)
        if profile is not None:
            profile.check(network)
        network = without_idle(network)
        if profile is not None:
            network, profile = profile.kept(network).folded(network)
        said = {**network.provenance, "training": {"data": data.name, **_samples(data), **(training or {})}}
        encoder = data.encoder if isinstance(data.encoder, StoredEncoder) else None
        return cls(replace(network, provenance=said), profile, encoder)

    def file(self, path: str | Path) -> AspenFile:
        """A new ``.aspen`` file with all of it, not written yet: what else it is to hold can be put beside it first."""
        file = AspenFile.new(path)
        file.put(NETWORK, self.network)
        if self.profile is not None:
            file.put(DIAL, self.profile)
        if self.encoder is not None:
            file.put(ENCODER, self.encoder)
        return file

    def save(self, path: str | Path) -> None:
        """Write an ``.aspen`` file: the network with its dial and its encoder, all of it or nothing.

        Raises:
            UnwrittenError: it cannot be written.
        """
        self.file(path).save()


def _samples(data: Dataset) -> dict[str, object]:
    """What tells the samples from others, where the data set says it."""
    return {"samples": dict(data.provenance)} if data.provenance else {}
