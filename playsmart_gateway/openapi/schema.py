"""JSON Schemas (draft 2020-12) of the very types that validate and reply."""

import inspect
import re
from collections.abc import Mapping
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{name}"
_NOT_FOR_READERS = re.compile(r" \([cC]ontract[^)]*\)")


def ref(kind: type | str) -> Schema:
    """Point to the schema of a type, or to one by its name."""
    return {"$ref": _REFERENCE.format(name=kind if isinstance(kind, str) else kind.__name__)}


def schemas_of(*kinds: type[msgspec.Struct]) -> dict[str, Schema]:
    """Return the schemas of ``kinds``, and of all that they are made of, by name."""
    made: dict[type, type] = {}
    twins = [_twin(kind, made) for kind in kinds]
    _, components = msgspec.json.schema_components(twins, ref_template=_REFERENCE)
    for schema in components.values():
        text = inspect.cleandoc(schema["description"])  # ours are all described
        schema["description"] = _NOT_FOR_READERS.sub("", text).replace("``", "`")
    return components


def replies_of(*kinds: type[msgspec.Struct]) -> dict[str, Schema]:
    """Like ``schemas_of``, of what we send: every field is there, whatever its default."""
    schemas = schemas_of(*kinds)
    for schema in schemas.values():
        schema["required"] = list(schema["properties"])
        for field in schema["properties"].values():
            field.pop("default", None)
    return schemas


def described(schema: Schema, descriptions: Mapping[str, str]) -> Schema:
    """Return the schema of an object with these descriptions of its properties."""
    properties = dict(schema["properties"])
    for name, description in descriptions.items():
        properties[name] = {"description": description, **properties[name]}
    return {**schema, "properties": properties}


def _twin(kind: Any, made: dict[type, type]) -> Any:
    """Return a type with the same schema, without the defaults that msgspec cannot print."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        made[kind] = twin = made.get(kind) or _twin_struct(kind, made)
        return twin
    arguments = get_args(kind)
    origin = get_origin(kind)
    if origin is Annotated:
        return Annotated[(_twin(arguments[0], made), *arguments[1:])]
    if origin in (Union, UnionType):
        return reduce(or_, (_twin(each, made) for each in arguments))
    if origin is list:
        return list[_twin(arguments[0], made)]  # type: ignore[misc]
    return kind


def _twin_struct(kind: type[msgspec.Struct], made: dict[type, type]) -> type:
    fields = [
        (
            field.name,
            _twin(field.type, made),
            msgspec.field(
                name=field.encode_name,
                **(
                    {"default_factory": object}
                    if isinstance(field.default, msgspec.Raw)
                    else {"default": field.default, "default_factory": field.default_factory}
                ),
            ),
        )
        for field in msgspec.structs.fields(kind)
    ]
    config = kind.__struct_config__
    return msgspec.defstruct(
        kind.__name__,
        fields,
        tag=config.tag,
        tag_field=config.tag_field,
        namespace={"__doc__": kind.__doc__},
        kw_only=True,
    )
