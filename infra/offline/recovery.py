"""Recovers provider schemas from the TypeScript that cdktf generated from them.

The result has the form of ``terraform providers schema -json``. The file `facts.yaml` adds what the generator drops: limits
above one on the number of blocks, sensitivity, deprecation, versions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.offline.bindings import BindingError
from infra.offline.generated import GETTER, STRUCTURE, Folder, Member, MemberWriter

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
        If the reader does not know the form of an attribute; it never guesses.
    """
    found: Schema = {"version": None, "provider": None, "resources": {}, "data_sources": {}}
    for text in sources.values():
        folder = Folder.read(text)
        for top in folder.tops():
            schema = {"block": _Resource(folder=folder, framework=top.framework).block(top.name)}
            if top.parent == "TerraformProvider":
                found["provider"], found["version"] = schema, top.version
            else:
                kind = "resources" if top.parent == "TerraformResource" else "data_sources"
                found[kind][top.terraform_type] = schema
    if found["provider"] is None:
        raise BindingError("the bindings hold no provider class: their schemas cannot be recovered.")
    return found


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
class _Resource:
    """The schema of one resource, from the classes of its folder.

    Attributes
    ----------
    framework
        Whether objects have nested attributes; see `generated.Top`.
    """

    folder: Folder
    framework: bool

    def block(self, name: str, *, below_computed: bool = False) -> Schema:
        attributes: Schema = {}
        blocks: Schema = {}
        for member in self.folder.members_of(name):
            written = self.folder.written.get(name, {}).get(member.name)
            flags = member.flags(below_computed=below_computed)
            structure = STRUCTURE.search(member.body)
            if written and written.repeated_block:
                blocks[member.name] = self._block({"nesting_mode": written.nesting}, written.repeated_block, member)
            elif structure is None or structure[1] in _MAPS:
                attributes[member.name] = {"type": _plain_type(name, member, written, structure), **flags}
            elif (limits := self._single_block_limits(structure[1], written)) is not None:
                blocks[member.name] = self._block(limits, structure[1], member)
            else:
                nesting = self._nesting(structure, written)
                below = below_computed or (member.computed and not member.optional)
                attributes[member.name] = {**self._object(structure[1], nesting, below), **flags}
        return {**({"attributes": attributes} if attributes else {}), **({"block_types": blocks} if blocks else {})}

    def _block(self, limits: Schema, element: str, member: Member) -> Schema:
        # A single block has no count: it exists or not.
        minimum = {"min_items": 1} if member.required and limits["nesting_mode"] != "single" else {}
        return {**limits, **minimum, "block": self.block(element)}

    def _single_block_limits(self, structure: str, written: MemberWriter | None) -> Schema | None:
        """Return nesting and maximum number of a block that may not be repeated, or None for an attribute."""
        if written is None:
            return None
        single = self.folder.parents.get(structure) == "ComplexObject"
        if single and written.nesting in ("list", "set"):
            return {"nesting_mode": written.nesting, "max_items": 1}
        return {"nesting_mode": "single"} if written.nesting == "struct" and not self.framework else None

    def _nesting(self, structure: re.Match[str], written: MemberWriter | None) -> str:
        if written and written.nesting != "struct":
            return written.nesting
        parent = self.folder.parents.get(structure[1])
        if parent in ("ComplexObject", "ComplexMap"):
            return "single" if parent == "ComplexObject" else "map"
        return "set" if structure[2] == "true" else "list"

    def _object(self, structure: str, nesting: str, below_computed: bool) -> Schema:
        if not self.framework:
            return {"type": [nesting, self._object_type(structure)]}
        inner = self.block(self.folder.element(structure), below_computed=below_computed)
        return {"nested_type": {**inner, "nesting_mode": nesting}}

    def _object_type(self, structure: str) -> Any:
        element = self.folder.element(structure)
        if self.folder.parents.get(element) == "ComplexList":
            return ["list", self._object_type(element)]
        return _type_of_block(self.block(element))


def _type_of_block(block: Schema) -> Any:
    fields = {name: attribute["type"] for name, attribute in block.get("attributes", {}).items()}
    for name, nested in block.get("block_types", {}).items():
        fields[name] = [nested["nesting_mode"], _type_of_block(nested["block"])]
    return ["object", fields]


def _plain_type(owner: str, member: Member, written: MemberWriter | None, structure: re.Match[str] | None) -> Any:
    if structure:
        return _MAPS[structure[1]]
    getter = GETTER.search(member.body)
    kind = _PRIMITIVES.get(getter[2]) if getter else None
    if written and written.storage in _STORAGE and (kind is None or written.nesting == "set"):
        kind = _STORAGE[written.storage]
    if kind is None:
        raise BindingError(f"the type of {owner}.{member.name} is written in a way that is not known here.")
    is_set = bool(getter and getter[1]) or bool(written and written.nesting == "set")
    return ["set", kind[1]] if is_set else kind
