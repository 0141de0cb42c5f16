"""Reads the settings folder: the result is either complete and typed, or a list of every mistake.

A mistake names file, line, field, value, what is allowed and the near miss. `infra.config.checks` compares the values of
different files; the models are in `infra.config.model`.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from infra.config.model import AccountSettings, EnvironmentSettings, RetiredTeam, Team, TeamsSettings
from ml.spec.errors import DeclarationError
from ml.spec.near_miss import did_you_mean
from pipelines.declarations.environment import ENVIRONMENTS

MOST_VALUES = 10_000
"""How many values a file of settings has at most, with its aliases written out."""
FOLDER = Path(__file__).parents[1] / "settings"

Place = tuple[int | str, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One mistake in the settings.

    Attributes
    ----------
    line
        Line in the file, from 1; None where the file as a whole is wrong.
    problem
        What is wrong with the value and what is allowed instead.
    """

    file: str
    line: int | None
    field: str
    value: str | None
    problem: str

    def __str__(self) -> str:
        """Return the mistake as one sentence."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        got = "" if self.value is None else f" is {self.value}"
        return f"{where}: {self.field}{got}: {self.problem}" if self.field else f"{where}: {self.problem}"


class SettingsError(DeclarationError):
    """The settings are wrong; holds every mistake that was found."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda m: (m.file, m.line or 0, m.field)))
        count = len(self.mistakes)
        heading = f"the settings have {count} mistake{'s' if count > 1 else ''}; nothing was synthesized:"
        super().__init__("\n".join([heading, *(f"  {mistake}" for mistake in self.mistakes)]))


@dataclass(frozen=True, kw_only=True)
class SettingsFile:
    """The content of one YAML file: its data and the line of every value."""

    name: str
    data: Any
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int | None:
        """Return the line of the value at that place, or of the nearest value around it."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None

    def get(self, *place: int | str) -> Any:
        """Return the value at that place, or None where there is none."""
        current = self.data
        for step in place:
            inside = isinstance(current, dict) and step in current
            counted = isinstance(current, list) and isinstance(step, int) and step < len(current)
            if not (inside or counted):
                return None
            current = current[step]
        return current

    def items(self, *place: int | str) -> list[tuple[int | str, Any]]:
        """Return the keys (or positions) and values of the mapping (or list) at that place; none if it is neither."""
        found = self.get(*place)
        if isinstance(found, dict):
            return list(found.items())
        return list(enumerate(found)) if isinstance(found, list) else []

    def mistake(self, place: Place, value: Any, problem: str) -> Mistake:
        """Return a mistake about the value at that place."""
        field = ".".join(str(step) for step in place)
        shown = None if value is None else repr(value)
        return Mistake(file=self.name, line=self.line(place), field=field, value=shown, problem=problem)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings: the account, the environments in the order of promotion, the teams."""

    account: AccountSettings
    environments: Mapping[str, EnvironmentSettings]
    teams: tuple[Team, ...]
    retired_teams: tuple[RetiredTeam, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The result of reading the folder.

    Attributes
    ----------
    files
        Every file that is valid YAML, with right or wrong values.
    settings
        None where a file is missing or wrong.
    mistakes
        The mistakes within single files.
    """

    files: Mapping[str, SettingsFile]
    settings: Settings | None
    mistakes: tuple[Mistake, ...]


def read(folder: Path = FOLDER) -> Reading:
    """Read every settings file and check each one by itself.

    Parameters
    ----------
    folder
        Where ``account.yaml``, ``teams.yaml`` and one file per environment are.
    """
    if not folder.is_dir():
        return Reading(files={}, settings=None, mistakes=(_about(str(folder), "there is no such folder of settings"),))
    mistakes: list[Mistake] = []
    files: dict[str, SettingsFile] = {}
    account = _read(folder, "account", AccountSettings, files, mistakes)
    teams = _read(folder, "teams", TeamsSettings, files, mistakes)
    environments = {name: _read(folder, name, EnvironmentSettings, files, mistakes) for name in ENVIRONMENTS}
    mistakes.extend(_unexpected_files(folder))
    complete = {name: found for name, found in environments.items() if found is not None}
    settings = None
    if not mistakes and account is not None and teams is not None:
        settings = Settings(
            account=account, environments=complete, teams=teams.teams, retired_teams=teams.retired_teams
        )
    return Reading(files=files, settings=settings, mistakes=tuple(mistakes))


def near_miss(got: str, allowed: Iterable[str]) -> str:
    """Return the allowed names, preceded by the one that was probably meant."""
    names = sorted(allowed)
    return f"{did_you_mean(got, names)} Allowed: {', '.join(names) or 'none'}".lstrip()


def _read(
    folder: Path, name: str, model: type[Model], files: dict[str, SettingsFile], mistakes: list[Mistake]
) -> Model | None:
    """Return one file's settings, or None after adding its mistakes."""
    path = folder / f"{name}.yaml"
    shown = f"{folder.name}/{path.name}"
    try:
        files[name] = parse(path.read_text(encoding="utf-8"), shown)
        return model.model_validate(files[name].data)
    except FileNotFoundError:
        mistakes.append(_about(shown, f"the file is missing. Copy another one of {folder.name}/ and adapt it"))
    except UnicodeDecodeError as error:
        mistakes.append(_about(shown, f"the file is not UTF-8 text: {error.reason} at byte {error.start}"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        mistakes.append(_about(shown, f"the file is not YAML: {error.problem}", line))
    except yaml.YAMLError as error:
        mistakes.append(_about(shown, f"the file is not YAML: {str(error).splitlines()[0]}"))
    except OSError as error:
        mistakes.append(_about(shown, f"the file cannot be read: {error.strerror}"))
    except ValidationError as error:
        mistakes.extend(_explain(details, files[name], model) for details in _causes(error.errors()))
    return None


def _causes(found: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out lists that are too short because their entries are wrong."""
    places = [tuple(details["loc"]) for details in found]
    return [
        details
        for details, place in zip(found, places, strict=True)
        if details["type"] != "too_short" or not any(len(p) > len(place) and p[: len(place)] == place for p in places)
    ]


def _about(file: str, problem: str, line: int | None = None) -> Mistake:
    return Mistake(file=file, line=line, field="", value=None, problem=problem)


def parse(text: str, name: str) -> SettingsFile:
    """Return YAML text as data with the line of every value.

    Raises
    ------
    yaml.YAMLError
        If the text is not YAML, repeats a key, refers to itself, or holds more values than settings have.
    """
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    lines: dict[Place, int] = {}
    if node is not None:
        _note_lines(node, (), lines, ())
    return SettingsFile(name=name, data=yaml.safe_load(text), lines=lines)


def _note_lines(node: yaml.Node, place: Place, lines: dict[Place, int], around: tuple[yaml.Node, ...]) -> None:
    if any(node is one for one in around):
        raise yaml.MarkedYAMLError(problem="an alias refers to what it stands in", problem_mark=node.start_mark)
    if len(lines) > MOST_VALUES:
        problem = f"aliases make it more than {MOST_VALUES:,} values; write out what is meant"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            if inner in lines:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is repeated", problem_mark=key.start_mark)
            _note_lines(value, inner, lines, (*around, node))
            lines[inner] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(value, (*place, index), lines, (*around, node))


_KINDS = {
    "model_type": ("must hold keys with their values", ""),
    "dict_type": ("must hold keys with their values", ""),
    "tuple_type": ("must be a list", " such as [one, another]"),
    "string_type": ("must be text", "; put a number or a date into quotes"),
}
"""What pydantic calls by the names of Python's types, in the words of YAML, and a hint."""


def _explain(details: ErrorDetails, file: SettingsFile, model: type[BaseModel]) -> Mistake:
    """Turn one of pydantic's errors into a mistake."""
    place = tuple(step for step in details["loc"] if step != "[key]")
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _fields_at(model, place[:-1])
        return file.mistake(place, None, f"unknown key. {near_miss(str(place[-1]), allowed)}")
    if kind == "missing":
        return file.mistake(place, None, "is missing and has no default")
    if kind == "enum":
        allowed = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ", ").split(",")]
        return file.mistake(place, value, near_miss(str(value), allowed))
    if kind == "string_pattern_mismatch":
        return file.mistake(place, value, f"must match {context['pattern']}")
    shown = value if isinstance(value, str | int | float | bool | dt.date) else None
    if kind == "value_error":
        return file.mistake(place, shown, str(context.get("error", details["msg"])))
    if kind in _KINDS:
        what, hint = _KINDS[kind]
        return file.mistake(place, shown and str(shown), f"{what}, and is empty" if value is None else f"{what}{hint}")
    if kind == "too_short":
        return file.mistake(place, None, f"must have at least {context['min_length']} item")
    return file.mistake(place, shown, details["msg"].replace("Input should be", "must be"))


def _fields_at(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Return the keys that the settings allow at a place, found in the model's JSON schema."""
    schema = model.model_json_schema()
    current: Any = schema
    for step in place:
        current = _resolve(current, schema)
        if isinstance(step, int):
            current = current.get("items", {})
        else:
            current = current.get("properties", {}).get(step, current.get("additionalProperties", {}))
    return list(_resolve(current, schema).get("properties", {}))


def _resolve(node: Any, schema: Mapping[str, Any]) -> Any:
    """Follow references and optional alternatives to the object they mean."""
    for option in node.get("anyOf", []):
        if option.get("type") != "null":
            node = option
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return node


def _unexpected_files(folder: Path) -> list[Mistake]:
    """Return a mistake for each settings file that belongs to no environment, for example with a misspelt name."""
    known = {"account", "teams", *ENVIRONMENTS}
    return [
        _about(f"{folder.name}/{path.name}", f"no such environment. {near_miss(path.stem, known)}")
        for path in sorted(folder.glob("*.y*ml"))
        if path.stem not in known or path.suffix != ".yaml"
    ]
