"""Encoders and decoders of one registry, shared by all connections of a thread that use it.

A msgpack Packer holds a buffer and must not be entered twice; sharing it among the connections of one
thread keeps an idle connection small (tests/bench, "idle connection").
"""

from __future__ import annotations

import weakref
from types import FunctionType
from typing import Any

import msgpack

import jelly
from jelly._losses import Losses
from jelly.visibility import Unknown

from ..errors import RemoteError, build_registry
from ..limits import Limits
from ..logfields import log_loss

# What a message takes besides its payload: codes and ids, a method name of 128 bytes, small options.
_ENVELOPE_BYTES = 512
_ENCODERS = 64  # different limits of peers that are remembered


def _check_names(registry: jelly.Registry) -> None:
    for name in registry.snapshot():
        if name.startswith("pb."):
            raise ValueError(
                f"{name!r} is registered; names that begin with pb. are those of the protocol itself, so that"
                " nobody takes an application's error for one of its: choose another beginning"
            )


class Codec:
    """What converts values for connections of one registry. Not for more than one thread.

    Args:
        registry: the classes that may cross, besides the errors of the protocol; None for none.

    Raises:
        ValueError: a name in it is one that the protocol keeps for itself (E11).

    Attributes:
        described: what is told of methods, in the names of this registry, by whether an actor comes first;
            as long as there is such a method.
    """

    def __init__(self, registry: jelly.Registry | None) -> None:
        self._sending = build_registry(with_base=True)
        self._receiving = build_registry(with_base=False)
        if registry is not None:
            _check_names(registry)
            self._sending.include(registry)
            self._receiving.include(registry)
        self._losses = Losses(log_loss)
        self._encoders: dict[tuple[jelly.Limits, Unknown | None], jelly.Encoder] = {}
        self._decoders: dict[tuple[jelly.Limits, bool, bool], jelly.Decoder] = {}
        self.described: weakref.WeakKeyDictionary[FunctionType, dict[bool, dict[str, Any]]]
        self.described = weakref.WeakKeyDictionary()
        self.pack = msgpack.Packer(buf_size=16 * 1024).pack

    def encoder(self, limits: Limits, unknown: Unknown | None = None) -> jelly.Encoder:
        """Return the encoder for a peer of these limits.

        Args:
            unknown: as for `jelly.Encoder`.
        """
        encoder = self._encoders.get((limits, unknown))
        if encoder is None:
            if len(self._encoders) >= _ENCODERS:
                self._encoders.clear()
            encoder = self._encoders[limits, unknown] = jelly.Encoder(
                self._sending,
                limits,
                max_payload=limits.max_frame - _ENVELOPE_BYTES,
                losses=self._losses,
                unknown=unknown,
            )
        return encoder

    def decoder(self, limits: Limits, relay: bool = False, serves: bool = False) -> jelly.Decoder:
        """Return the decoder for what this side accepts.

        Args:
            relay, serves: as for `jelly.Decoder`.
        """
        decoder = self._decoders.get((limits, relay, serves))
        if decoder is None:
            decoder = self._decoders[limits, relay, serves] = jelly.Decoder(
                self._receiving, limits, relay=relay, remote_error=RemoteError, serves=serves
            )
        return decoder

    def relay_decoder(self, limits: Limits, serves: bool = False) -> jelly.Decoder:
        """Return the decoder for values that are passed on: unknown classes become `jelly.Relayed`."""
        return self.decoder(limits, relay=True, serves=serves)
