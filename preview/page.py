"""docs/changes.md, written from the table of fields. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from preview.kinds import Kind, Row
from preview.table import table

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "changes.md"

_HEAD: Final = """\
# What a change does

`python -m preview` writes this page. Preview, gate, lab and the pull request's comment use the same sentences.

| kind | means | needs an override |
| --- | --- | --- |
| in place | nobody notices | no |
| disruptive | something does not answer for a while, or a limit is lower from now on; nothing that runs is lost | no |
| replacing | an object is deleted and made anew; what the team keeps in it is not touched | no |
| losing | something that exists or runs is gone afterwards | yes |
| unknown | a preview can't see it | yes |

The kind below is the worst that a change of the field can be. The real one depends on the two values, and often on what
runs now: a lower limit that still covers what runs is disruptive, one below it is losing. If it is not known what runs,
the change counts as losing ([how to tell the gate](policies.md#the-gate)). An override lets a loss through until a date
([overrides](stack-file.md#overrides)).

To add a team, a pool, a queue or a workload, or to raise a number, loses nothing. To remove a team needs `delete`. To
add a canary needs no override, nor to remove one in which nothing runs. The program refuses the deletion of a
resource that it does not know. It refuses an unknown operation, too, and for that there is no override.

"""


_SOURCES: Final = (
    "Sources: VC is github.com/loft-sh/vcluster, KAI github.com/kai-scheduler/KAI-Scheduler, DP\n"
    "github.com/NVIDIA/k8s-device-plugin, each at a tag; VD is github.com/loft-sh/vcluster-docs, K8S Kubernetes' own\n"
    "documentation. A path without any of these is in this repository."
)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _row(row: Row) -> str:
    cells = (f"`{row.field}`", row.kind.value, row.means, f"`{row.allow}`" if row.allow else "", row.source)
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def markdown() -> str:
    lines = [_HEAD + "| field | at worst | what happens | override | source |", "| --- | --- | --- | --- | --- |"]
    lines += [_row(row) for row in table()]
    counts = ", ".join(f"{sum(row.kind is kind for row in table())} {kind}" for kind in Kind)
    return "\n".join([*lines, "", f"{len(table())} fields: {counts}.", "", _SOURCES]) + "\n"
