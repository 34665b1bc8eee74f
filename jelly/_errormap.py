"""The map an error travels as, both ways. spec/5-errors.md 5.1 and 5.2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ._errorargs import TAKEN_TEXTS, are_printable, trim_args
from ._errorplan import MAX_NOTES, ErrorPlan, args_of, cut, notes_of, text_of
from ._ext import STR_ONLY
from ._losses import unsent
from ._unfit import Unfit
from ._words import guard, printable
from .errors import InsecureJelly, MalformedJelly, RemoteError

if TYPE_CHECKING:
    from ._encoder import Encoder
    from ._reading import Reading
    from ._walk import Walk

# Causes can form a ring, and only the nearest few are read by anyone.
_MAX_CAUSES: Final = 8
_MAX_BASES: Final = 64


def bare_error(encoder: Encoder, error: BaseException) -> dict[str, Any]:
    """Return the map of an error without data and cause: nothing in it can fail to be packed."""
    most = encoder.limits.max_error_bytes
    plan = encoder.error_plan(error)
    notes = notes_of(error, most)
    if plan is not None:
        made: dict[str, Any] = {"type": plan.name, "msg": text_of(error, most)}
        bases = encoder.names_of_bases(type(error))
    elif isinstance(error, RemoteError):
        made = {
            "type": cut(error.remote_type, encoder.limits.max_name_bytes),
            "msg": cut(error.message, most),
        }
        bases = [cut(base, most) for base in error.bases]
        notes = [cut(note, most) for note in error.notes]
    else:
        assert isinstance(error, InsecureJelly)
        made = {"type": error.wire_type, "msg": text_of(error, most)}
        bases = []
    if bases:
        made["bases"] = bases
    if notes:
        made["notes"] = notes
    return made


def fit_error(
    walk: Walk, error: BaseException, level: int, causes: int = _MAX_CAUSES, *, is_whole: bool = True
) -> dict[str, Any]:
    """Return the map of an error, standing at this level, as the Packer is to be given it.

    Args:
        error: one that is_known_error() knows.
        is_whole: False for what is left where its data cannot be sent: of those the args, which can.

    Raises:
        Unfit: its data cannot be sent.
    """
    encoder = walk.encoder
    level = walk.go_down(level)
    made = bare_error(encoder, error)
    if "bases" in made or "notes" in made:
        walk.go_down(level)
    data = _data(walk, error, is_whole)
    if data is not None:
        made["data"] = walk.fit_hard(data, level)
    cause = _cause_to_tell(encoder, error)
    if cause is not None and causes:
        made["cause"] = fit_error(walk, cause, level, causes - 1, is_whole=is_whole)
    return made


def data_of(walk: Walk, error: BaseException, causes: int = _MAX_CAUSES) -> list[object]:
    """Return the data of an error and of its causes, for the survey."""
    found = [_data(walk, error)]
    cause = _cause_to_tell(walk.encoder, error)
    if cause is not None and causes:
        found += data_of(walk, cause, causes - 1)
    return found


def _cause_to_tell(encoder: Encoder, error: BaseException) -> BaseException | None:
    """Return the cause the peer may be told about.

    What another peer answered is told only as part of what that peer answered: a registered error that was
    raised `from` it is news of ours, and its cause is none of this peer's business.
    """
    cause = error.__cause__
    if cause is None or not encoder.is_known_error(cause):
        return None
    is_ours = encoder.error_plan(cause) is not None
    return cause if is_ours or isinstance(error, RemoteError) else None


def _data(walk: Walk, error: BaseException, is_whole: bool = True) -> Any:
    encoder = walk.encoder
    plan = encoder.error_plan(error)
    if plan is None:
        return error.data if is_whole and isinstance(error, RemoteError) else None
    if not plan.has_args:
        return walk.state_of(error, plan) if is_whole else None
    state: Any = walk.state_of(error, plan) if is_whole else {"args": args_of(error)}
    if trim_args(state, walk.limits.max_error_bytes):
        why = ", which hold more than short plain values; the text stands for them"
        encoder.losses.note(error, "args", why)
    if error.__dict__ or plan.fields.slots:
        names = plan.fields.left_behind(error)
        if names:
            encoder.losses.note(error, "attributes", unsent(names))
    return state or None


def why_unsent(why: Exception) -> str:
    """Say which part of the data of an error cannot be sent, and why."""
    if not isinstance(why, Unfit):
        return str(why)
    steps = why.steps[::-1]
    if steps and steps[0].startswith("['"):
        steps[0] = "." + steps[0][2:-2]
    return f"{''.join(steps)} {why.problem}" if steps else f"it {why.problem}"


def build_error(reading: Reading, content: dict[str, Any]) -> BaseException | None:
    """Make an exception of an error map. The map is malformed or an exception comes out."""
    kind, message = content.get("type"), content.get("msg")
    bases: Any = ()
    notes: Any = ()
    trace: Any = None
    cause: Any = None
    if len(content) > 2:
        bases, notes = content.get("bases", ()), content.get("notes", ())
        trace, cause = content.get("trace"), content.get("cause")
    if reading.violation is None:
        is_right = type(kind) is str and type(message) is str
        if len(content) > 2:
            is_right = (
                is_right
                and (type(bases) is list or "bases" not in content)
                and (type(notes) is list or "notes" not in content)
                and (type(trace) is str or "trace" not in content)
                and (type(cause) is dict or "cause" not in content)
                and STR_ONLY.issuperset(map(type, (*bases, *notes)))
            )
        if not is_right:
            raise MalformedJelly("an error map needs str type and msg; bases and notes are lists of str")
    reason = build_error(reading, cause) if type(cause) is dict else None
    if reading.violation is not None:
        return None
    assert type(kind) is str and type(message) is str
    if not 0 < len(kind if kind.isascii() else kind.encode()) <= reading.limits.max_name_bytes:
        reading.refuse(InsecureJelly("the type of an error is no name of 1 to 128 bytes"))
        return None
    most = reading.limits.max_error_bytes
    if len(message) > most >> 2:  # at most four bytes a letter
        message = cut(message, most)
    if notes:
        notes = [cut(note, most) for note in notes[:MAX_NOTES]]
    if trace:
        trace = cut(trace, most)
    data = content.get("data")
    plans = reading.decoder.plans
    # Filtered at C speed: most bases are not known, and there can be many errors in a payload.
    for name in filter(plans.__contains__, (kind, *bases[:_MAX_BASES])):
        plan = plans[name]
        if type(plan) is not ErrorPlan:
            continue
        try:
            error = plan.build(data, message)
            error.__cause__ = reason
            error.args = guard(error.args)
            if notes:
                error.__notes__ = [*map(printable, notes)]  # each begins a line of a traceback
        except Exception:  # its data do not fit; the next base, or RemoteError, can tell it still
            continue
        if not are_printable(error.args, TAKEN_TEXTS * most):
            reading.refuse(InsecureJelly("the args of an error hold more than short plain values"))
            return None
        if plan.finish is not None:
            reading.finish_later(plan.finish, error)
        return error
    made: RemoteError = reading.decoder.remote_error(
        kind, message, bases=bases[:_MAX_BASES], data=data, trace=trace, cause=reason, notes=notes
    )
    return made
