"""The loops and the places are fixtures of every test of the asyncio face."""

from .loops import loop, place

__all__ = ["loop", "place"]
