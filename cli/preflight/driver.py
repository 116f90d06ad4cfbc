"""Whether a node's driver is new enough for what its teams need from KAI. Pure.

Owns: reading the driver's version from the node's labels. Leaves to others: who needs which (`gpus.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from cli.preflight.discovered import discovered
from cli.preflight.facts import NodeFacts
from cli.preflight.findings import Finding, error, warning


def driver_findings(needed: int, node: NodeFacts, subject: str) -> Iterator[Finding]:
    """Whether a node's driver can limit pods to their part of a GPU, by the label of NVIDIA's feature discovery.

    `needed`: the oldest major version; 0 means any.
    """
    if not needed:
        return
    major = discovered(node.labels).driver_major
    fix = f"update it to r{needed}, or write gpuSharing: true for the teams there"
    if major is None:
        yield warning(
            "driver-not-known",
            subject,
            f"has no label for its driver, and enforce: memory needs r{needed}",
            f"look on the node (nvidia-smi): {fix}",
        )
    elif major < needed:
        yield error("driver-too-old", subject, f"has driver r{major}; enforce: memory needs r{needed}", fix)
