"""NodePorts of the tenants' API servers. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from capacity.claims import Verdict

NODE_PORTS: Final = range(30000, 32768)
"""The API server's default --service-node-port-range."""


def node_port(team: str) -> int:
    """Return the NodePort of a team's API server, from its name alone.

    Never from its position in the file: the engine creates before it deletes, so a port that moved from a removed team
    to a new one would still be "already allocated".
    """
    digest = hashlib.sha256(team.encode()).digest()
    return NODE_PORTS.start + int.from_bytes(digest[:8]) % len(NODE_PORTS)


def port_clashes(ports: Mapping[str, int]) -> list[Verdict]:
    """Return a verdict for every tenant whose NodePort another one before it in the file has already."""
    holders: dict[int, str] = {}
    taken = set(ports.values())
    verdicts = []
    for name, port in ports.items():
        if port not in holders:
            holders[port] = name
            continue
        free = next((other for other in (*range(port, NODE_PORTS.stop), *NODE_PORTS) if other not in taken), None)
        taken.add(free or port)
        verdicts.append(
            Verdict(
                about=(holders[port], name),
                field="port",
                rule="each team's NodePort must be its own (where none is written it follows from the team's name)",
                got=f"{port} for {holders[port]} and {name}",
                fix=f"write port: {free}" if free is not None else "use expose: loadBalancer, no NodePort is left",
            )
        )
    return verdicts
