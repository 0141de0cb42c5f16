"""Which trace a run has: derived from its environment and its id, so every process that works on it finds the same one.

A deployed job runs each task in a process of its own, and a run that is continued has several; all of them are one trace.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """The ids of a run's trace and of the span of its job, as OpenTelemetry has them: 128 and 64 bits, none zero."""

    trace_id: int
    span_id: int


def identity_of(environment: str, run_id: str) -> RunIdentity:
    """Return the ids for a run of an environment."""
    digest = hashlib.sha256(f"{environment} {run_id}".encode()).digest()
    return RunIdentity(
        trace_id=int.from_bytes(digest[:16], "big") or 1, span_id=int.from_bytes(digest[16:24], "big") or 1
    )


def as_text(trace_id: int) -> str:
    """Return a trace's id as people and tools write it: 32 digits of base 16."""
    return f"{trace_id:032x}"


def with_trace(sentence: str, trace_id: str | None) -> str:
    """Return what is said of a run with the id of its trace, if it has one."""
    return f"{sentence} (trace {trace_id})" if trace_id else sentence
