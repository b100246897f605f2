"""The JSON Schema of study files, for completion and checks in editors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from n2n_ablate.components import RECIPE_KINDS
from n2n_ablate.components.parameters import Parameter
from n2n_ablate.study.schema import StudyTable

DRAFT = "https://json-schema.org/draft/2020-12/schema"


class Entry(Protocol):
    """What is known of a component, see `registry.Entry`."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def parameters(self) -> tuple[Parameter, ...]: ...  # noqa: D102


def json_schema(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return the JSON Schema of study files.

    `entries`: the components whose names and parameters an editor offers. Others stay allowed: a study may
    use any plugin.
    """
    kinds: dict[str, list[Entry]] = {}
    for entry in entries:
        kinds.setdefault(entry.kind, []).append(entry)
    schema = _with_components(StudyTable.model_json_schema(), kinds)
    tables = schema["$defs"]
    keys = _keys(kinds)
    properties = schema["properties"]
    for table in (
        tables["Profile"]["properties"]["set"],
        properties["references"]["additionalProperties"],
        properties["contrasts"]["items"],
    ):
        table["properties"] = {key: {"description": text} for key, text in keys.items()}
    properties["factors"]["properties"] = {
        key: {"$ref": "#/$defs/FactorTable", "description": text} for key, text in keys.items()
    }
    return {"$schema": DRAFT, **schema, "title": "n2n-ablate study"}


def _with_components(schema: Any, kinds: dict[str, list[Entry]]) -> Any:
    """Return a schema in which every component offers the names and parameters of its kind."""
    if isinstance(schema, list):
        return [_with_components(part, kinds) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema_of = {key: _with_components(part, kinds) for key, part in schema.items()}
    if isinstance(text := schema_of.get("description"), str):
        schema_of["description"] = " ".join(text.split())
    kind = schema_of.pop("component", None)
    if kind is None:
        return schema_of
    form = _component(kinds.get(kind, []))
    if "items" in schema_of:
        return {**schema_of, "items": form}
    return {**schema_of, "anyOf": form["anyOf"]}


def _component(entries: list[Entry]) -> dict[str, Any]:
    names = [entry.name for entry in entries]
    parameters: dict[str, list[str]] = {}
    for entry in entries:
        for parameter in entry.parameters:
            text = f"{entry.name}: {parameter.type_name}"
            text += "" if parameter.domain is None else f", {parameter.domain}"
            parameters.setdefault(parameter.name, []).append(text)
    properties = {name: {"description": "; ".join(texts)} for name, texts in parameters.items()}
    name = {"anyOf": [{"enum": names}, {"type": "string"}]}
    table = {"type": "object", "properties": {"name": name, **properties}, "required": ["name"]}
    return {"anyOf": [*name["anyOf"], table]}


def _keys(kinds: dict[str, list[Entry]]) -> dict[str, str]:
    """Return every `kind` and `kind.parameter` of a recipe, with which components have it."""
    described = {kind: f"the whole {kind}" for kind in RECIPE_KINDS}
    for kind in RECIPE_KINDS:
        having: dict[str, list[str]] = {}
        for entry in kinds.get(kind, []):
            for parameter in entry.parameters:
                having.setdefault(f"{kind}.{parameter.name}", []).append(entry.name)
        described |= {key: f"of {', '.join(names)}" for key, names in having.items()}
    return described
