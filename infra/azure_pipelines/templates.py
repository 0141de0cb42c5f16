"""Templates of Azure Pipelines: reads a pipeline and everything it includes and returns it as it would be run.

Typed parameters, ``${{ if }}``, ``${{ elseif }}``, ``${{ else }}``, ``${{ each }}`` and expressions inside of texts are
expanded as the documentation "Template types & usage" says. What is left of ``${{`` afterwards is an error, and so is a
parameter that is missing, unknown, of another type, or never used.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from infra.azure_pipelines.expressions import Known, Scope, as_text, evaluate, is_true
from ml.spec.errors import LakehouseError

EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
WHOLE = re.compile(r"\$\{\{((?:(?!\}\}).)*)\}\}", re.DOTALL)
LISTS = ("steps", "jobs", "stages", "variables")
"""What a template can hold beside its parameters: exactly one of them."""


class TemplateError(LakehouseError, ValueError):
    """The pipeline cannot be expanded; the message names the file."""


@dataclass(kw_only=True)
class TemplateReading:
    """What was found on the way: for every template that was used, its parameters and which of them it used itself."""

    used: dict[Path, set[str]] = field(default_factory=dict)
    declared: dict[Path, set[str]] = field(default_factory=dict)

    def unused(self) -> list[str]:
        """Return the parameters that their template never uses."""
        return [f"{path.name}: {name}" for path in self.declared for name in self.declared[path] - self.used[path]]


def expand(path: Path, reading: TemplateReading | None = None, **parameters: Any) -> dict[str, Any]:
    """Return a pipeline or template with everything it includes, as it would be run.

    Parameters
    ----------
    path
        The file.
    reading
        Takes which parameters were used.
    parameters
        Of the template.

    Raises
    ------
    TemplateError
        Naming file and mistake.
    """
    return _Template(path, parameters, reading or TemplateReading()).content()


def load(path: Path) -> dict[str, Any]:
    """Read a YAML file; a key that stands twice is an error."""
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 # a safe loader
    except OSError as error:
        raise TemplateError(f"{path}: {error}") from error
    if not isinstance(loaded, dict):
        raise TemplateError(f"{path.name} holds no mapping.")
    return loaded


class _StrictLoader(yaml.SafeLoader):
    """The safe loader that refuses a key that stands twice, of which it would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise TemplateError(f"{node.start_mark}: {', '.join(map(str, twice))} stands twice.")
        return super().construct_mapping(node, deep)


class _Used(Known):
    """Parameters that note which of them were looked at."""

    def __init__(self, values: Mapping[str, Any], used: set[str]) -> None:
        super().__init__(values)
        self._seen = used

    def get(self, key: Any, default: Any = None) -> Any:
        self._seen.add(key)
        return super().get(key, default)


class _Template:
    """One file with the values of its parameters."""

    def __init__(self, path: Path, given: Mapping[str, Any], reading: TemplateReading) -> None:
        self._path, self._reading = path.resolve(), reading
        self._raw = load(path)
        declared = {parameter["name"]: parameter for parameter in self._raw.pop("parameters", [])}
        used = reading.used.setdefault(self._path, set())
        reading.declared.setdefault(self._path, set()).update(declared)
        unknown = set(given) - set(declared)
        if unknown:
            raise TemplateError(f"{path.name} has no parameter {', '.join(sorted(unknown))}.")
        values = {name: self._checked(parameter, given) for name, parameter in declared.items()}
        self._names: dict[str, Any] = {"parameters": _Used(values, used), "variables": {}}

    def content(self) -> dict[str, Any]:
        expanded = self._value(self._raw, self._names)
        if "extends" in expanded:
            expanded = self._extended(expanded)
        rest = [text for text in _texts(expanded) if "${{" in text]
        if rest:
            raise TemplateError(f"{self._path.name}: not expanded: {rest[0]}")
        return dict(expanded)

    def _extended(self, pipeline: dict[str, Any]) -> dict[str, Any]:
        """Return a pipeline with the stages of the template that it extends.

        The template is named from the root of a repository that is among the pipeline's resources. Every such repository is
        taken for the one that holds the pipeline, at the commit that is here:
        https://learn.microsoft.com/azure/devops/pipelines/process/templates#use-other-repositories.
        """
        extends, resources = pipeline.pop("extends"), pipeline.get("resources", {})
        name, at, alias = str(extends["template"]).partition("@")
        if not at or alias not in {one["repository"] for one in resources.get("repositories", ())}:
            raise TemplateError(
                f"{self._path.name} extends {extends['template']}, of no repository among its resources."
            )
        clash = {"stages", "jobs", "steps"} & set(pipeline)
        if clash or set(extends) - {"template", "parameters"}:
            raise TemplateError(
                f"{self._path.name} extends a template and states {', '.join(sorted(clash)) or extends}."
            )
        root = next(folder for folder in self._path.parents if (folder / name).exists() or folder == folder.parent)
        given = extends.get("parameters", {})
        return {**pipeline, **_Template(root / name, given, self._reading).content()}

    def _checked(self, declared: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
        name, kind = declared["name"], declared.get("type", "string")
        if name not in given and "default" not in declared:
            raise TemplateError(f"{self._path.name} needs the parameter {name}.")
        value = given.get(name, declared.get("default"))
        allowed = declared.get("values")
        if allowed is not None and value not in allowed:
            raise TemplateError(f"{self._path.name}: {name} is {value!r}, allowed are {allowed}.")
        types = {"string": str, "boolean": bool, "number": int | float, "object": object, "stepList": list}
        if kind not in types:
            raise TemplateError(f"{self._path.name}: the type {kind} of {name} is not known here.")
        if not isinstance(value, types[kind]):
            raise TemplateError(f"{self._path.name}: {name} is {value!r}, which is no {kind}.")
        return value

    def _value(self, value: Any, names: Mapping[str, Any]) -> Any:
        if isinstance(value, dict):
            return self._mapping(value, names)
        if isinstance(value, list):
            return list(self._items(value, names))
        return self._text(value, names) if isinstance(value, str) else value

    def _mapping(self, value: Mapping[Any, Any], names: Mapping[str, Any]) -> dict[Any, Any]:
        expanded: dict[Any, Any] = {}
        before = True
        for key, inner in value.items():
            word, expression = _keyword(key)
            if word is None:
                expanded[key] = self._value(inner, names)
                continue
            if word == "each":
                raise TemplateError(f"{self._path.name}: each over keys is not known here: {key}")
            taken = self._taken(word, expression, names, before)
            before = taken if word == "if" else before or taken
            if taken:
                expanded.update(self._mapping(inner, names))
        return expanded

    def _items(self, value: list[Any], names: Mapping[str, Any]) -> Iterator[Any]:
        before = True
        for item in value:
            word, expression = _keyword(next(iter(item))) if isinstance(item, dict) and len(item) == 1 else (None, "")
            if word is None:
                yield from self._item(item, names)
                continue
            inner = next(iter(item.values()))
            if word == "each":
                name, _, over = expression.partition(" in ")
                for one in evaluate(over, _scope(names)):
                    yield from self._items(inner, {**names, name.strip(): one})
                continue
            taken = self._taken(word, expression, names, before)
            before = taken if word == "if" else before or taken
            if taken:
                yield from self._items(inner, names)

    def _item(self, item: Any, names: Mapping[str, Any]) -> Iterator[Any]:
        """Yield one element of a list: what a template holds in its place, a list's elements, or itself."""
        if isinstance(item, dict) and "template" in item:
            if set(item) - {"template", "parameters"}:
                raise TemplateError(f"{self._path.name}: a template reference has parameters and nothing else: {item}")
            given = self._value(item.get("parameters", {}), names)
            included = _Template(self._path.parent / item["template"], given, self._reading).content()
            if len(included) != 1 or next(iter(included)) not in LISTS:
                raise TemplateError(
                    f"{item['template']} must hold one of {', '.join(LISTS)}, not {', '.join(included)}."
                )
            yield from next(iter(included.values()))
            return
        expanded = self._value(item, names)
        yield from expanded if isinstance(expanded, list) else [expanded]

    @staticmethod
    def _taken(word: str, expression: str, names: Mapping[str, Any], before: bool) -> bool:
        if word == "if":
            return is_true(evaluate(expression, _scope(names)))
        if before:
            return False
        return word == "else" or is_true(evaluate(expression, _scope(names)))

    def _text(self, text: str, names: Mapping[str, Any]) -> Any:
        whole = WHOLE.fullmatch(text)
        if whole:
            return evaluate(whole.group(1), _scope(names))
        return EXPRESSION.sub(lambda found: as_text(evaluate(found.group(1), _scope(names))), text)


def _keyword(key: Any) -> tuple[str | None, str]:
    """Return which directive a key is, if it is one, and its expression."""
    whole = WHOLE.fullmatch(key) if isinstance(key, str) else None
    if not whole:
        return None, ""
    word, _, rest = whole.group(1).strip().partition(" ")
    if word not in ("if", "elseif", "else", "each"):
        raise TemplateError(f"the directive {key} is not known here.")
    return word, rest


def _scope(names: Mapping[str, Any]) -> Scope:
    return Scope(names=names, functions={})


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
