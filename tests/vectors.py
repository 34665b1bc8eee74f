"""What tests of several packages know of the vectors in spec/vectors: how their bytes are written down."""

from __future__ import annotations

from typing import Any


def bytes_of(row: dict[str, Any]) -> bytes:
    """Return the bytes of a row: its `hex`, or what stands repeated in a long one."""
    if "hex" in row:
        return bytes.fromhex(row["hex"])
    unit, times = row["hex_repeat"]
    return bytes.fromhex(row.get("hex_head", "") + unit * times + row.get("hex_tail", ""))
