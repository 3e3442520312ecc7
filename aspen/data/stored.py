"""The encoder beside the network in an ``.aspen`` file, so that a deployed network takes raw values. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from aspen.data.encoder_values import encoder_from_dict
from aspen.data.encoders import StoredEncoder
from aspen.errors import FileFormatError, InputError
from aspen.network.files import NETWORK_SECTION, network_from_section
from aspen.storage.container import Container, read_container, update_container

SECTION = "encoder"


def save_encoder(encoder: StoredEncoder, path: str | Path) -> None:
    """Keep ``encoder``, fitted, in the ``.aspen`` file at ``path``, beside the network, in place of any other.

    Raises:
        InputError: it is none of ASPEN's encoders, it gives a current where the network in the file takes spikes or the
            other way round, or there is no such file.
        FileFormatError: the file is damaged.
    """
    update_container(path, lambda container: put_encoder(encoder, container))


def put_encoder(encoder: StoredEncoder, container: Container) -> None:
    """Put ``encoder`` beside the network in ``container``; see :func:`save_encoder`."""
    if not isinstance(encoder, StoredEncoder):
        raise InputError(
            f"encoder: found {type(encoder).__name__}, allowed are those of aspen.data, whose settings a file can hold"
        )
    _check_kind(encoder, container)
    container.put(SECTION, encoder.to_dict(), {})


def find_encoder(path: str | Path) -> StoredEncoder | None:
    """The encoder in the ``.aspen`` file at ``path``, or None where it has none; as :func:`load_encoder`."""
    container = read_container(path)
    return _from_container(container, path) if SECTION in container.headers else None


def load_encoder(path: str | Path) -> StoredEncoder:
    """The encoder in the ``.aspen`` file at ``path``, checked against the network beside it.

    Raises:
        InputError: there is no such file, or it has no encoder.
        FileFormatError: the file is damaged, or the encoder malformed.
    """
    encoder = find_encoder(path)
    if encoder is None:
        raise InputError(
            f"{path}: found no encoder, allowed is a file with one; use aspen.data.save_encoder, or give spikes"
        )
    return encoder


def _from_container(container: Container, path: str | Path) -> StoredEncoder:
    header, tensors = container.get(SECTION)
    try:
        if tensors:
            raise FileFormatError(f"encoder: found {len(tensors)} tensors, allowed are none")
        encoder = encoder_from_dict(header)
        _check_kind(encoder, container)
    except (FileFormatError, InputError) as error:
        raise FileFormatError(f"{path}: the encoder is malformed ({error}); save it again") from error
    return encoder


def _check_kind(encoder: StoredEncoder, container: Container) -> None:
    network = network_from_section(*container.get(NETWORK_SECTION))
    wanted = "current" if network.input.current else "spikes"
    if encoder.gives != wanted:
        raise InputError(
            f"encoder: found {encoder.kind}, which gives {encoder.gives}, the network takes {wanted}; use the encoder "
            f"that the network was trained with"
        )
