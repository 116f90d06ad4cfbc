"""Rows of `pools`. Data."""

from __future__ import annotations

from typing import Final

from preview.judges import nodes
from preview.kinds import Kind, Row
from preview.table.sources import GONE_NODES

POOLS: Final[tuple[Row, ...]] = (
    Row(
        field="pools.*.nodes",
        kind=Kind.LOSING,
        means="a team that no longer sees a node loses its pods there",
        allow="lowerLimit",
        judge=nodes.lost,
        source=GONE_NODES,
    ),
    Row(
        field="pools.*.selector",
        kind=Kind.LOSING,
        means="other nodes: a team that no longer sees a node loses its pods there",
        allow="lowerLimit",
        judge=nodes.lost,
        source=GONE_NODES,
    ),
)
