"""The JSON Schema of a whole stack file, for editors. `make schema` writes it; a test says when it is stale.

Owns: the wrapping of the models' schema into Pulumi's own file (`config`, `gpu-tenancy:platform`).
Leaves to others: what the keys mean (`models.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from settings.load import KUBECONFIG_KEY, NAMESPACE, PLATFORM_KEY
from settings.models import Platform
from settings.workload_parts import SECRET_KEY_PREFIX

SCHEMA_FILE: Final = Path(__file__).parents[1] / "docs" / "stack-file.schema.json"


_NAMES: Final = "|".join(key.partition(":")[2] for key in (PLATFORM_KEY, KUBECONFIG_KEY))
_SECRETS: Final = SECRET_KEY_PREFIX.partition(":")[2]
_ALSO_OURS: Final = rf"^(?:{NAMESPACE}:(?!(?:{_NAMES}|{_SECRETS}.*)$)(?:config:)?[^:]*|[^:]*)$"
"""Keys that the engine takes for ours, and that are not."""


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes from names: an editor would show them instead of the description.
    Checks every key of a mapping, because pydantic's own schema accepts keys that don't match.
    """

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        model = super().model_schema(schema)
        model.pop("title", None)
        return model

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        mapping = super().dict_schema(schema)
        for pattern, values in mapping.pop("patternProperties", {}).items():
            mapping["additionalProperties"] = values
            mapping["propertyNames"] = {**mapping.get("propertyNames", {}), "pattern": pattern}
        return mapping

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        enum = super().enum_schema(schema)
        enum.pop("title", None)
        return enum


def _encrypted(what: str) -> dict[str, object]:
    return {
        "type": "object",
        "description": f"{what}, encrypted by `pulumi config set --secret`",
        "required": ["secure"],
        "additionalProperties": False,
        "properties": {"secure": {"type": "string", "description": "ciphertext"}},
    }


def stack_file_schema() -> dict[str, object]:
    """Return the schema of `Pulumi.<stack>.yaml`. It accepts keys of Pulumi and of other providers."""
    platform = Platform.model_json_schema(schema_generator=_Untitled)
    definitions = platform.pop("$defs")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stack file of gpu-tenancy",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "required": [PLATFORM_KEY],
                "patternProperties": {
                    rf"^{SECRET_KEY_PREFIX}": _encrypted("a secret of a workload or of a host"),
                    _ALSO_OURS: False,
                },
                "properties": {
                    PLATFORM_KEY: platform,
                    KUBECONFIG_KEY: _encrypted("the host's kubeconfig"),
                },
            }
        },
        "$defs": definitions,
    }


def schema_text() -> str:
    """Return the schema as the file has it."""
    return json.dumps(stack_file_schema(), indent=2) + "\n"


def main() -> None:
    """Write the schema."""
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    print(f"wrote {SCHEMA_FILE.relative_to(Path.cwd()) if SCHEMA_FILE.is_relative_to(Path.cwd()) else SCHEMA_FILE}")


if __name__ == "__main__":
    main()
