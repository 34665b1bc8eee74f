"""The loops are a fixture here too."""

from ..aio.loops import loop

__all__ = ["loop"]
