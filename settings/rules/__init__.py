"""Rules across the fields of a stack file, as pure functions. No Pulumi import.

Owns: which fields may not go together. Each module has the rules about one part of the file; `problems_of` runs all.
Leaves to others: the arithmetic and its messages (`capacity`), the shape (`models.py`), the text (`reader.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import Final, TypeAlias

from settings.models import Platform
from settings.overrides import overrides_end_soon, overrides_say_what_they_are_about
from settings.own_pods import (
    check_queues_are_free,
    restricted_teams_can_run,
    snapshots_can_be_taken,
    storage_holds_the_control_plane,
    team_names_are_free,
    virtual_schedulers_have_nodes,
)
from settings.problems import Problem
from settings.rules.blue_green import slots_can_change_places
from settings.rules.checks import checks_can_run
from settings.rules.enforcement import fractions_can_be_enforced
from settings.rules.host import artifacts_are_known, gpu_software_is_known, shared_kai_is_known
from settings.rules.installs import control_planes_have_a_node, hosts_are_made_in_one_way
from settings.rules.joined import joined_names_stay_apart
from settings.rules.pools import pools_are_disjoint, pools_say_their_nodes, slices_fit_their_gpu
from settings.rules.schedulers import (
    kai_teams_have_queues,
    schedulers_fit_their_mode,
    topologies_are_known,
    virtual_clusters_fit_their_kai,
)
from settings.rules.secrets import secrets_stay_where_they_belong
from settings.rules.slurm import slurm_has_its_own_gpus
from settings.rules.sums import (
    everything_has_room,
    gpus_add_up,
    gpus_fit_the_nodes,
    queues_fit_their_team,
)
from settings.rules.teams import LONGEST_TEAM_NAME, names_fit, teams_have_their_place, tenants_can_be_reached
from settings.slurm_workload_rules import slurm_workers_have_whole_nodes
from settings.workload_pods import RULES as WORKLOAD_POD_RULES
from settings.workload_rules import RULES as WORKLOAD_RULES

Rule: TypeAlias = Callable[[Platform], Iterable[Problem]]

RULES: Final[tuple[Rule, ...]] = (
    shared_kai_is_known,
    gpu_software_is_known,
    pools_say_their_nodes,
    slices_fit_their_gpu,
    pools_are_disjoint,
    names_fit,
    teams_have_their_place,
    schedulers_fit_their_mode,
    slots_can_change_places,
    fractions_can_be_enforced,
    virtual_clusters_fit_their_kai,
    kai_teams_have_queues,
    topologies_are_known,
    checks_can_run,
    tenants_can_be_reached,
    gpus_fit_the_nodes,
    gpus_add_up,
    queues_fit_their_team,
    everything_has_room,
    artifacts_are_known,
    overrides_say_what_they_are_about,
    *WORKLOAD_RULES,
    *WORKLOAD_POD_RULES,
    slurm_workers_have_whole_nodes,
    slurm_has_its_own_gpus,
    hosts_are_made_in_one_way,
    control_planes_have_a_node,
    team_names_are_free,
    storage_holds_the_control_plane,
    snapshots_can_be_taken,
    virtual_schedulers_have_nodes,
    restricted_teams_can_run,
    check_queues_are_free,
    joined_names_stay_apart,
    secrets_stay_where_they_belong,
)
"""Every rule that needs no date, in the order of the file. All of them run, whatever the others report."""


def problems_of(platform: Platform, today: date) -> Iterator[Problem]:
    """Yield the problems that the rules find. `today` bounds how far ahead an override may end."""
    for rule in RULES:
        yield from rule(platform)
    yield from overrides_end_soon(platform, today)
