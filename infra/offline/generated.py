"""Parses the generated TypeScript of one resource: its classes, their members, and how each member is serialized.

The notation is that of the cdktf generator; `recovery` derives the schema from it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from infra.offline.bindings import BindingError


@dataclass(frozen=True, kw_only=True)
class Member:
    """One attribute or block of a class: its flags, and the code that reads its value."""

    name: str
    computed: bool
    optional: bool
    required: bool
    body: str

    def flags(self, *, below_computed: bool) -> dict[str, bool]:
        """Return the flags that are set; `below_computed` states whether the enclosing object is computed."""
        # The generator adds `computed` to every settable member of a computed object.
        computed = self.computed and not (below_computed and (self.optional or self.required))
        given = {"computed": computed, "optional": self.optional, "required": self.required}
        return {name: True for name, value in given.items() if value}


@dataclass(frozen=True, kw_only=True)
class MemberWriter:
    """How cdktf serializes one settable member: its nesting and its mapper function."""

    mapper: str
    nesting: str
    storage: str

    @property
    def repeated_block(self) -> str | None:
        """The class of the elements of a block that may be repeated; None for anything else."""
        match = _MAPPED.match(self.mapper)
        return f"{_capital(match[1])}OutputReference" if match else None


@dataclass(frozen=True, kw_only=True)
class Top:
    """A resource, data source or provider class.

    Attributes
    ----------
    framework
        Whether the resource is written with the plugin framework, in which objects have nested attributes. A resource of
        the older SDK has an ``id`` that is optional and computed, or a ``timeouts`` block.
    """

    name: str
    parent: str
    terraform_type: str
    version: str
    framework: bool


@dataclass(kw_only=True)
class Folder:
    """The classes of one folder, by name.

    Attributes
    ----------
    parents
        Class to the cdktf class that it extends.
    written
        Class to the serialization of each of its settable members.
    elements
        List or map class to the class of its elements.
    interfaces, texts
        Source of the interfaces, and of the resource, data source and provider classes.
    """

    parents: dict[str, str] = field(default_factory=dict)
    members: dict[str, list[Member]] = field(default_factory=dict)
    written: dict[str, dict[str, MemberWriter]] = field(default_factory=dict)
    elements: dict[str, str] = field(default_factory=dict)
    interfaces: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> "Folder":
        """Return the classes of a folder from its TypeScript."""
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

    def tops(self) -> Iterator[Top]:
        """Yield the resources, data sources and provider of the folder."""
        for name, text in self.texts.items():
            parent = self.parents[name]
            flags = {m.name: (m.computed, m.optional) for m in self.members[name]}
            yield Top(
                name=name,
                parent=parent,
                terraform_type=_required(r"terraformResourceType: '(\w+)'", text),
                version=_required(r"providerVersion: '([\w.-]+)'", text),
                framework=parent != "TerraformProvider" and flags.get("id") != (True, True) and "timeouts" not in flags,
            )

    def members_of(self, name: str) -> list[Member]:
        """Return the attributes and blocks of a class."""
        # The blocks of a provider have an interface and no class; they are never computed.
        if name not in self.members and name in self.interfaces:
            return [
                Member(name=m[1], computed=False, optional=bool(m[2]), required=not m[2], body="")
                for m in _READONLY.finditer(self.interfaces[name])
            ]
        return self.members[name]

    def element(self, name: str) -> str:
        """Return the class of a list's or map's elements; the class itself if it is neither."""
        return self.elements.get(name, name)

    def _add_class(self, name: str, parent: str, region: str) -> None:
        self.parents[name] = parent
        if match := _ELEMENT.search(region):
            self.elements[name] = match[1]
        if parent == "ComplexObject" or parent.startswith("Terraform"):
            self.members[name] = _members(region, skip="alias" if parent == "TerraformProvider" else "")
        if parent.startswith("Terraform"):
            self.texts[name] = region
            self.written[name] = _written(region[region.find("synthesizeHclAttributes") :])


_REGION = re.compile(r"^export ", re.MULTILINE)
_CLASS = re.compile(r"export class (\w+) extends (?:cdktf\.)?(\w+) \{")
_WRITER = re.compile(r"export function (\w+)ToHclTerraform\(")
_MEMBER = re.compile(r"^  // (\w+) - computed: (true|false), optional: (true|false), required: (true|false)$", re.M)
GETTER = re.compile(r"(Fn\.tolist\()?(?:cdktf\.Token\.\w+\()?this\.(?:get|interpolationFor)(\w*)Attribute\('\w+'\)")
STRUCTURE = re.compile(r'= new (?:cdktf\.)?(\w+)\(this, "\w+"(?:, (true|false))?\)')
_WRITTEN = re.compile(
    r'^ +(\w+): \{\n +value: (.*),\n +isBlock: \w+,\n +type: "(\w+)",\n +storageClassType: "(\w+)",\n', re.MULTILINE
)
_MAPPED = re.compile(r"^cdktf\.listMapperHcl\((\w+)ToHclTerraform, true\)")
_INTERFACE = re.compile(r"export interface (\w+) ")
_READONLY = re.compile(r"#(\w+)\}\n(?:  \*[^\n]*\n)*?  \*/\n  readonly \w+(\??):")
_ELEMENT = re.compile(r"^  public get\((?:index: number|key: string)\): (\w+) \{", re.MULTILINE)


def _members(region: str, *, skip: str) -> list[Member]:
    matches = list(_MEMBER.finditer(region))
    ends = [*(match.start() for match in matches), len(region)][1:]
    return [
        Member(
            name=match[1],
            computed=match[2] == "true",
            optional=match[3] == "true",
            required=match[4] == "true",
            body=region[match.end() : end],
        )
        for match, end in zip(matches, ends, strict=True)
        if match[1] != skip
    ]


def _written(region: str) -> dict[str, MemberWriter]:
    return {m[1]: MemberWriter(mapper=m[2], nesting=m[3], storage=m[4]) for m in _WRITTEN.finditer(region)}


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _required(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise BindingError(f"a class of the bindings states no {pattern.split(':')[0]!r}: it cannot be read.")
    return match[1]
