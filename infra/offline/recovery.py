"""Recovers provider schemas from the TypeScript that cdktf generated from them.

The result has the form of ``terraform providers schema -json``. What the generator dropped (limits above one on the
number of blocks, sensitivity, deprecation, versions) is not here but in `facts`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.offline.bindings import BindingError

Schema = dict[str, Any]
"""One block in the form of ``terraform providers schema -json``: ``attributes`` and ``block_types`` by name."""


def recover(sources: Mapping[str, str]) -> Schema:
    """Return the schemas of one provider.

    Parameters
    ----------
    sources
        TypeScript by folder, as `bindings.typescript` returns it.

    Returns
    -------
    dict
        ``version`` of the provider, ``provider``, ``resources`` and ``data_sources``, the last two by type.

    Raises
    ------
    BindingError
        If an attribute is written in a way this reader does not know; nothing is guessed.
    """
    found: Schema = {"version": None, "provider": None, "resources": {}, "data_sources": {}}
    for text in sources.values():
        folder = _Folder.read(text)
        for top in folder.tops():
            schema = {"block": folder.block(top.name, framework=top.framework)}
            if top.parent == "TerraformProvider":
                found["provider"], found["version"] = schema, top.version
            else:
                kind = "resources" if top.parent == "TerraformResource" else "data_sources"
                found[kind][top.terraform_type] = schema
    if found["provider"] is None:
        raise BindingError("the bindings hold no provider class: their schemas cannot be recovered.")
    return found


_REGION = re.compile(r"^export ", re.MULTILINE)
_CLASS = re.compile(r"export class (\w+) extends (?:cdktf\.)?(\w+) \{")
_WRITER = re.compile(r"export function (\w+)ToHclTerraform\(")
_MEMBER = re.compile(r"^  // (\w+) - computed: (true|false), optional: (true|false), required: (true|false)$", re.M)
_GETTER = re.compile(r"(Fn\.tolist\()?(?:cdktf\.Token\.\w+\()?this\.(?:get|interpolationFor)(\w*)Attribute\('\w+'\)")
_STRUCTURE = re.compile(r'= new (?:cdktf\.)?(\w+)\(this, "\w+"(?:, (true|false))?\)')
_WRITTEN = re.compile(
    r'^ +(\w+): \{\n +value: (.*),\n +isBlock: \w+,\n +type: "(\w+)",\n +storageClassType: "(\w+)",\n', re.MULTILINE
)
_MAPPED = re.compile(r"^cdktf\.listMapperHcl\((\w+)ToHclTerraform, true\)")
_INTERFACE = re.compile(r"export interface (\w+) ")
_READONLY = re.compile(r"#(\w+)\}\n(?:  \*[^\n]*\n)*?  \*/\n  readonly \w+(\??):")
_ELEMENT = re.compile(r"^  public get\((?:index: number|key: string)\): (\w+) \{", re.MULTILINE)

_PRIMITIVES: Mapping[str, Any] = {
    "String": "string", "Number": "number", "Boolean": "bool", "List": ["list", "string"],
    "NumberList": ["list", "number"], "StringMap": ["map", "string"],
}  # fmt: skip
_STORAGE: Mapping[str, Any] = {
    "string": "string", "number": "number", "boolean": "bool", "stringList": ["list", "string"],
    "numberList": ["list", "number"], "numberListList": ["list", ["list", "number"]], "stringMap": ["map", "string"],
}  # fmt: skip
_MAPS: Mapping[str, Any] = {
    "StringMap": ["map", "string"], "NumberMap": ["map", "number"], "BooleanMap": ["map", "bool"],
    "StringMapList": ["list", ["map", "string"]],
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Member:
    """One attribute or block as its class states it: flags, and how its value is read."""

    name: str
    computed: bool
    optional: bool
    required: bool
    body: str

    def flags(self, *, below_computed: bool) -> dict[str, bool]:
        # The generator adds `computed` to every settable member of a computed object.
        computed = self.computed and not (below_computed and (self.optional or self.required))
        given = {"computed": computed, "optional": self.optional, "required": self.required}
        return {name: True for name, value in given.items() if value}


@dataclass(frozen=True, kw_only=True)
class _Written:
    """How cdktf writes one settable member: in which nesting, and through which mapper."""

    mapper: str
    nesting: str
    storage: str

    @property
    def repeated_block(self) -> str | None:
        """The class of the elements of a block that may stand several times; None for anything else."""
        match = _MAPPED.match(self.mapper)
        return f"{_capital(match[1])}OutputReference" if match else None


@dataclass(frozen=True, kw_only=True)
class _Top:
    """A resource, data source or provider class.

    Attributes
    ----------
    framework
        Whether the resource is written with the plugin framework, where objects have attributes of their own. The older
        SDK is known by an ``id`` that is optional and computed, or by a ``timeouts`` block.
    """

    name: str
    parent: str
    terraform_type: str
    version: str
    framework: bool


@dataclass(kw_only=True)
class _Folder:
    """The classes of one folder, by name."""

    parents: dict[str, str] = field(default_factory=dict)
    members: dict[str, list[_Member]] = field(default_factory=dict)
    written: dict[str, dict[str, _Written]] = field(default_factory=dict)
    elements: dict[str, str] = field(default_factory=dict)
    interfaces: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> "_Folder":
        folder = cls()
        starts = [match.start() for match in _REGION.finditer(text)]
        for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
            region = text[start:end]
            if match := _CLASS.match(region):
                folder._add_class(match[1], match[2], region)
            elif match := _WRITER.match(region):
                folder.written[f"{_capital(match[1])}OutputReference"] = _written(region)
            elif match := _INTERFACE.match(region):
                folder.interfaces[f"{match[1]}OutputReference"] = region
        return folder

    def tops(self) -> Iterator[_Top]:
        for name, text in self.texts.items():
            parent = self.parents[name]
            flags = {m.name: (m.computed, m.optional) for m in self.members[name]}
            yield _Top(
                name=name,
                parent=parent,
                terraform_type=_required(r"terraformResourceType: '(\w+)'", text),
                version=_required(r"providerVersion: '([\w.-]+)'", text),
                framework=parent != "TerraformProvider" and flags.get("id") != (True, True) and "timeouts" not in flags,
            )

    def block(self, name: str, *, framework: bool, below_computed: bool = False) -> Schema:
        attributes: Schema = {}
        blocks: Schema = {}
        for member in self._members_of(name):
            written = self.written.get(name, {}).get(member.name)
            flags = member.flags(below_computed=below_computed)
            structure = _STRUCTURE.search(member.body)
            if written and written.repeated_block:
                blocks[member.name] = self._block(
                    {"nesting_mode": written.nesting}, written.repeated_block, member, framework
                )
            elif structure is None or structure[1] in _MAPS:
                attributes[member.name] = {"type": _plain_type(name, member, written, structure), **flags}
            elif (limits := self._single_block_limits(structure[1], written, framework=framework)) is not None:
                blocks[member.name] = self._block(limits, structure[1], member, framework)
            else:
                nesting = self._nesting(structure, written)
                below = below_computed or (member.computed and not member.optional)
                attributes[member.name] = {**self._object(structure[1], nesting, framework, below), **flags}
        return {**({"attributes": attributes} if attributes else {}), **({"block_types": blocks} if blocks else {})}

    def _add_class(self, name: str, parent: str, region: str) -> None:
        self.parents[name] = parent
        if match := _ELEMENT.search(region):
            self.elements[name] = match[1]
        if parent == "ComplexObject" or parent.startswith("Terraform"):
            self.members[name] = _members(region, skip="alias" if parent == "TerraformProvider" else "")
        if parent.startswith("Terraform"):
            self.texts[name] = region
            self.written[name] = _written(region[region.find("synthesizeHclAttributes") :])

    def _element(self, name: str) -> str:
        return self.elements.get(name, name)

    def _members_of(self, name: str) -> list[_Member]:
        # The blocks of a provider have an interface and no class; they are never computed.
        if name not in self.members and name in self.interfaces:
            return [
                _Member(name=m[1], computed=False, optional=bool(m[2]), required=not m[2], body="")
                for m in _READONLY.finditer(self.interfaces[name])
            ]
        return self.members[name]

    def _block(self, limits: Schema, element: str, member: _Member, framework: bool) -> Schema:
        # A single block has no count: it is there or not.
        minimum = {"min_items": 1} if member.required and limits["nesting_mode"] != "single" else {}
        return {**limits, **minimum, "block": self.block(element, framework=framework)}

    def _single_block_limits(self, structure: str, written: _Written | None, *, framework: bool) -> Schema | None:
        """Return nesting and upper limit of a block that may stand once, or None for an attribute."""
        if written is None:
            return None
        single = self.parents.get(structure) == "ComplexObject"
        if single and written.nesting in ("list", "set"):
            return {"nesting_mode": written.nesting, "max_items": 1}
        return {"nesting_mode": "single"} if written.nesting == "struct" and not framework else None

    def _nesting(self, structure: re.Match[str], written: _Written | None) -> str:
        if written and written.nesting != "struct":
            return written.nesting
        parent = self.parents.get(structure[1])
        if parent in ("ComplexObject", "ComplexMap"):
            return "single" if parent == "ComplexObject" else "map"
        return "set" if structure[2] == "true" else "list"

    def _object(self, structure: str, nesting: str, framework: bool, below_computed: bool) -> Schema:
        if not framework:
            return {"type": [nesting, self._object_type(structure)]}
        inner = self.block(self._element(structure), framework=True, below_computed=below_computed)
        return {"nested_type": {**inner, "nesting_mode": nesting}}

    def _object_type(self, structure: str) -> Any:
        element = self._element(structure)
        if self.parents.get(element) == "ComplexList":
            return ["list", self._object_type(element)]
        return _type_of_block(self.block(element, framework=False))


def _type_of_block(block: Schema) -> Any:
    fields = {name: attribute["type"] for name, attribute in block.get("attributes", {}).items()}
    for name, nested in block.get("block_types", {}).items():
        fields[name] = [nested["nesting_mode"], _type_of_block(nested["block"])]
    return ["object", fields]


def _plain_type(owner: str, member: _Member, written: _Written | None, structure: re.Match[str] | None) -> Any:
    if structure:
        return _MAPS[structure[1]]
    getter = _GETTER.search(member.body)
    kind = _PRIMITIVES.get(getter[2]) if getter else None
    if written and written.storage in _STORAGE and (kind is None or written.nesting == "set"):
        kind = _STORAGE[written.storage]
    if kind is None:
        raise BindingError(f"the type of {owner}.{member.name} is written in a way that is not known here.")
    is_set = bool(getter and getter[1]) or bool(written and written.nesting == "set")
    return ["set", kind[1]] if is_set else kind


def _members(region: str, *, skip: str) -> list[_Member]:
    matches = list(_MEMBER.finditer(region))
    ends = [*(match.start() for match in matches), len(region)][1:]
    return [
        _Member(
            name=match[1],
            computed=match[2] == "true",
            optional=match[3] == "true",
            required=match[4] == "true",
            body=region[match.end() : end],
        )
        for match, end in zip(matches, ends, strict=True)
        if match[1] != skip
    ]


def _written(region: str) -> dict[str, _Written]:
    return {m[1]: _Written(mapper=m[2], nesting=m[3], storage=m[4]) for m in _WRITTEN.finditer(region)}


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _required(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise BindingError(f"a class of the bindings states no {pattern.split(':')[0]!r}: it cannot be read.")
    return match[1]
