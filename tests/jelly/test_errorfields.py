"""The attributes of exceptions: what is declared crosses, and of nothing else it is thought that it did."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar

import pytest
from msgpack import packb, unpackb

from jelly import Decoder, Encoder, Registry, visible_to
from jelly._losses import Losses

from .things import Plain, make_registry


class JobFailed(Exception):
    limit: ClassVar[int] = 3
    job: str
    step: int = 1
    _seen: bool

    def __init__(self, job: str, step: int) -> None:
        super().__init__(f"{job} failed at {step}")
        self.job, self.step = job, step
        self._seen = True


class Retried(JobFailed):
    times: int


def crossing(cls: type, name: str = "jobs.Failed", **options: Any) -> tuple[Encoder, Decoder, list[str]]:
    """Return the two ends for an error class, and what the sender is told."""
    registry, told = make_registry(), list[str]()
    registry.add(cls, name, **options)
    return Encoder(registry, losses=Losses(lambda text, error: told.append(text))), Decoder(registry), told


def test_annotated_attributes_of_an_error_arrive() -> None:
    """As with a copyable; its __init__ does not run, and what it says is private stays at home in silence."""
    encoder, decoder, told = crossing(JobFailed)
    payload = encoder.dumps_error(JobFailed("tea", 2))
    assert payload is not None

    arrived: Any = decoder.loads_error(payload)

    assert {"args": ["tea failed at 2"], "job": "tea", "step": 2} == unpackb(payload)["data"]
    assert (JobFailed, "tea", 2, "tea failed at 2") == (
        type(arrived),
        arrived.job,
        arrived.step,
        str(arrived),
    )
    assert {"job": "tea", "step": 2} == vars(arrived)
    assert [] == told


def test_what_the_bases_annotate_arrives_too() -> None:
    """Also where the attributes were never given a value: they have none at the receiver either."""
    encoder, decoder, told = crossing(Retried)
    error = Retried("tea", 2)
    error.times = 4
    without = Retried("tea", 3)
    del without.job

    whole, part = decoder.loads(encoder.dumps([error, without]))

    assert {"job": "tea", "step": 2, "times": 4} == vars(whole)
    assert {"step": 3} == vars(part)
    assert [] == told


def test_what_older_peers_send_of_an_annotated_class_is_still_that_class() -> None:
    """They knew of args only; a dataclass, which has always sent its fields, is refused without one."""
    _, decoder, _ = crossing(JobFailed)

    arrived: Any = decoder.loads_error(packb({"type": "jobs.Failed", "msg": "m", "data": {"args": ["m"]}}))

    assert (JobFailed, ("m",), 1, {}) == (type(arrived), arrived.args, arrived.step, vars(arrived))


def test_a_receiver_that_annotates_less_takes_what_it_knows() -> None:
    """The rest is ignored, whatever it is called."""
    encoder, _, _ = crossing(JobFailed)
    payload = encoder.dumps_error(JobFailed("tea", 2))
    assert payload is not None
    fewer = type("JobFailed", (Exception,), {"__annotations__": {"step": int}})

    arrived: Any = crossing(fewer)[1].loads_error(payload)

    assert {"step": 2} == vars(arrived)


class Odd(OSError):
    args: tuple[Any, ...]
    errno: int | None
    where: str
    shown: str
    limit: int

    def __init__(self, where: str) -> None:
        super().__init__(5, "broken", where)
        self.where = where

    @property
    def shown(self) -> str:  # type: ignore[no-redef]
        return f"{self.where}!"


def test_annotations_of_what_python_keeps_or_a_property_computes_name_no_field() -> None:
    """The args make errno again, also where the class has an __init__ of its own, which does not run."""
    encoder, decoder, told = crossing(Odd)
    payload = encoder.dumps_error(Odd("cellar"))
    assert payload is not None

    arrived: Any = decoder.loads_error(payload)

    assert {"args": [5, "broken", "cellar"], "where": "cellar"} == unpackb(payload)["data"]
    assert (5, "broken", "cellar", "cellar!") == (
        arrived.errno, arrived.strerror, arrived.filename, arrived.shown
    )  # fmt: skip
    assert "[Errno 5] broken: 'cellar'" == str(arrived)
    assert [] == told


class Bare(Exception):
    pass


class Slotted(Exception):
    __slots__ = ("place", "spare")


@dataclasses.dataclass
class Declared(Exception):
    code: int


def with_(error: Exception, **attributes: object) -> Exception:
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (with_(Bare(), job="tea", step=2), "job, step"),
        (with_(Bare(), _job="tea"), "_job"),
        (with_(JobFailed("a", 1), why="x"), "why"),
        (with_(Declared(1), why="x"), "why"),
        (with_(Slotted(), place="x"), "place"),
        (with_(Bare(), **{f"n{each}": 0 for each in range(9)}), "n0, n1, n2, n3, n4, n5, n6, n7 and 1 more"),
        (with_(Bare(), **{"a\x1b": 0}), "a\\x1b"),
    ],
    ids=["attributes", "private", "beside annotations", "of a dataclass", "slot", "many", "odd"],
)
def test_attributes_that_are_lost_are_told_once_a_class(error: Exception, lost: str) -> None:
    """The error must reach its caller all the same; whoever wrote the class hears what to do."""
    encoder, decoder, told = crossing(type(error))
    for _ in range(2):
        payload = encoder.dumps_error(error)
        assert payload is not None
        assert type(error) is type(decoder.loads_error(payload))
    decoder.loads(encoder.dumps([error]))

    (text,) = told
    assert text.startswith(f"{type(error).__qualname__} errors arrive without their attributes: {lost}. Only")
    assert f"({lost.partition(',')[0].lstrip('_')}: ...)" in text
    assert "fields=[...]" in text


@pytest.mark.parametrize("fields", [[], ["job"]], ids=["none", "some"])
def test_who_names_the_fields_knows_that_the_rest_stays(fields: list[str]) -> None:
    """Nobody wants to read about what he has decided."""
    encoder, _, told = crossing(Bare, fields=fields)
    encoder.dumps_error(with_(Bare(), job="tea", why="x"))

    assert [] == told


def test_notes_are_told_of_their_own_way_and_are_no_loss() -> None:
    """Python keeps them in an attribute."""
    encoder, _, told = crossing(Bare)
    error = Bare()
    error.add_note("hot")

    encoder.dumps_error(error)

    assert [] == told


def test_a_class_says_what_stays_with_it() -> None:
    """As those of a protocol do, for what they note in passing; also for classes derived from them."""
    base = type("Base", (Exception,), {"_stays_here": {"own"}, "__annotations__": {"own": int, "code": int}})
    encoder, _, told = crossing(type("Derived", (base,), {}))
    payload = encoder.dumps_error(with_(encoder_error(encoder), own=1, code=2))
    assert payload is not None

    assert {"args": [], "code": 2} == unpackb(payload)["data"]
    assert [] == told


def encoder_error(encoder: Encoder) -> Exception:
    """Return an error of the class that was registered last."""
    made: Exception = list(encoder.plans)[-1]()
    return made


def test_the_attributes_of_a_cause_are_not_lost_in_silence_either() -> None:
    """It is sent with the error that it caused."""
    encoder, _, told = crossing(Bare)
    error = ValueError("x")
    error.__cause__ = with_(Bare(), job="tea")

    encoder.dumps_error(error)

    assert 1 == len(told)


def test_args_that_are_lost_are_told() -> None:
    """Objects in them, or more text than an error may have: the text of the error is what arrives."""
    encoder, decoder, told = crossing(Bare)
    for args in (("why", Plain()), ("x" * 5000,), ("why", Plain())):
        payload = encoder.dumps_error(Bare(*args))
        assert payload is not None
        assert (args[0][:4096],) == decoder.loads_error(payload).args

    assert [
        "Bare errors arrive without their args, which hold more than short plain values; "
        "the text stands for them"
    ] == told


def test_a_field_that_cannot_be_sent_costs_the_fields_and_not_the_error() -> None:
    """A caller can still catch it by its class, where its fields were only annotated."""
    encoder, decoder, told = crossing(JobFailed)
    payload = encoder.dumps_error(JobFailed(Plain(), 2))  # type: ignore[arg-type]
    assert payload is not None
    arrived: Any = decoder.loads_error(payload)

    assert (JobFailed, {}) == (type(arrived), vars(arrived))
    (text,) = told
    assert text.startswith("JobFailed errors arrive without their data: .job is a Plain")


def test_a_whole_error_that_cannot_be_had_is_told() -> None:
    """As where a field that was named is not there."""
    encoder, _, told = crossing(Bare, fields=["job"])
    payload = encoder.dumps_error(Bare("why"))
    assert payload is not None

    assert {"args": ["why"]} == unpackb(payload)["data"]
    assert ["Bare errors arrive without their data: it is a Bare without 'job'"] == told


class Stateful(Exception):
    def __init__(self, job: str = "") -> None:
        self.job = job

    def get_state_to_copy(self) -> object:
        return {"job": self.job}

    def set_copyable_state(self, state: Any) -> None:
        self.job = state["job"]


def test_a_class_that_makes_its_state_itself_knows_what_it_does() -> None:
    """Nothing is said of it; and where its state cannot be sent, it goes without."""
    encoder, decoder, told = crossing(Stateful)
    payload = encoder.dumps_error(Stateful("tea"))
    assert payload is not None
    arrived: Any = decoder.loads_error(payload)
    assert ("tea", []) == (arrived.job, told)

    bare = encoder.dumps_error(Stateful(Plain()))  # type: ignore[arg-type]
    assert bare is not None
    assert "data" not in unpackb(bare)
    assert 1 == len(told)


class Unannotated(Exception):
    def __init__(self, job: str, step: int, *rest: object, why: str = "") -> None:
        super().__init__(job, step, *rest)
        self.job = job
        self.why = why


class Passed(Exception):
    def __init__(self, job: str) -> None:
        super().__init__(f"no {job}")


def test_whoever_registers_an_error_with_attributes_is_told_at_once() -> None:
    """In his own line, before anything is lost; what __init__ only passes on is in the args."""
    registry = Registry()
    with pytest.warns(UserWarning, match="Unannotated errors will arrive .* attributes: job, why. ") as added:
        registry.add(Unannotated, "a.A")
    with pytest.warns(UserWarning, match="attributes: job, why. ") as decorated:
        Registry().copyable("a.A")(Unannotated)

    assert [__file__, __file__] == [each[0].filename for each in (added, decorated)]
    registry.add(Passed, "a.B")
    for number, cls in enumerate((JobFailed, Odd, Stateful, Bare, KeyError)):
        registry.add(cls, f"a.C{number}")
    Registry().add(Unannotated, "a.A", fields=["job"])
    assert Unannotated in registry


def test_a_rule_at_a_field_of_an_error_is_still_refused() -> None:
    """Errors are for whoever called: nobody has found out who that is when one is made."""
    cls = type("Paid", (Exception,), {"__annotations__": {"pay": Annotated[int, visible_to("hr")]}})

    with pytest.raises(TypeError, match="rules are not for errors"):
        Registry().add(cls, "a.Paid")


def test_a_field_of_an_error_that_was_declared_is_missed() -> None:
    """What is only annotated is not; see above."""
    _, decoder, _ = crossing(Declared)
    data = packb({"type": "jobs.Failed", "msg": "m", "bases": ["py.Exception"], "data": {"args": []}})

    assert Exception is type(decoder.loads_error(data))
