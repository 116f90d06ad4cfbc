"""The texts of a stack file as `Annotated` types: names, addresses, versions, images, reasons. Pure: no Pulumi import.

Owns: the grammar and the message of each text, the same for the loader and the JSON Schema.
Leaves to others: the grammars themselves (`grammar.py`), numbers, quantities and days (`types.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from settings import grammar
from settings.problems import shown

ANY_NAME: Final = "any name"
"""Key of pydantic's validation context. Where it is true, any name is accepted: a wrong name is reported once, and must
not hide mistakes below it.
"""


@dataclass(frozen=True, kw_only=True)
class Text:
    """Metadata of a text type: what must match, and the message for what does not."""

    rule: str
    """Follows "must be"."""
    pattern: str
    """Without anchors. Understood by Python and by the readers of JSON Schema (ECMA 262)."""
    longest: int
    example: str
    by_rule: bool = False
    """Only the schema checks it. In the loader a rule with several messages does (`artifacts.py`)."""
    stand_in: str = "stand-in-{}"
    """A valid text that nobody writes, with a place for a number (`repair.py`)."""

    def check(self, value: object, info: core_schema.ValidationInfo) -> object:
        """Raise `ValueError` for a text that breaks the rule. The next step refuses what is no text."""
        if not isinstance(value, str) or (info.context and info.context.get(ANY_NAME)):
            return value
        if self.by_rule:
            if len(value) > self.longest:
                # without the value: it may hold a password
                raise ValueError(f"must be at most {self.longest} characters long, got {len(value)}")
            return value
        if len(value) <= self.longest and re.fullmatch(self.pattern, value) is not None:
            return value
        raise ValueError(f"must be {self.rule}, got {shown(value)}; write it like {self.example}")

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": grammar.anchored(self.pattern), "maxLength": self.longest}


DnsLabel = Annotated[
    str,
    Text(
        rule="a DNS label (lower-case letters, digits and '-', at most 63 characters)",
        pattern=grammar.DNS_LABEL,
        longest=63,
        example="'ml' or 'research-2'",
    ),
]
"""A name that Kubernetes accepts for namespaces and services (RFC 1123 label)."""

_SUBDOMAIN_RULE: Final = "(lower-case letters, digits, '-' and '.', at most 253 characters)"

NodeName = Annotated[
    str,
    Text(
        rule=f"a node's name as kubectl shows it {_SUBDOMAIN_RULE}",
        pattern=grammar.DNS_SUBDOMAIN,
        longest=253,
        example="'gpu-0'",
    ),
]

StorageClassName = Annotated[
    str,
    Text(
        rule=f"a StorageClass's name {_SUBDOMAIN_RULE}",
        pattern=grammar.DNS_SUBDOMAIN,
        longest=253,
        example="'fast-ssd'",
    ),
]

LabelKey = Annotated[
    str,
    Text(
        rule="a label's key (an optional DNS name and '/', then at most 63 letters, digits, '-', '_' and '.')",
        pattern=grammar.LABEL_KEY,
        longest=317,
        example="'node.kubernetes.io/instance-type'",
    ),
]

_LABEL_VALUE_RULE: Final = "(at most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends)"

LabelValue = Annotated[
    str,
    Text(
        rule=f"a label's value {_LABEL_VALUE_RULE}",
        pattern=f"(?:{grammar.LABEL_VALUE})?",
        longest=63,
        example="'l40s-4'",
    ),
]

ProductName = Annotated[
    str,
    Text(
        rule=f"a GPU's product as the node's label says it {_LABEL_VALUE_RULE}",
        pattern=grammar.LABEL_VALUE,
        longest=63,
        example="'NVIDIA-H200'",
    ),
]

MigProfile = Annotated[
    str,
    Text(
        rule="a MIG profile: compute slices and memory",
        pattern=grammar.MIG_PROFILE,
        longest=20,
        example="'1g.10gb' (`nvidia-smi mig -lgip` lists what the GPU offers)",
        stand_in="1g.{}gb",
    ),
]

HostName = Annotated[
    str,
    Text(
        rule="a DNS name (letters, digits, '-' and '.', no scheme, no port, no '*')",
        pattern=grammar.HOST_NAME,
        longest=253,
        example="'ml.example.com'",
    ),
]

HostAddress = Annotated[
    str,
    Text(
        rule="a DNS name or an IP address, without scheme and port",
        pattern=grammar.HOST_ADDRESS,
        longest=253,
        example="'10.0.0.5' or 'gpu.example.com'",
    ),
]

UserName = Annotated[
    str,
    Text(
        rule="a user's name (lower-case letters, digits, '-' and '_', at most 32 characters)",
        pattern=r"[a-z_][-a-z0-9_]{0,31}",
        longest=32,
        example="'ubuntu'",
    ),
]

EnvName = Annotated[
    str,
    Text(
        rule="an environment variable's name (letters, digits and '_')",
        pattern=r"[A-Za-z_][A-Za-z0-9_]*",
        longest=128,
        example="'API_TOKEN'",
        stand_in="stand_in_{}",
    ),
]

RunTime = Annotated[
    str,
    Text(
        rule="a time: a whole number and s, m or h, from 1s to 999h",
        pattern=r"[1-9][0-9]{0,2}[smh]",
        longest=4,
        example="'90s', '10m' or '2h'",
        stand_in="{}s",
    ),
]
"""A duration as KAI reads it (Go's time.Duration)."""

Version = Annotated[
    str,
    Text(
        rule="a release's version",
        pattern=grammar.VERSION,
        longest=64,
        example="'v0.16.8'",
        stand_in="0.0.{}",
    ),
]

ImageReference = Annotated[
    str,
    Text(
        rule="an image: registry and path in lower case, then :tag or @sha256:digest",
        pattern=grammar.IMAGE,
        longest=512,
        example="'docker.io/pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime'",
    ),
]

_PLAIN_RULE: Final = "on one line, without control, invisible or direction-changing characters"

ContextName = Annotated[
    str,
    Text(
        rule=f"a context's name {_PLAIN_RULE}",
        pattern=grammar.PLAIN,
        longest=500,
        example="'gpu-prod' (`kubectl config get-contexts`)",
    ),
]

ChartKey = Annotated[
    str,
    Text(
        rule="a chart of this program, perhaps with @ and a version",
        pattern=grammar.PLAIN,
        longest=300,
        example="'vcluster@0.36.1'",
        by_rule=True,
    ),
]

ChartPlace = Annotated[
    str,
    Text(
        rule="an oci:// or https:// URL or a local path, without spaces",
        pattern=grammar.CHART_PLACE,
        longest=1000,
        example="'oci://registry.example.com/charts/vcluster'",
        by_rule=True,
    ),
]

Registry = Annotated[
    str,
    Text(
        rule="a host, perhaps with a port and a path in lower case",
        pattern=grammar.REGISTRY,
        longest=300,
        example="'registry.example.com:5000/mirror'",
        by_rule=True,
    ),
]

Reason = Annotated[
    str,
    Text(
        rule=f"10 to 500 characters {_PLAIN_RULE}, without a blank at either end",
        pattern=grammar.REASON,
        longest=500,
        example="'the team moved to the shared pool'",
        stand_in="a stand-in reason {}",
    ),
]


def _no_content(value: object) -> object:
    if isinstance(value, str) and ("\n" in value or "apiVersion" in value):
        # the content stays out of the message: it holds credentials
        message = (
            "must be a path, got a kubeconfig's content; remove it, and give the content with "
            "`pulumi config set --secret gpu-tenancy:kubeconfig`"
        )
        raise ValueError(message)
    return value


KubeconfigPath = Annotated[
    str,
    Text(
        rule=f"a path {_PLAIN_RULE}",
        pattern=f"(?!.*apiVersion){grammar.PLAIN}",
        longest=4096,
        example="'~/.kube/config'",
    ),
    BeforeValidator(_no_content),
]
