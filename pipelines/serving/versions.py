"""Which version an endpoint answers with: it follows the alias, and takes a version only once it has been tried.

Between two looks at the alias nothing is asked of the registry, so an endpoint goes on where the registry is away.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ml.spec.errors import LakehouseError, sentence_of
from pipelines.scoring.function import ScoringFunction

NO_CHAMPION = "there is no champion; run the training job, or the delivery job where the model is not trained"


class NotServedError(LakehouseError):
    """An endpoint that has no version to answer with."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A version that has been tried and answers requests.

    Attributes
    ----------
    model
        Its estimator, or what was proven to predict the same.
    how
        Which of the two it is, in words.
    """

    number: int
    function: ScoringFunction
    model: Any
    how: str


class VersionSource(Protocol):
    """Where versions come from."""

    def current(self) -> int | None:
        """Return the number of the version behind the alias; None if there is none."""

    def load(self, number: int) -> Loaded:
        """Return a version that has been loaded and tried; raises if it cannot be used."""


class Followed:
    """The version in use. `look` is called now and then by one thread, `loaded` is read by any."""

    def __init__(self, source: VersionSource, say: Callable[[str], None]) -> None:
        self._source = source
        self._say = say
        self._loaded: Loaded | None = None
        self._refused: dict[int, str] = {}
        self._lock = threading.Lock()

    @property
    def loaded(self) -> Loaded:
        """The version to answer with.

        Raises
        ------
        NotServedError
            If there is none yet.
        """
        found = self._loaded
        if found is None:
            raise NotServedError(f"no version can be served: {'; '.join(self._refused.values()) or NO_CHAMPION}.")
        return found

    @property
    def refused(self) -> dict[int, str]:
        """Versions that the alias points or pointed to and that could not be used, each with the reason."""
        return dict(self._refused)

    def look(self) -> bool:
        """Take the version that the alias points to, if it is another one and can be used; return whether it was taken.

        A version that could not be used is tried once: it does not become better. A registry that does not answer
        changes nothing.
        """
        with self._lock:
            try:
                number = self._source.current()
            except Exception as error:  # noqa: BLE001 - whatever a registry raises, the endpoint goes on
                self._say(f"the registry does not answer, the version stays: {sentence_of(error)}")
                return False
            if number is None or number in self._refused or (self._loaded and self._loaded.number == number):
                return False
            try:
                self._loaded = self._source.load(number)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a version is its reason
                self._refused[number] = f"version {number} is not taken: {sentence_of(error)}"
                stays = f"version {self._loaded.number} stays" if self._loaded else "there is none before it"
                self._say(f"{self._refused[number]}; {stays}")
                return False
            self._say(f"version {number} answers from now on, by {self._loaded.how}")
            return True
