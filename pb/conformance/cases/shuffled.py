"""Random interleavings against a model: what the peer holds of ours, and we of its, is known at every moment.

The seed is in the name of the case, so a failure can be had again. Spec: spec/4-references.md.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from .. import values
from ..case import Group
from ..peer import ANSWERED, CALL, RELEASE, Peer, Unmet, shown

GROUP = Group("shuffled")
STEPS = 120


class Model:
    """What is going on, as it must be."""

    def __init__(self, peer: Peer, seed: int) -> None:
        self.peer = peer
        self.random = random.Random(seed)
        self.sent: Counter[int] = Counter()  # occurrences of each object of ours
        self.held: Counter[int] = Counter()  # occurrences of each object of the peer's, not released
        self.open: dict[int, tuple[str, object]] = {}  # calls without an answer
        self.backs: list[list[object]] = []  # calls of the peer that we have not answered

    def our_ref(self) -> object:
        """Return one of a few objects of ours, counted."""
        id = self.random.randint(1, 5)
        self.sent[id] += 1
        return values.ref(id)

    def step(self) -> None:
        """Do one thing, and take what has come."""
        roll = self.random.random()
        peer = self.peer
        if roll < 0.25:
            self.open[peer.call(0, "echo", [self.our_ref(), self.our_ref()])] = ("echo", None)
        elif roll < 0.4:
            self.open[peer.call(0, "keep", self.our_ref())] = ("nil", None)
        elif roll < 0.5:
            self.open[peer.call(0, "call", self.our_ref(), "hear", [])] = ("heard", None)
        elif roll < 0.65:
            self.open[peer.call(0, "make")] = ("make", None)
        elif roll < 0.75 and self.held:
            id = self.random.choice(list(self.held))
            self.open[peer.call(id, "ping")] = ("pong", None)
        elif roll < 0.85 and self.held:
            id = self.random.choice(list(self.held))
            self.open[peer.call(0, "echo", [values.home(id)])] = ("its", id)
        elif self.held:
            id = self.random.choice(list(self.held))
            count = self.random.randint(1, self.held[id])
            if not any(kind in ("pong", "its") for kind, _ in self.open.values()):
                peer.send(RELEASE, [id, count])
                self.held[id] -= count
                if not self.held[id]:
                    del self.held[id]
        if self.backs and self.random.random() < 0.5:
            back = self.backs.pop(self.random.randrange(len(self.backs)))
            peer.send(ANSWERED, back[1], values.pack("heard"))
        if self.random.random() < 0.3:
            for envelope in peer.fence():
                self.take(envelope)

    def take(self, envelope: list[object]) -> None:
        """Check one message of the peer's."""
        if envelope[0] == CALL:
            self.backs.append(envelope)
            return
        call = envelope[1]
        if envelope[0] != ANSWERED or not isinstance(call, int) or call not in self.open:
            raise Unmet(f"{shown(envelope)} came; expected answers and callbacks only")
        kind, about = self.open.pop(call)
        value = values.unpack(envelope[2])  # type: ignore[arg-type]
        if kind == "make":
            self.held[self.peer.object_of(value)] += 1
        elif kind == "its":
            id = self.peer.object_of(value[0])
            if id != about:
                raise Unmet(f"its object {about}, sent home and back, came as {id}")
            self.held[id] += 1
        elif kind == "pong" and value != "pong":
            raise Unmet(f"ping() returned {value!r}")
        elif kind == "echo" and any(values.number_of(one, values.HOME) is None for one in value):
            raise Unmet(f"our objects, echoed, came as {value!r}")

    def finish(self) -> None:
        """Answer and release everything; then nothing may be left on either side."""
        while self.open or self.backs:
            for back in self.backs:
                self.peer.send(ANSWERED, back[1], values.pack("heard"))
            self.backs.clear()
            self.take(self.peer.read())
        if self.held:
            self.peer.send(RELEASE, [part for pair in self.held.items() for part in pair])
        self.peer.released_all(dict(self.sent))


def interleaving(seed: int) -> Callable[[Peer], None]:
    """Return the case of a seed."""

    def run(peer: Peer) -> None:
        before = peer.ask(0, "count")
        model = Model(peer, seed)
        peer.new_id()
        for _ in range(STEPS):
            model.step()
        model.finish()
        after = peer.ask(0, "count")
        if after != before:
            raise Unmet(f"count() was {before} and is {after} when everything is given back")

    return run


for _seed in range(1, 6):
    GROUP.case(
        f"calls, callbacks and releases in random order leave nothing behind (seed {_seed})",
        "PB-R1",
        "PB-R2",
        "PB-R3",
    )(interleaving(_seed))
