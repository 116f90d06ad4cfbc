"""The table: what a change of each field of a stack file does. Data. Preview, gate, lab and report read it.

Every field of `settings.models` that a user can edit has a row here; a test checks that. To add a field, add its row,
with a source, to its section. `python -m preview` writes docs/changes.md from it.

Sources: VC = github.com/loft-sh/vcluster, VD = github.com/loft-sh/vcluster-docs, KAI =
github.com/kai-scheduler/KAI-Scheduler, DP = github.com/NVIDIA/k8s-device-plugin, GO =
github.com/NVIDIA/gpu-operator, each TAG:path; K8S = Kubernetes' docs.
A path without a tag is this repository's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from preview.kinds import Row
from preview.table import host, pools, teams, workloads

TABLE: Final[tuple[Row, ...]] = (
    *host.HOST,
    *host.MACHINES,
    *host.GPU,
    *host.METRICS,
    *host.SLURM,
    *pools.POOLS,
    *teams.PLACE,
    *teams.SLOTS,
    *teams.NUMBERS,
    *teams.CLUSTER,
    *workloads.WORKLOADS,
    *pools.REST,
)

NOT_IN_TABLE: Final = "this program has no word on what a change of it does"


@lru_cache(maxsize=4096)
def row_of(path: str) -> Row | None:
    """Return the row of a path like `teams.ml.queues.training.gpu.limit`; None where the table has none."""
    steps = path.split(".")
    return next((row for row in TABLE if _fits(row.field.split("."), steps)), None)


def _fits(field: list[str], steps: list[str]) -> bool:
    return len(field) == len(steps) and all(one in ("*", other) for one, other in zip(field, steps, strict=True))
