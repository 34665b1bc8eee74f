"""What a client passes for an object of the server: told apart, and refused where only servers publish."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

import jelly
import pb
from pb import sync

from ..cached import left_over
from ..pump import STEPS, Pump


@dataclass(eq=False)
class Document(pb.Tracked):
    id: str = "d1"


@dataclass(eq=False)
class Taken(Document):
    pass


class Publishing(pb.Cacheable):
    """What a client has, of which the server makes replicas of another class."""

    def get_state_to_cache_and_observe_for(self, perspective, observer):
        return {"n": 1}

    def stopped_observing(self, perspective, observer):
        pass


class Following(pb.RemoteCache):
    n: int


REGISTRY = jelly.Registry()
REGISTRY.add(Document, "x.Document")
REGISTRY.add(Taken, "x.Taken", from_clients=True)


class Library(pb.Root):
    def __init__(self):
        self.document = Document()
        self.touched = []

    def remote_document(self):
        return self.document

    def remote_touch(self, *values):
        self.touched += [(type(value), pb.is_replica(value)) for value in values]


@STEPS
def test_an_object_that_a_client_made_is_no_object_of_the_server(step):
    """One class at both sides: else whoever is connected passes off his own, with whatever id he likes."""
    library = Library()
    pump = Pump(library, registry=REGISTRY, step=step)
    forged = Document("d1")
    with pytest.raises(pb.Unregistered, match=r"x\.Document.* is published by this side"):
        pump.call("touch", [forged, forged])
    replica = pump.call("document")
    pump.call("touch", replica, Taken("t"))

    assert [(Document, False), (Taken, True)] == library.touched
    assert (True, False, False) == (pb.is_replica(replica), pb.is_replica(forged), pb.is_replica("d1"))
    assert sync.is_replica(replica)
    del replica
    assert [] == left_over(pump)


def test_what_this_side_cannot_publish_is_taken():
    """A class of replicas only is there for nothing else."""
    client, server = jelly.Registry(), jelly.Registry()
    client.add(Publishing, "x.P")
    server.add(Following, "x.P")
    library = Library()
    Pump(library, registry=server, client_registry=client).call("touch", Publishing())

    assert [(Following, True)] == library.touched


def test_it_can_be_refused_for_a_class_of_replicas_too():
    """By whoever registers it."""
    client, server = jelly.Registry(), jelly.Registry()
    client.add(Publishing, "x.P")
    server.add(Following, "x.P", from_clients=False)
    with pytest.raises(pb.Unregistered, match="taken from no client"):
        Pump(Library(), registry=server, client_registry=client).call("touch", Publishing())


def test_only_caches_come_from_clients():
    """For a copy or an error it would mean nothing."""
    registry = jelly.Registry()
    for cls, what in ((dataclass(type("C", (), {})), "is no cache"), (ValueError, "is an error")):
        with pytest.raises(TypeError, match=f"{what}, which has no from_clients="):
            registry.add(cls, "x.C", from_clients=True)
