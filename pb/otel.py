"""OpenTelemetry: a span for each call, on both sides, in one trace. Needs the extra `[otel]`.

    async with pb.open_connection(url, hooks=pb.otel.Tracing()) as connection: ...

Attributes are those of the semantic conventions for RPC. Spans hold no arguments, results or texts of errors.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from typing import Any, Final

from .hooks import CallEvent, Hooks
from .tracing import Trace

__all__ = ["Tracing"]

SYSTEM: Final = "perspective_broker"
_OK: Final = frozenset({"answered", "sent"})


class Tracing(Hooks):
    """Make a CLIENT span of each call that is made, and a SERVER span of each that is served.

    What a method calls, over whatever connection with such hooks, is a child of its span; so are spans that
    its own code begins, for the span is the current one while it runs.

    Args:
        provider: gives the tracer; None for the one that OpenTelemetry was set up with.

    Raises:
        ImportError: OpenTelemetry is not installed; the text says how to.
    """

    def __init__(self, provider: Any = None) -> None:
        try:
            self._trace: Any = importlib.import_module("opentelemetry.trace")
            self._state: Any = importlib.import_module("opentelemetry.trace.span")
        except ImportError as error:
            raise ImportError(
                "pb.otel needs OpenTelemetry: pip install 'perspective-broker[otel]'"
            ) from error
        self._context: Any = importlib.import_module("opentelemetry.context")
        self._tracer = self._trace.get_tracer("pb", tracer_provider=provider)
        self._spans: dict[CallEvent, Any] = {}

    def call_started(self, call: CallEvent) -> None:
        """Begin a span, and let it be the parent of what the other side does."""
        is_caller = call.side == "caller"
        # A span that is current here is the closer one: at the callee nothing is, and the caller's counts.
        current = self._trace.get_current_span().get_span_context()
        context = None if is_caller and current.is_valid else self._context_of(call.trace)
        method = f"{call.type}/{call.method}" if call.type else call.method
        attributes: dict[str, Any] = {"rpc.system": SYSTEM, "rpc.method": call.method}
        identity, service, perspective = call.names
        if service or call.type:
            attributes["rpc.service"] = service or call.type
        for name, value in (("enduser.id", identity), ("pb.perspective", perspective)):
            if value:
                attributes[name] = value
        attributes["network.peer.address"] = str(getattr(call.connection, "peer", call.connection))
        kind = self._trace.SpanKind.CLIENT if is_caller else self._trace.SpanKind.SERVER
        span = self._tracer.start_span(method, context=context, kind=kind, attributes=attributes)
        self._spans[call] = span
        of = span.get_span_context()
        if of.is_valid:
            parent = f"00-{of.trace_id:032x}-{of.span_id:016x}-{of.trace_flags:02x}"
            call.trace = Trace(parent, of.trace_state.to_header())

    def around(self, call: CallEvent) -> AbstractContextManager[Any]:
        """Make the span the current one while the method runs."""
        return _Current(self._context, self._trace.set_span_in_context(self._spans[call]))

    def call_ended(self, call: CallEvent) -> None:
        """End the span."""
        span = self._spans.pop(call)
        span.set_attribute("pb.outcome", call.outcome)
        for name, size in (("request", "bytes_in"), ("response", "bytes_out")):
            other = "bytes_out" if size == "bytes_in" else "bytes_in"
            span.set_attribute(f"rpc.{name}.size", getattr(call, size if call.side == "callee" else other))
        if call.outcome not in _OK:
            span.set_attribute("error.type", call.error_type or call.outcome)
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR))
        if call.incident:
            span.set_attribute("pb.incident", call.incident)
        span.end()

    def _context_of(self, trace: Trace | None) -> Any:
        """Return the context that a trace stands for; an empty one, in which a span is a root, for none."""
        context = self._context.Context()
        if trace is None:
            return context
        parent = self._state.SpanContext(
            int(trace.trace_id, 16),
            int(trace.parent_id, 16),
            is_remote=True,
            trace_flags=self._state.TraceFlags(int(trace.traceparent[53:55], 16)),
            trace_state=self._state.TraceState.from_header([trace.tracestate]),
        )
        return self._trace.set_span_in_context(self._state.NonRecordingSpan(parent), context)


class _Current:
    """A span that is the current one; what happens meanwhile does not end it."""

    __slots__ = ("_context", "_token", "_within")

    def __init__(self, context: Any, within: Any) -> None:
        self._context = context
        self._within = within

    def __enter__(self) -> None:
        self._token = self._context.attach(self._within)

    def __exit__(self, *exc: object) -> None:
        self._context.detach(self._token)
