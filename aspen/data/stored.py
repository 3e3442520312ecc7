"""The encoder beside the network in an ``.aspen`` file, so that a deployed network takes raw values. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from aspen.data.encoder_values import encoder_from_dict
from aspen.data.encoders import StoredEncoder
from aspen.errors import FileFormatError, InputError
from aspen.network.files import NETWORK
from aspen.storage.file import AspenFile, Parts, Section


def save_encoder(encoder: StoredEncoder, path: str | Path) -> None:
    """Keep ``encoder``, fitted, in the ``.aspen`` file at ``path``, beside the network, in place of any other.

    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen.data import RateEncoder
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> network.save("net.aspen")
    >>> save_encoder(RateEncoder(steps=10), "net.aspen")
    >>> load_encoder("net.aspen").steps
    10

    Raises:
        InputError: it is none of ASPEN's encoders, it gives a current where the network in the file takes spikes or the
            other way round, or there is no such file.
        FileFormatError: the file is damaged.
    """
    AspenFile.update(path, lambda file: file.put(ENCODER, encoder))


def find_encoder(path: str | Path | AspenFile) -> StoredEncoder | None:
    """The encoder in the ``.aspen`` file at ``path``, or None where it has none; as :func:`load_encoder`.

    >>> from aspen import Dense, Lif, Network, Population
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> network.save("net.aspen")
    >>> find_encoder("net.aspen") is None
    True
    """
    return AspenFile.of(path).find(ENCODER)


def load_encoder(path: str | Path | AspenFile) -> StoredEncoder:
    """The encoder in the ``.aspen`` file at ``path``, checked against the network beside it.

    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen.data import RateEncoder
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> network.save("net.aspen")
    >>> save_encoder(RateEncoder(steps=10), "net.aspen")
    >>> load_encoder("net.aspen").steps
    10

    Raises:
        InputError: there is no such file, or it has no encoder.
        FileFormatError: the file is damaged, or the encoder malformed.
    """
    return AspenFile.of(path).read(ENCODER)


def _decode(file: AspenFile) -> StoredEncoder:
    header, tensors = file.parts("encoder")
    try:
        if tensors:
            raise FileFormatError(f"encoder: found {len(tensors)} tensors, allowed are none")
        encoder = encoder_from_dict(header)
        _check_kind(encoder, file)
    except (FileFormatError, InputError) as error:
        raise FileFormatError(f"{file.path}: the encoder is malformed ({error}); save it again") from error
    return encoder


def _encode(encoder: StoredEncoder, file: AspenFile) -> Parts:
    if not isinstance(encoder, StoredEncoder):
        raise InputError(
            f"encoder: found {type(encoder).__name__}, allowed are those of aspen.data, whose settings a file can hold"
        )
    _check_kind(encoder, file)
    return encoder.to_dict(), {}


def _absent(file: AspenFile, name: str) -> InputError:
    return InputError(
        f"{file.path}: found no encoder, allowed is a file with one; use aspen.data.save_encoder, or give spikes"
    )


def _check_kind(encoder: StoredEncoder, file: AspenFile) -> None:
    wanted = "current" if file.read(NETWORK).input.current else "spikes"
    if encoder.gives != wanted:
        raise InputError(
            f"encoder: found {encoder.kind}, which gives {encoder.gives}, the network takes {wanted}; use the encoder "
            f"that the network was trained with"
        )


ENCODER = Section[StoredEncoder]("encoder", _decode, _encode, _absent)
"""What makes spikes, or a current, of the raw values that the network beside it was trained on."""
