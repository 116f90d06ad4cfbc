"""The GPUs of a cluster or a machine, as the `pools:` block of a stack file. Pure.

Owns: one machine's GPUs from a node's labels or from NVML, equal machines as one pool, the block and its notes.
Leaves to others: reading a cluster (`live.py`) and NVML (`nvml.py`); whether a stack file fits a cluster (`preflight`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import yaml
from pydantic import ValidationError

from cli.preflight import NodeFacts
from cli.preflight.discovered import Discovered, discovered
from names import ARCHITECTURE
from settings.infrastructure import Pool

_MODEL: Final = re.compile(r"[A-Za-z]{1,3}\d{1,4}[A-Za-z]?")
USUAL_PODS: Final = 110
"""The kubelet's --max-pods where nobody sets it, and a pool's default."""
_GIB_IN_BYTES: Final = 1024**3


MIXED: Final = "MIG of strategy mixed: its slices can't be given to teams, KAI takes no whole GPUs there"
BY_HAND: Final = "MIG cuts its GPUs: write gpusPerNode in whole GPUs and sharing.mig by hand (docs/stack-file.md)"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A node, or the machine that the command runs on. `gpus` are physical ones."""

    name: str
    gpus: int
    architecture: str = ""
    product: str = ""
    memory_mib: int | None = None
    """Memory of one GPU; None where it is not known."""
    replicas: int = 1
    way: str = ""
    """How GPUs are shared: `timeSlicing`, `mps`, `mig` where NVML counts each GPU's slices, or empty for not at all."""
    profile: str = ""
    """With `mig`: the profile of the slices; then `replicas` is the number of a GPU's slices."""
    driver: str = ""
    cpu: Decimal = Decimal(0)
    """Allocatable CPU in cores."""
    memory: Decimal = Decimal(0)
    """Allocatable memory in bytes."""
    pods: int = USUAL_PODS
    """Allocatable pods."""
    mig: str = ""
    """MIG slices in words; empty: none."""
    cut: str = ""
    """The one MIG profile of all its GPUs; then `gpus` counts slices, and the number of GPUs is not known."""
    notes: tuple[str, ...] = ()

    @property
    def left_out(self) -> str:
        """Why no pool can contain it; empty where one can."""
        return MIXED if MIXED in self.notes else BY_HAND if self.cut else ""

    @property
    def kind(self) -> tuple[object, ...]:
        """The key of a pool: machines of one kind make one pool."""
        return (
            self.gpus,
            self.product,
            self.memory_mib,
            self.architecture,
            self.replicas,
            self.way,
            self.profile,
            self.pods,
            self.cut,
            self.left_out,
        )


def machine_of(node: NodeFacts) -> Machine:
    """Return a node's GPUs, by feature discovery's labels if it has them, else by what the device plugin advertises."""
    said = discovered(node.labels)
    advertised = max(node.gpu_capacity or 0, node.gpus or 0)
    slices = {name: amount for name, amount in node.mig_slices.items() if amount}
    replicas = said.replicas or _told_by_numbers(said, advertised, slices)
    gpus = said.count if said.count is not None else advertised // replicas
    return Machine(
        name=node.name,
        gpus=gpus,
        architecture=node.labels.get(ARCHITECTURE, ""),
        product=said.plain_product if gpus else "",
        # the label has the whole GPU's memory, however it is shared (k8s-device-plugin v0.20.0:internal/lm/resource.go)
        memory_mib=said.memory_mib if gpus else None,
        replicas=replicas,
        way=said.way if replicas > 1 else "",
        driver=said.driver,
        cpu=node.cpu,
        memory=node.memory,
        pods=node.pods,
        mig=", ".join(f"{amount} x {name}" for name, amount in sorted(slices.items())) or said.cut,
        cut=said.cut,
        notes=tuple(_notes(node, said, gpus, advertised, replicas)),
    )


def _told_by_numbers(said: Discovered, advertised: int, slices: Mapping[str, int]) -> int:
    """Replicas if feature discovery does not say them: the advertised number divided by the labelled number of GPUs."""
    if not said.count or slices or said.cut or advertised % said.count:
        return 1
    return max(advertised // said.count, 1)


def _notes(node: NodeFacts, said: Discovered, gpus: int, advertised: int, replicas: int) -> Iterator[str]:
    if not node.ready:
        yield "not Ready"
    if node.cordoned:
        yield "cordoned"
    if node.gpus is not None and node.gpus < advertised:
        yield f"{advertised - node.gpus} of {advertised} are unhealthy"
        if replicas > 1:
            yield "a sick GPU's other replicas still get pods"
    if gpus and not advertised:
        yield "no device plugin advertises its GPUs"
    elif gpus and advertised != gpus * replicas and not node.mig_slices:
        yield f"advertises {advertised}, which is not {gpus} GPUs x {replicas}"
    elif replicas > 1 and said.replicas is None:
        yield "that its GPUs are shared follows from the numbers alone (no feature discovery)"
    # strategy `single` alone means nothing: the GPU Operator sets it on nodes with whole GPUs, too
    if said.strategy == "mixed" or any(node.mig_slices.values()):
        yield MIXED
    elif said.cut:
        yield BY_HAND
    if gpus and said.memory_mib is None:
        yield "nobody says the memory of its GPUs (no feature discovery): gpuMemoryMib is left out"
    if node.taints:
        yield "taints " + ", ".join(map(str, node.taints))


def pools_of(machines: Iterable[Machine]) -> dict[str, list[Machine]]:
    """Machines of one kind together, with a name from their GPU: `h100`, `gpu`, `cpu`, `h100-2`."""
    kinds: dict[tuple[object, ...], list[Machine]] = {}
    for machine in machines:
        kinds.setdefault(machine.kind, []).append(machine)
    found: dict[str, list[Machine]] = {}
    for alike in kinds.values():
        base = _base(alike[0])
        name, number = base, 1
        while name in found:
            number += 1
            name = f"{base}-{number}"
        found[name] = alike
    return found


def _base(machine: Machine) -> str:
    if not machine.gpus:
        return "cpu"
    words = re.split(r"[\s_-]+", machine.product)
    return next((word.lower() for word in words if _MODEL.fullmatch(word)), "gpu")


def pool_settings(alike: Sequence[Machine]) -> dict[str, object]:
    """The settings of one pool, as a stack file has them. Unknown values are left out."""
    first = alike[0]
    found: dict[str, object] = {"nodes": [machine.name for machine in alike], "gpusPerNode": first.gpus}
    if first.memory_mib:
        found["gpuMemoryMib"] = first.memory_mib
    if first.product:
        found["product"] = first.product
    if first.architecture in ("amd64", "arm64"):
        found["architecture"] = first.architecture
    if first.pods != USUAL_PODS:
        found["podsPerNode"] = first.pods
    if first.profile:
        found["sharing"] = {"mig": {"profile": first.profile, "slices": first.replicas}}
    elif first.way:
        found["sharing"] = {first.way: {"replicas": first.replicas}}
    return found


def block(pools: Mapping[str, Sequence[Machine]]) -> str:
    """Return the `pools:` block, indented as in a stack file. A machine that no pool can contain becomes a comment."""
    lines = ["    pools:"]
    for name, alike in pools.items():
        settings = pool_settings(alike)
        shown = yaml.safe_dump(settings, default_flow_style=True, sort_keys=False, width=sys.maxsize).strip()
        if alike[0].left_out:
            lines.append(f"      # {name}: {shown}: {alike[0].left_out}")
            continue
        try:
            Pool.model_validate(settings)
        except ValidationError as error:
            reason = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            lines.append(f"      # {name}: {shown}: {' '.join(reason.split())}")
            continue
        lines.append(f"      {name}: {shown}")
    return "\n".join(lines) + "\n"


def rows(machines: Iterable[Machine]) -> list[tuple[str, ...]]:
    """A table's rows: name, architecture, GPUs, product, memory of one, sharing, MIG, driver, CPU, memory, notes."""
    return [
        (
            machine.name,
            machine.architecture or "?",
            str(machine.gpus),
            machine.product or ("-" if not machine.gpus else "?"),
            f"{machine.memory_mib} MiB" if machine.memory_mib else "-" if not machine.gpus else "?",
            f"{machine.way} x {machine.replicas}" if machine.way else "-",
            machine.mig or "-",
            machine.driver or "-",
            f"{machine.cpu.normalize():f}" if machine.cpu else "-",
            f"{machine.memory / _GIB_IN_BYTES:.0f} GiB" if machine.memory else "-",
            "; ".join(machine.notes) or "-",
        )
        for machine in machines
    ]


HEADERS: Final = ("machine", "arch", "GPUs", "product", "memory", "sharing", "MIG", "driver", "CPU", "RAM", "notes")
