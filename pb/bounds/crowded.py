"""Crowded: somebody was not let in because of how many others are there, and may come again soon.

Spec: spec/9-login.md, PB-A51.
"""

from __future__ import annotations

from ..errors import Forbidden


class Crowded(Forbidden):
    """Nobody has done anything wrong; the peer is told by BYE 6, not 8."""
