"""The table: what a change of each field of a stack file does. Preview, gate, lab and report read this one.

A field says itself what a change of it does (`settings/on_change.py`), and what many fields say has its judge in
`JUDGES`. A field that is judged by rules of its own has a row in a section here. A test asks for one of the two.
`python -m preview` writes docs/changes.md from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache, lru_cache
from typing import Final

from preview.facts import fields
from preview.judges import machines, numbers
from preview.judges import workloads as workload_judges
from preview.kinds import Judge, Row
from preview.table import host, teams, workloads
from settings.hosts.install import OTHER_KUBERNETES
from settings.on_change import OnChange
from settings.sharing import OTHER_UNIT
from settings.workload_parts import MORE_PODS, OTHER_ADDRESS, RESTARTS

ROWS: Final[tuple[Row, ...]] = (
    *host.HOST,
    *host.MACHINES,
    *host.GPU,
    *host.SLURM,
    *teams.POOLS,
    *teams.PLACE,
    *teams.NUMBERS,
    *teams.CLUSTER,
    *workloads.WORKLOADS,
)

JUDGES: Final[Mapping[OnChange, Judge]] = {
    OTHER_KUBERNETES: machines.host_kubernetes,
    OTHER_UNIT: numbers.unit,
    RESTARTS: workload_judges.restarts,
    MORE_PODS: workload_judges.replicas,
    OTHER_ADDRESS: workload_judges.address,
}

NOT_IN_TABLE: Final = "this program does not know what a change of it does"


@cache
def table() -> tuple[Row, ...]:
    """Every row, in the order of the stack file; in front what is no field."""
    own, there = {row.field: row for row in ROWS}, fields()
    found = [row for row in ROWS if row.field not in there]
    for field, does in there.items():
        if does is not None:
            found.append(Row(field=field, judge=JUDGES.get(does), **asdict(does)))
        elif field in own:
            found.append(own[field])
    return tuple(found)


@lru_cache(maxsize=4096)
def row_of(path: str) -> Row | None:
    """Return the row of a path like `teams.ml.queues.training.gpu.limit`; None where the table has none."""
    return next((row for row in table() if fits(row.field, path)), None)


def fits(field: str, path: str) -> bool:
    """Whether a path is that of a field; `*` in the field is any name."""
    one, other = field.split("."), path.split(".")
    return len(one) == len(other) and all(step in ("*", named) for step, named in zip(one, other, strict=True))
