"""docs/changes.md, written from the table of fields. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from preview.kinds import Kind, Row
from preview.table import table

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "changes.md"

_HEAD: Final = """\
# What a change does

Written by `python -m preview` from what each field says in `settings`, and from `preview/table` where that depends on
more. Preview, gate, lab and the pull request's comment read the same.

| kind | means | needs an override |
| --- | --- | --- |
| in place | nobody notices | no |
| disruptive | something does not answer for a while, or less may be had from now on; nothing that runs is lost | no |
| replacing | an object is deleted and made anew; what the team keeps in it is not touched | no |
| losing | something that is there, or that runs, is gone afterwards | yes |
| unknown | nobody can say from here | yes |

The kind below is the worst that a change of the field can be. Whether it is that depends on the two values, and often
on what runs now: a lower limit that still covers what runs is disruptive, one below it is losing. Where nobody knows
what runs, it counts as losing. To let the gate know:

```sh
kubectl get resourcequota,pods -A -o json > usage.json
python -m policies.gate --preview preview.json --stack-file Pulumi.prod.yaml --usage usage.json
```

An override says what may happen, to which team, until when and why. `anotherCluster` and `slurm` are about all teams at
once and name none:

```yaml
overrides:
  - {team: ml, allow: [replace], until: 2026-12-31, reason: ml moved its work to another cluster}
  - {allow: [anotherCluster], until: 2026-12-31, reason: the old host is given back}
```

Adding a team, a pool, a queue or a workload, and raising a number, lose nothing. Removing a team needs `delete`; a
canary comes and goes while nothing runs in it. A resource whose deletion this program has no word on is refused, and so
is an operation of a preview that it does not know; for the latter there is no override.

"""


_SOURCES: Final = (
    "Sources: VC is github.com/loft-sh/vcluster, KAI github.com/kai-scheduler/KAI-Scheduler, DP\n"
    "github.com/NVIDIA/k8s-device-plugin, each at a tag; VD is github.com/loft-sh/vcluster-docs, K8S Kubernetes' own\n"
    "documentation. A path without any of them is this repository's."
)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _row(row: Row) -> str:
    cells = (f"`{row.field}`", row.kind.value, row.means, f"`{row.allow}`" if row.allow else "", row.source)
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def markdown() -> str:
    """The page."""
    lines = [_HEAD + "| field | at worst | what happens | override | source |", "| --- | --- | --- | --- | --- |"]
    lines += [_row(row) for row in table()]
    counts = ", ".join(f"{sum(row.kind is kind for row in table())} {kind}" for kind in Kind)
    return "\n".join([*lines, "", f"{len(table())} fields: {counts}.", "", _SOURCES]) + "\n"
