"""What an endpoint allows: how many requests wait, how long, how large they are."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one endpoint.

    Attributes
    ----------
    waiting
        Requests that may wait for the scorer; one more is answered 429.
    deadline_seconds
        A request that has waited so long is answered 503 and not scored: its client has given up or soon will.
    rows, body_bytes
        Of one request.
    rows_together
        Waiting requests are scored together up to so many rows.
    follow_seconds
        How often the alias is looked up.
    carry_seconds
        How often the journal is brought into the inference table.
    publish_seconds
        How often feature tables are looked at for what the online store lacks.
    keep_alive_seconds
        How long a connection may be idle: longer than those of load balancers and clients, which then close it, not this
        end while a request is on its way.
    shutdown_seconds
        How long requests that were accepted may take once the endpoint is told to stop.
    """

    waiting: int = 64
    deadline_seconds: float = 2.0
    rows: int = 1_000
    body_bytes: int = 8_000_000
    rows_together: int = 1_000
    follow_seconds: float = 1.0
    carry_seconds: float = 5.0
    publish_seconds: float = 10.0
    keep_alive_seconds: int = 75
    shutdown_seconds: int = 10
