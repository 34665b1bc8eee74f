"""Random values around caches: the same shape arrives, and both sides count alike; or nothing is sent."""

from __future__ import annotations

import random

import pytest

from jelly import Unjellyable

from ..sizes import exhaustive, sized
from .test_caches import DECODER, ENCODER, Cache, Holder, Owner
from .things import Node, Thing


def test_a_list_that_holds_itself_and_a_copy_of_the_same_ring_arrives_whole():
    """What waits for its place in the list is not forgotten over what waits in the copy."""
    items = []
    items += [items, Node("n", items)]
    made = DECODER.loads(ENCODER.dumps(items, Owner()), Holder())

    assert made[0] is made
    assert made[1].links is made


def some(rng, depth, caches, containers):
    """Return a random value around some caches, with sharing and cycles."""
    roll = rng.random()
    if roll < 0.25:
        return rng.choice(caches)
    if roll < 0.35 and containers:
        return rng.choice(containers)
    if depth > 3 or roll < 0.5:
        return rng.randrange(9)

    def inner():
        return some(rng, depth + 1, caches, containers)

    if roll < 0.7:
        made = []
        containers.append(made)
        made += [inner() for _ in range(rng.randrange(4))]
        return made
    if roll < 0.8:
        made = {}
        containers.append(made)
        made.update({key: inner() for key in "ab"[: rng.randrange(3)]})
        return made
    if roll < 0.86:
        return (inner(), inner())
    if roll < 0.9:
        return {rng.choice(caches): inner()}
    if roll < 0.94:
        return {rng.choice(caches), 1}
    if roll < 0.965:
        return Thing()
    if roll < 0.97:
        return object()
    return Node("n", inner())


def shape(value, seen, known):
    """Return a value as plain data in which identity is a number.

    Args:
        known: numbers of the caches that earlier payloads brought.
    """
    if type(value) in (int, str):
        return value
    if (type(value) is tuple and value[:1] == ("ref",)) or type(value) is Thing:
        return "ref"
    if isinstance(value, Cache) and id(value) in known:
        return ("known", known[id(value)])
    if id(value) in seen and not (type(value) is tuple and not value):
        return ("again", seen[id(value)])
    seen[id(value)] = len(seen)
    if isinstance(value, Cache):
        state = value.state if "state" in vars(value) else vars(value)
        return ("cache", [(key, shape(state[key], seen, known)) for key in sorted(state)])
    if type(value) in (list, tuple):
        return (type(value).__name__, [shape(each, seen, known) for each in value])
    if type(value) is dict:
        return ("dict", [(shape(key, seen, known), shape(item, seen, known)) for key, item in value.items()])
    if type(value) is set:
        rest = sorted((each for each in value if type(each) is int), key=repr)
        return ("set", rest, [shape(each, seen, known) for each in value if type(each) is not int])
    return ("node", value.name, shape(value.links, seen, known))


@pytest.mark.unmeasured
@exhaustive
@pytest.mark.parametrize("block", range(sized(4, 40)))
def test_whatever_holds_caches_arrives_with_its_identities_and_counts(block):
    """Random values: the same shape on the other side, the same counts; or refused, and nothing counted."""
    sent = refused = 0
    for seed in range(block * 200, block * 200 + 200):
        rng = random.Random(seed)
        owner, holder = Owner(), Holder()
        caches = [Cache(name=str(number)) for number in range(3)]
        containers = []
        for cache in caches:
            cache.state["x"] = some(rng, 0, caches, containers)
        for _ in range(3):
            value = [some(rng, 0, caches, containers) for _ in range(2)]
            before = owner.counts
            given = {id(row[0]): number for number, row in owner.rows.items()}
            try:
                payload = ENCODER.dumps(value, owner)
            except Unjellyable:
                refused += 1
                assert before == owner.counts, seed
                continue
            held = {id(replica): number for number, replica in holder.held.items()}
            made = DECODER.loads(payload, holder)
            sent += 1
            assert owner.counts == holder.counts, seed
            assert shape(value, {}, given) == shape(made, {}, held), seed

    assert sent > 4 * refused > 0
