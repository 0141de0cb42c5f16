"""Puts an endpoint together on this machine: store, versions, scorer, journal, server, and the threads that keep them current."""

import datetime as dt
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ml.spec.errors import sentence_of
from pipelines.declarations.use_case import UseCase
from pipelines.execution.context import Context
from pipelines.execution.provenance import git_commit
from pipelines.lakehouse.lakehouse import Lakehouse
from pipelines.lakehouse.registry.aliases import CHAMPION
from pipelines.online.local_postgres import local_postgres
from pipelines.scoring.kept_libraries import KeptLibraries
from pipelines.serving.answering import Answering
from pipelines.serving.application import Application
from pipelines.serving.journals import Journals
from pipelines.serving.limits import Limits
from pipelines.serving.online_upkeep import OnlineUpkeep
from pipelines.serving.rollout_keeping import opened_rollouts, rollout_facts
from pipelines.serving.scorer import Scorer
from pipelines.serving.server import EndpointError, listening_socket, run_server
from pipelines.serving.source import Registry
from pipelines.serving.versions import Followed
from pipelines.telemetry.run import traced_endpoint

TOKEN = "MLOPS_SERVE_TOKEN"  # noqa: S105 - the name of a variable
"""The environment variable with the token that requests must give; without it one is kept in a private file."""


@dataclass(frozen=True, kw_only=True)
class EndpointOptions:
    """What an endpoint is opened with.

    Attributes
    ----------
    until
        The present of the online store, for data of the past; None for the clock's.
    lag_limit_hours
        From how many hours on that the store is behind a feature table, it is said to be.
    """

    host: str = "127.0.0.1"
    port: int = 5001
    until: dt.datetime | None = None
    alias: str = CHAMPION
    lag_limit_hours: float = 1.0
    limits: Limits = field(default_factory=Limits)


def serve(lakehouse: Lakehouse, use_case: UseCase, options: EndpointOptions, say: Callable[[str], None]) -> None:
    """Answer requests until the process is told to stop; then answer what waits, and carry the journal over.

    Raises
    ------
    EndpointError
        If the port is taken or the environment has no folder.
    NotServedError
        If there is no version to begin with.
    """
    if lakehouse.folder is None:
        raise EndpointError(f"{lakehouse.engine} has endpoints of its own: its training job serves the champion.")
    folder = lakehouse.folder / "serving" / use_case.name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    token, kept = _token(folder)
    listening = listening_socket(options.host, options.port)
    # A store of its own where it keeps the part that it reads of another's table: under one address there is one table.
    own = f"online-{use_case.name}" if use_case.shared_features else "online"
    with listening, local_postgres(lakehouse.folder / own) as store, opened_endpoint(
        lakehouse, use_case, options, store=store, folder=folder, token=token, say=say
    ) as application:  # fmt: skip
        port = listening.getsockname()[1]
        say(
            f"{use_case.name} of {lakehouse.environment.name} answers on http://{options.host}:{port}; the token is in {kept}"
        )
        with traced_endpoint(
            use_case.name, environment=lakehouse.environment.name, engine=lakehouse.engine, folder=lakehouse.folder,
            commit=git_commit, say=say,
        ):  # fmt: skip
            run_server(application, listening, options.limits)
        say("told to stop: what had been accepted was answered")


@contextmanager
def opened_endpoint(
    lakehouse: Lakehouse, use_case: UseCase, options: EndpointOptions, *, store: str, folder: Path, token: str,
    say: Callable[[str], None],
) -> Iterator[Application]:  # fmt: skip
    """Give the application with everything behind it running, and end that afterwards."""
    journals = Journals(lakehouse, use_case, folder)
    context = Context(lakehouse=lakehouse, use_case=use_case, run_id="serve", now=dt.datetime.now(dt.UTC), say=say)
    online = OnlineUpkeep(context, store, until=options.until, lag_limit_hours=options.lag_limit_hours)
    limits = options.limits
    if left := journals.adopt():
        say(f"{left} segments of a journal were left by a process that was killed: they are carried over")
    registry = Registry(lakehouse, use_case, options.alias, say, KeptLibraries(folder / "compiled"))
    followed = Followed(registry, say)
    followed.look()
    _ = followed.loaded  # raises where nothing can be served
    online.publish()
    rollouts = opened_rollouts(use_case, registry, followed, journals, store, say)

    def follow() -> None:
        followed.look()
        if rollouts is not None:
            rollouts.followed.look()

    table, journal = journals.answers
    scorer = Scorer(Answering(followed, store=store, table=table, journal=journal, rollouts=rollouts), limits)
    stopping, upkeep = threading.Event(), []
    for every, what in (
        (limits.follow_seconds, follow), (limits.carry_seconds, journals.carry_over),
        (limits.publish_seconds, online.publish),
    ):  # fmt: skip
        upkeep.append(threading.Thread(target=_repeat, args=(what, every, stopping, say), daemon=True))
    scorer.start()
    for thread in upkeep:
        thread.start()
    try:
        yield Application(
            scorer, followed, token=token, limits=limits, facts=lambda: {**online.facts(), **rollout_facts(rollouts)}
        )
    finally:
        scorer.stop(limits.shutdown_seconds)
        if rollouts is not None:
            rollouts.shadow.stop(limits.shutdown_seconds)
        stopping.set()
        for thread in upkeep:
            thread.join(limits.shutdown_seconds)
        journals.carry_over()


def _repeat(what: Callable[[], object], every: float, stopping: threading.Event, say: Callable[[str], None]) -> None:
    while not stopping.wait(every):
        try:
            what()
        except Exception as error:  # noqa: BLE001 - the next time it may work; the endpoint goes on
            say(f"{getattr(what, '__name__', 'upkeep')} has failed and is tried again: {sentence_of(error)}")


def _token(folder: Path) -> tuple[str, str]:
    """Return the token of requests, and where it is kept: made once, readable by nobody else."""
    if given := os.environ.get(TOKEN):
        return given, f"${TOKEN}"
    file = folder / "token"
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(secrets.token_urlsafe(32))
    return file.read_text(encoding="utf-8").strip(), str(file)
