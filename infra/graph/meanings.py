r"""What each resource type means and may state: the tables in `infra/graph/types`, read and compared with resources.

A table is closed. A type or an argument that it does not name is a finding, as is a control that is left out.

Rules: a text (``*`` stands for any characters but braces, ``**`` for any at all, ``\*`` for a star), a list of them, bounds ``{min, max}``,
``-> type.attribute`` for a resource of the same environment, ``$path`` for what the settings state. ``right`` is decided by
the ceilings, ``checked`` by `infra.graph.contents`. A key that ends with ``?`` may be left out, one with ``?$path`` only
where the settings state false there, one with ``?@block`` only together with the block. A star in a key stands for
``<rest>`` in its rule.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from infra.config.loading import Settings
from infra.config.naming import logical_id
from infra.graph.estate import Estate, GraphResource
from infra.graph.openings import let_in
from infra.graph.settings_values import administrators, allowed, text_of
from pipelines.declarations.use_case import UseCase

FOLDER = Path(__file__).parent / "types"
FREE = frozenset({"right", "checked"})
COMMON = ("provider", "depends_on", "tags", "custom_tags", "properties")
"""What every type may state: tags are checked apart, providers with their stack."""


@dataclass(frozen=True, kw_only=True)
class TypeMeaning:
    """One type: what it means, the rule of each argument, and which arguments may be left out.

    Attributes
    ----------
    optional
        Argument to what must be absent or false for it to be left out: ``$setting`` or ``@block``; empty for always.
    """

    means: str
    rules: Mapping[str, Any]
    optional: Mapping[str, str]

    @cached_property
    def _known(self) -> dict[str, tuple[str, str]]:
        """The key of each path that was asked for."""
        return {}

    def key_of(self, path: str) -> tuple[str, str]:
        """Return the key that a path matches, and what its star stands for; empty if there is none."""
        if path not in self._known:
            self._known[path] = (path, "") if path in self.rules else _wild(path, self)
        return self._known[path]


@cache
def meanings() -> Mapping[str, TypeMeaning]:
    """Return the allow-list of types."""
    found: dict[str, TypeMeaning] = {}
    for file in sorted(FOLDER.glob("*.yaml")):
        for kind, stated in yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER).items():  # noqa: S506 -- a safe loader
            means = stated.pop("means")
            keys = {key.partition("?")[0]: key.partition("?") for key in stated}
            found[kind] = TypeMeaning(
                means=means,
                rules={key.partition("?")[0]: rule for key, rule in stated.items()},
                optional={name: parts[2] for name, parts in keys.items() if parts[1]},
            )
    return found


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class RuleContext:
    """What rules are compared with in one environment, each worked out once.

    Attributes
    ----------
    readers
        Environments that the settings let into this one.
    opened
        Environments that let this one in.
    """

    def __init__(
        self, settings: Settings, environment: str, *, readers: tuple[str, ...] = (), opened: tuple[str, ...] = ()
    ) -> None:
        self.settings = settings
        self.environment = environment
        self.readers = readers
        self.opened = opened
        self._patterns: dict[tuple[str, str, str], re.Pattern[str]] = {}
        self._allowed: dict[str, frozenset[str]] = {}
        self._words = {
            "env": environment,
            "org": settings.account.organisation,
            "runner": f"@{{account/databricks_service_principal.runner_{environment}.application_id}}",
            "administrators": logical_id(administrators(settings)),
            "reader": "|".join(readers) or "nobody",
            "opened": "|".join(opened) or "nobody",
        }

    def allowed(self, path: str) -> frozenset[str]:
        """Return the texts that the settings allow under a name."""
        if path not in self._allowed:
            self._allowed[path] = allowed(self.settings, self.environment, path)
        return self._allowed[path]

    def pattern(self, rule: str, name: str, rest: str) -> re.Pattern[str]:
        """Return the expression of a rule for one resource's texts."""
        key = (rule, name if "name>" in rule else "", rest)
        if key not in self._patterns:
            self._patterns[key] = _pattern(rule, self.words(name, rest))
        return self._patterns[key]

    def words(self, name: str, rest: str = "") -> Mapping[str, str]:
        """Return what the words in angle brackets stand for."""
        return {**self._words, "name": name, "dashed name": name.replace("_", "-"), "rest": rest}


def mismatches(estate: Estate, resource: GraphResource, context: RuleContext) -> Iterator[str]:
    """Yield what one resource states that its type's table does not allow, and every control that it leaves out."""
    meaning = meanings().get(resource.type)
    if meaning is None:
        yield (
            f"is of type {resource.type}, whose meaning nobody has stated; state it in infra/graph/types, or leave it out."
        )
        return
    yield from compared(estate, resource, meaning, resource.values, context)


def compared(
    estate: Estate, resource: GraphResource, meaning: TypeMeaning, values: Any, context: RuleContext
) -> Iterator[str]:
    """Yield every value that a table does not allow, and every argument that is missing."""
    present: set[str] = set()
    for path, value in values:
        name, rest = meaning.key_of(path)
        if name:
            present.add(name)
            if not _fits(estate, resource, meaning.rules[name], value, context, rest):
                shown = estate.resolved(resource.stack, value)
                yield f"{path} is {shown[:120]!r}, allowed is {_shown(meaning.rules[name], resource, context)}."
        elif resource.type.startswith("stack:") or path.partition(".")[0] not in COMMON:
            yield f"states {path}, which the table of {resource.type} does not know; state its meaning there, or leave it out."
    for name in meaning.rules:
        if name not in present and _is_required(meaning, name, context, present):
            yield f"leaves out {name}; state {_shown(meaning.rules[name], resource, context)}."


def _wild(path: str, meaning: TypeMeaning) -> tuple[str, str]:
    """Return the key with a star that a path matches, and what the star stands for; empty if there is none."""
    for name in meaning.rules:
        start, star, end = name.partition("*")
        if star and path.startswith(start) and path.endswith(end) and len(path) > len(start) + len(end):
            return name, path[len(start) : len(path) - len(end)]
    return "", ""


def _is_required(meaning: TypeMeaning, name: str, context: RuleContext, present: set[str]) -> bool:
    if name not in meaning.optional:
        return True
    unless = meaning.optional[name]
    if unless.startswith("@"):
        return any(path.startswith(f"{unless[1:]}.") for path in present)
    return bool(unless) and "true" in context.allowed(unless[1:])


def _fits(estate: Estate, resource: GraphResource, rule: Any, value: Any, context: RuleContext, rest: str = "") -> bool:
    if isinstance(rule, list):
        return any(_fits(estate, resource, one, value, context, rest) for one in rule)
    if not isinstance(rule, str):
        if isinstance(rule, Mapping):
            number = float(value) if _is_number(value) else None
            return number is not None and rule["min"] <= number <= rule["max"]
        return text_of(value) == text_of(rule)
    if rule in FREE:
        return True
    text = text_of(value)
    if rule.startswith("$"):
        return estate.resolved(resource.stack, text) in context.allowed(rule[1:])
    return context.pattern(rule, resource.name, rest).fullmatch(estate.resolved(resource.stack, text)) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | str) and re.fullmatch(r"-?\d+(\.\d+)?", str(value)) is not None


def _pattern(rule: str, words: Mapping[str, str]) -> re.Pattern[str]:
    if rule.startswith("-> "):
        kind, _, attribute = rule.removeprefix("-> ").rpartition(".")
        own = "account" if words["env"] == "account" else f"{words['env']}-*"
        rule = f"@{{{own}/{kind}.*.{attribute}}}"
    return re.compile("".join(_part(part, words) for part in _PARTS.findall(rule)), re.DOTALL)


_PARTS = re.compile(r"\\\*|\*\*|\*|<[a-z ]+>|[^*<\\]+|.")


def _part(part: str, words: Mapping[str, str]) -> str:
    if part == "\\*":
        return r"\*"
    if part == "**":
        return ".*"
    if part == "*":
        return "[^{}]*"
    if part[0] == "<" and part[1:-1] in words:
        return f"({'|'.join(map(re.escape, words[part[1:-1]].split('|')))})"
    return re.escape(part)


def _shown(rule: Any, resource: GraphResource, context: RuleContext) -> str:
    """Return a rule for people, with the words of the environment."""
    if isinstance(rule, list):
        return " or ".join(_shown(one, resource, context) for one in rule)
    if isinstance(rule, Mapping):
        return f"{rule['min']} to {rule['max']}"
    text = text_of(rule)
    if text.startswith("$"):
        stated = sorted(context.allowed(text[1:]))
        return f"what the settings state under {text[1:]}: {', '.join(stated) or 'nothing'}"
    for word, stands_for in context.words(resource.name).items():
        text = text.replace(f"<{word}>", stands_for)
    return f"a reference to this environment's {text[3:]}" if text.startswith("-> ") else repr(text)


def contexts(settings: Settings, use_cases: tuple[UseCase, ...]) -> Mapping[str, RuleContext]:
    """Return the context of each environment, and that of what all share under ``account``."""
    found = {name: let_in(settings, use_cases, name) for name in settings.environments}
    contexts_of = {
        name: RuleContext(
            settings,
            name,
            readers=found[name],
            opened=tuple(owner for owner in found if name in found[owner]),
        )
        for name in settings.environments
    }
    return {**contexts_of, "account": RuleContext(settings, "account")}
