"""The vectors of the spec, both ways."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgpack import ExtType

from jelly import Cacheable, Decoder, Encoder, InsecureJelly, MalformedJelly, Registry, RemoteCache

from ..vectors import bytes_of

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"
VALUES: list[dict[str, Any]] = json.loads((VECTORS / "values.json").read_text())
REJECTS: list[dict[str, Any]] = json.loads((VECTORS / "reject-values.json").read_text())


class Point:
    x: int
    y: int


class Stock(Cacheable, RemoteCache):
    """Be read as a replica, and written as the original of one."""


class Echo:
    """Stand for a reference: read as one, and written as the same again."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts


class EchoTables:
    """Make an Echo of everything that is read, and write it back as it came."""

    perspective = None
    codes = {"reference": 1, "home": 2, "answer": 3, "stream": 5, "cached": 10}

    def __init__(self) -> None:
        self.caches: dict[int, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return lambda *args: Echo(name, *args)

    def cache(self, id: int, replica: Any) -> None:
        self.caches[id] = replica

    def cached(self, id: int) -> Any:
        return self.caches.get(id) or Echo("cached", id)

    def refer(self, value: Echo) -> ExtType:
        return self.ext(*value.parts[:2])

    def observe(self, value: Stock) -> tuple[ExtType, tuple[object]]:
        number = next(id for id, replica in self.caches.items() if replica is value)
        return self.ext("cached", number), (dict(vars(value)),)

    def count(self, ext: ExtType) -> None:
        pass

    def seal(self, exts: list[ExtType]) -> None:
        pass

    def ext(self, name: str, number: int) -> ExtType:
        size = next(size for size in (1, 2, 4, 8) if number < 1 << 8 * size)
        return ExtType(self.codes[name], number.to_bytes(size, "big"))


def make_registry() -> Registry:
    registry = Registry()
    registry.add(Point, "geo.Point")
    registry.add(Stock, "shop.Stock")
    return registry


def plain(value: Any) -> Any:
    """Return a value in the notation of the vectors, as far as it is compared."""
    match value:
        case bool() | None | str():
            return value
        case int():
            return {"$int": str(value)}
        case float():
            is_short = math.isfinite(value) and value != int(value)
            return value if is_short else {"$float": repr(value)}
        case bytes():
            return {"$bytes": value.hex()}
        case tuple():
            return {"$tuple": [simple(item) for item in value]}
        case set() | frozenset():
            return {f"${type(value).__name__}": sorted(simple(item) for item in value)}
        case dict() if not all(type(key) is str for key in value):
            return {"$map": [[simple(key), simple(item)] for key, item in value.items()]}
        case Decimal():
            return {"$decimal": str(value)}
        case UUID():
            return {"$uuid": str(value)}
        case complex():
            return {"$copy": ["py.complex", [plain(value.real), plain(value.imag)]]}
        case Point():
            return {"$copy": ["geo.Point", vars(value)]}
    return NotImplemented


def simple(value: Any) -> Any:
    return value if type(value) is int else plain(value)


def ids(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector["name"] for vector in vectors]


@pytest.mark.parametrize("vector", VALUES, ids=ids(VALUES))
def test_a_value_is_read_and_written_again_as_the_same_bytes(vector: dict[str, Any]) -> None:
    """Reading and writing agree with each other and with every other implementation."""
    registry = make_registry()
    tables = EchoTables()
    payload = bytes.fromhex(vector["hex"])

    value = Decoder(registry).loads(payload, tables)

    described = plain(value)
    if "NotImplemented" not in repr(described) and "$graph" not in repr(vector["value"]):
        assert vector["value"] == described
    if vector.get("decode_only"):
        return
    if isinstance(value, Echo) and value.parts[0] == "reference" and len(value.parts[-1] or ()):
        return  # metadata are not written by jelly itself
    encoder = Encoder(registry, by_reference=[Echo])
    assert vector["hex"] == encoder.dumps(value, tables).hex()


@pytest.mark.unmeasured
@pytest.mark.parametrize("vector", REJECTS, ids=ids(REJECTS))
def test_bad_bytes_are_refused(vector: dict[str, Any]) -> None:
    """What one implementation lets pass, another may trip over."""
    payload = bytes_of(vector)
    expected = vector.get("ours", vector["expect"])

    try:
        Decoder(make_registry()).loads(payload, EchoTables())
        outcome, kind = "accept", None
    except MalformedJelly:
        outcome, kind = "fatal", None
    except InsecureJelly as error:
        outcome, kind = "call", error.wire_type

    assert expected == outcome
    if outcome == "call":
        assert vector["type"] == kind


@pytest.mark.unmeasured
def test_the_vectors_hold_where_msgpack_has_no_c_part() -> None:
    """It nests on another stack there, and raises other errors (threats B16)."""
    code = (
        "import sys, msgpack, pytest; "
        "assert msgpack.Unpacker.__module__ == 'msgpack.fallback'; "
        "sys.exit(pytest.main(sys.argv[1:]))"
    )
    options = ("-q", "-p", "no:cacheprovider", __file__, "-k", "read_and_written or bad_bytes")
    done = subprocess.run(
        [sys.executable, "-c", code, *options],
        env={**os.environ, "MSGPACK_PUREPYTHON": "1"},
        cwd=VECTORS.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
