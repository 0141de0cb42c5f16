"""Converts schemas to messages of the plugin protocol, from the form of ``terraform providers schema -json``."""

import json
from collections.abc import Mapping
from typing import Any

from tf.gen import tfplugin_pb2 as pb

_FLAGS = ("required", "optional", "computed", "sensitive", "deprecated")


def schema_message(schema: Mapping[str, Any]) -> Any:
    """Return one resource's, data source's or provider's schema as a protocol message."""
    return pb.Schema(version=schema.get("version", 0), block=_block(schema["block"]))


def _block(block: Mapping[str, Any]) -> Any:
    return pb.Schema.Block(
        attributes=[_attribute(name, attribute) for name, attribute in block.get("attributes", {}).items()],
        block_types=[_nested_block(name, nested) for name, nested in block.get("block_types", {}).items()],
        deprecated=block.get("deprecated", False),
    )


def _attribute(name: str, attribute: Mapping[str, Any]) -> Any:
    message = pb.Schema.Attribute(name=name, **{flag: attribute.get(flag, False) for flag in _FLAGS})
    if nested := attribute.get("nested_type"):
        message.nested_type.nesting = pb.Schema.Object.NestingMode.Value(nested["nesting_mode"].upper())
        message.nested_type.attributes.extend(_attribute(n, a) for n, a in nested.get("attributes", {}).items())
    else:
        message.type = json.dumps(attribute["type"]).encode()
    return message


def _nested_block(name: str, nested: Mapping[str, Any]) -> Any:
    return pb.Schema.NestedBlock(
        type_name=name,
        block=_block(nested["block"]),
        nesting=pb.Schema.NestedBlock.NestingMode.Value(nested["nesting_mode"].upper()),
        min_items=nested.get("min_items", 0),
        max_items=nested.get("max_items", 0),
    )
