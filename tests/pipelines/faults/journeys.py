"""The commands that are disturbed, each with the state from which it begins: the jobs of the use case ``air_time``.

A chain of commands makes the states. Every command names its window, so that it does the same at any time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

USE_CASE = "air_time"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of a journey.

    Attributes
    ----------
    parameters
        As text; ``{feed}`` stands for the folder of the feed.
    only
        The keys of the only tasks to run; empty for all.
    """

    job: str
    environment: str
    parameters: Mapping[str, str]

    use_case: str = USE_CASE
    only: str = ""

    def words(self, root: Path, feed: Path, engine: str, *, run_id: str | None = None) -> list[str]:
        """Return the command line without the program's name."""
        given = [f"--param={name}={value.format(feed=feed)}" for name, value in self.parameters.items()]
        continued = [f"--run-id={run_id}"] if run_id else []
        if self.only:
            continued.append(f"--only={self.only}")
        return [
            "run", f"{self.use_case}.{self.job}", "--env", self.environment, "--engine", engine, "--root", str(root), *given,
            *continued,
        ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Journey:
    """A command and the steps before it.

    Attributes
    ----------
    after
        The journey whose end is the state from which this one begins; None for an empty folder.
    before
        Steps between that state and the command, which are not disturbed.
    killed
        Whether its command is killed; otherwise it is there for its beginning.
    """

    name: str
    step: Step
    after: str | None = None
    before: tuple[Step, ...] = ()
    killed: bool = True


def _stream(until: str) -> Step:
    return Step(job="stream", environment="dev", parameters={"until": until})


def _step(job: str, environment: str = "dev", **parameters: str) -> Step:
    return Step(job=job, environment=environment, parameters=parameters)


def _features(until: str, environment: str = "dev", **parameters: str) -> Step:
    return _step("features", environment, until=until, location="{feed}", **parameters)


JOURNEYS = {
    journey.name: journey
    for journey in (
        Journey(name="features", step=_features("2013-02-15")),
        Journey(
            name="training",
            step=_step("training", until="2013-02-15", training_days="13", evaluation_days="17"),
            after="features",
        ),
        Journey(name="features_again", step=_features("2013-03-05"), after="training"),
        Journey(name="scoring", step=_step("scoring", until="2013-03-05"), after="features_again"),
        # One increment begins, one goes on: features that ingestion has left, requests that came, and those that fell due.
        Journey(name="stream", step=_stream("2013-03-01"), after="features_again"),
        Journey(
            name="stream_again",
            step=_stream("2013-03-12T06:00"),
            after="stream",
            before=(
                Step(
                    job="features",
                    environment="dev",
                    parameters={"until": "2013-03-12", "location": "{feed}"},
                    only="ingest",
                ),
            ),
        ),
        Journey(name="monitoring", step=_step("monitoring", until="2013-03-05"), after="scoring"),
        Journey(
            name="training_again",
            step=_step("training", until="2013-04-01", training_days="14", evaluation_days="17"),
            after="scoring",
            before=(_features("2013-04-01"),),
        ),
        Journey(name="rollback", step=_step("rollback", reason="its errors are large"), after="training_again"),
        Journey(
            name="delivery",
            step=_step("delivery", "prod", until="2013-04-20"),
            before=(
                _features("2013-04-01", "staging"),
                _step("training", "staging", until="2013-04-01", training_days="9", evaluation_days="17"),
                _features("2013-04-20", "prod", since="2013-03-01"),
            ),
        ),
        Journey(
            name="delivery_again",
            step=_step("delivery", "prod", until="2013-05-01"),
            after="delivery",
            before=(
                _features("2013-04-14", "staging"),
                _step("training", "staging", until="2013-04-14", training_days="27", evaluation_days="17"),
                _features("2013-05-01", "prod"),
            ),
        ),
        Journey(
            name="training_in_two",
            step=_step("training", "staging", until="2013-02-15", training_days="13", evaluation_days="17"),
            after="features",
            before=(_features("2013-02-15", "staging"),),
            killed=False,
        ),
    )
}
"""The journeys by name, in an order in which each comes after the one that it begins with."""
