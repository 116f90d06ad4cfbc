"""Drills: the four failures of a shared scheduler, planted in one team's virtual cluster while another team works.

Run by `make drills STACK=...` on a stack that is up and has two teams in mode `virtual`; one of them must keep
snapshots, because the way back is `make restore`. DRILL=<name>,<name> runs these. For each fault: `make status` must
name it, the other team's Job must pass, the other team must be previewed and updated meanwhile, and the way back is
timed.

The lab has no KAI and no vCluster: there the leaked pod alone is planted, and taken back by hand; the other team's Job
is admitted and not run. Without its CRD a lab reads no Queue, so that fault is for a cluster.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

import names
import releases
from cli import say
from cli.app import main
from cli.begin import driver_for, place_of
from cli.host import Host
from cli.snapshots import agreed, api_of, store_of
from kube.client import connect, path, said
from kube.health import faults
from kube.snapshots import recorded
from settings.models import GpuStack, HostProvider, SchedulerMode, Team
from tests.conftest import ROOT
from tests.drill_file import with_pods

Json = dict[str, Any]
MERGE: Final = {"Content-Type": "application/merge-patch+json"}
STRATEGIC: Final = {"Content-Type": "application/strategic-merge-patch+json"}
CRD: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/queues.scheduling.run.ai"
DEPLOYMENTS: Final = f"/apis/apps/v1/namespaces/{names.KAI_NAMESPACE}/deployments"
LEAK: Final = "gpu-reservation-leaked"
ENDED_SECONDS: Final = 90.0
"""A pod has 30 s to end."""
SEEN_SECONDS: Final = 240.0
"""A pod crashes three times within a minute, once the old one has ended; a busy machine takes a multiple of that."""
JOB_SECONDS: Final = 180.0
BACK_SECONDS: Final = 300.0


@dataclass(kw_only=True)
class World:
    """Two teams of a stack. `version`: the broken one's KAI; `runs`: whether pods run at all."""

    root: Path
    stack: str
    broken: str
    other: str
    version: str
    teams: Mapping[str, Team]
    runs: bool
    image: str
    runtime_class: str | None
    kubeconfigs: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def api(self, team: str) -> Iterator[httpx2.Client]:
        with connect(self.kubeconfigs[team]) as found:
            yield found


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`named`: what `make status` must say. `undo`: only where nothing can be restored."""

    name: str
    slides: str
    named: str
    plant: Callable[[httpx2.Client, World], None]
    undo: Callable[[httpx2.Client, World], None] | None = None


def change(api: httpx2.Client, method: str, where: str, body: Json | None = None, kind: Any = None) -> None:
    """Send a change; raise with the API server's words where it is refused."""
    answer = api.request(method, where, json=body, headers=kind)
    if not answer.is_success and not (method == "DELETE" and answer.status_code == httpx2.codes.NOT_FOUND):
        message = f"{method} {where}: {said(answer)}"
        raise RuntimeError(message)


def _deployment(api: httpx2.Client, *endings: str) -> Json:
    items: list[Json] = api.get(DEPLOYMENTS).json()["items"]
    return next(item for item in items for ending in endings if item["metadata"]["name"].endswith(ending))


def _pods_of(api: httpx2.Client, deployment: str) -> list[str]:
    """The pods of a Deployment that are still there, ending ones among them."""
    items: list[Json] = api.get(path("v1", "Pod", namespace=names.KAI_NAMESPACE)).json()["items"]
    return [name for item in items if (name := item["metadata"]["name"]).startswith(f"{deployment}-")]


def _image(api: httpx2.Client, deployment: Json, image: str) -> None:
    """Put another image in. The operator would put the old one back for as long as it ends, so it goes first."""
    with contextlib.suppress(StopIteration):
        operator = _deployment(api, "kai-operator")["metadata"]["name"]
        change(api, "PATCH", f"{DEPLOYMENTS}/{operator}", {"spec": {"replicas": 0}}, MERGE)
        until(lambda: not _pods_of(api, operator), ENDED_SECONDS, f"the pods of {operator} did not end")
    name, container = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]["containers"][0]["name"]
    pod = {"containers": [{"name": container, "image": image}]}
    # the old pod would go on working while the new one crashes
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}, "template": {"spec": pod}}}
    change(api, "PATCH", f"{DEPLOYMENTS}/{name}", patch, STRATEGIC)


def scheduler_bug(api: httpx2.Client, world: World) -> None:
    """A scheduler that crashes: an image that has no scheduler in it."""
    _image(api, _deployment(api, "kai-scheduler-default", "scheduler"), world.image)


def version_mismatch(api: httpx2.Client, world: World) -> None:
    """One part of another version than the rest."""
    grouper = _deployment(api, "pod-grouper", "podgrouper")
    image = grouper["spec"]["template"]["spec"]["containers"][0]["image"]
    another = max((v for v in releases.KAI if v != world.version), key=lambda v: (v in ("v0.14.7", "v0.16.8"), v))
    _image(api, grouper, f"{image.rpartition(':')[0]}:{another}")


def crd_conflict(api: httpx2.Client, _: World) -> None:
    """Another program's CRD of the same name: KAI's version of the kind is served no more."""
    versions = [{**version, "served": False} for version in api.get(CRD).json()["spec"]["versions"]]
    change(api, "PATCH", CRD, {"spec": {"versions": versions}}, MERGE)


def resource_leak(api: httpx2.Client, world: World) -> None:
    """A reservation pod that nobody shares: it holds a GPU for ever."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": names.KAI_RESERVATION_NAMESPACE}}
    if not world.runs:
        with contextlib.suppress(RuntimeError):
            change(api, "POST", "/api/v1/namespaces", space)
    nodes = api.get("/api/v1/nodes").json()["items"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": LEAK, "labels": {"runai-gpu-group": "leaked"}},
        "spec": {
            "nodeName": nodes[0]["metadata"]["name"] if nodes else "gpu-0",
            "terminationGracePeriodSeconds": 0,
            **({"runtimeClassName": world.runtime_class} if world.runtime_class else {}),
            "containers": [
                {
                    "name": "hold",
                    "image": world.image,
                    "command": ["sleep", "3600"],
                    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {names.GPU: "1"}},
                }
            ],
        },
    }
    change(api, "POST", path("v1", "Pod", namespace=names.KAI_RESERVATION_NAMESPACE), pod)


def leak_back(api: httpx2.Client, _: World) -> None:
    """The pod goes."""
    change(api, "DELETE", path("v1", "Pod", LEAK, names.KAI_RESERVATION_NAMESPACE), {"gracePeriodSeconds": 0})


FAULTS: Final = (
    Fault(name="scheduler-bug", slides="2-4 hours", named="CrashLoopBackOff", plant=scheduler_bug),
    Fault(name="crd-conflict", slides="6+ hours", named="CRD queues.", plant=crd_conflict),
    Fault(name="version-mismatch", slides="1-2 days", named="and its KAI is", plant=version_mismatch),
    Fault(name="resource-leak", slides="4-8 hours", named=LEAK, plant=resource_leak, undo=leak_back),
)


def job(world: World, team: str, name: str) -> Json:
    """A Job of a team's, on one GPU through its own queue."""
    queue = min(world.teams[team].queues)
    spec = {
        "schedulerName": names.KAI_SCHEDULER_NAME,
        "restartPolicy": "Never",
        **({"runtimeClassName": world.runtime_class} if world.runtime_class else {}),
        "containers": [
            {
                "name": "main",
                "image": world.image,
                "command": ["python3", "-c", "print('works')"],
                "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {names.GPU: "1"}},
            }
        ],
    }
    template = {"metadata": {"labels": {names.KAI_QUEUE_LABEL: queue}}, "spec": spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": template},
    }


def works(world: World, team: str, name: str) -> float:
    """Seconds until a Job of the team's has passed. In the lab: until its API takes the Job."""
    began, body = time.monotonic(), job(world, team, f"drill-{name}")
    collection = path("batch/v1", "Job", namespace="default")
    with world.api(team) as api:
        change(api, "POST", collection + ("" if world.runs else "?dryRun=All"), body)
        while world.runs:
            status = api.get(f"{collection}/drill-{name}").json().get("status") or {}
            if status.get("succeeded"):
                break
            if status.get("failed") or time.monotonic() - began > JOB_SECONDS:
                message = f"the Job of {team} did not pass: {status}"
                raise RuntimeError(message)
            time.sleep(0.5)
        if world.runs:
            change(api, "DELETE", f"{collection}/drill-{name}", {"propagationPolicy": "Background"})
    return time.monotonic() - began


def command(world: World, *words: str) -> str:
    """Run one of the program's commands on the stack; its standard output. Raises where it fails."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(["--stack", world.stack, *words], root=world.root)
    if code != 0:
        message = f"make {' '.join(words)}: exit code {code}"
        raise RuntimeError(message)
    return out.getvalue()


def until(what: Callable[[], bool], seconds: float, words: str) -> float:
    """Seconds until it is so. Raises `RuntimeError` with the words after that long."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > seconds:
            message = f"{words} within {seconds:.0f} s"
            raise RuntimeError(message)
        time.sleep(1)
    return time.monotonic() - began


def named(world: World, fault: Fault) -> float:
    """Seconds until `make status` names a fault. Raises `RuntimeError` with what is wrong instead."""
    try:
        return until(lambda: fault.named in command(world, "status"), SEEN_SECONDS, f"status names {fault.named} not")
    except RuntimeError as error:
        message = f"{error}; wrong are: {'; '.join(wrong(world) or ['nothing that can be read'])}"
        raise RuntimeError(message) from None


def wrong(world: World) -> list[str] | None:
    """What is wrong with the broken team's scheduler; None while its API server does not answer."""
    with world.api(world.broken) as api, contextlib.suppress(httpx2.TransportError):

        def read(where: str) -> Json | None:
            answer = api.get(where)
            return None if answer.status_code == httpx2.codes.NOT_FOUND else answer.json() if answer.is_success else {}

        return faults(read, world.version) if api.get("/readyz").is_success else None
    return None


def changed(world: World, more: int) -> contextlib.AbstractContextManager[None]:
    """The stack file with so many pods more for the other team; put back, byte for byte."""
    pods = world.teams[world.other].resources.pods + more
    return with_pods(world.root / f"Pulumi.{world.stack}.yaml", world.other, pods)


def drill(world: World, fault: Fault, more: int) -> list[str]:
    """One fault: planted, named, worked beside, recovered from. The row of the table.

    `more`: another number for each drill of a run, so that each makes a change of the other team.
    """
    newest = _newest(world) if world.runs else ""
    try:
        with world.api(world.broken) as api:
            fault.plant(api, world)
        seen = named(world, fault)
        passed = works(world, world.other, fault.name)
        with changed(world, more):
            command(world, "preview")
            began = time.monotonic()
            command(world, "up")
            updated = time.monotonic() - began
    finally:  # the next drill begins with a team that is well
        began = time.monotonic()
        _recover(world, fault, newest)
        back = time.monotonic() - began
    how = f"{passed:.0f} s" if world.runs else "admitted"
    return [fault.name, f"named after {seen:.0f} s", how, f"{updated:.0f} s", f"{back:.0f} s", fault.slides]


def _recover(world: World, fault: Fault, newest: str) -> None:
    if world.runs:
        command(world, "restore", "--team", world.broken, "--snapshot", newest, "--yes")
    elif fault.undo is not None:
        with world.api(world.broken) as api:
            fault.undo(api, world)
    until(lambda: wrong(world) == [], BACK_SECONDS, f"{world.broken} is not well again")
    works(world, world.broken, f"{fault.name}-after")  # what the API server says of it may be older than what is


def _newest(world: World) -> str:
    options = argparse.Namespace(stack=world.stack, command="restore")
    place = place_of(options, world.root)
    host = Host(place, driver_for(place))
    host.find(must_reach=True)
    with api_of(host.reached) as api:
        return recorded(api, store_of(place, world.broken))[0].name


def world_of(stack: str, root: Path) -> World:
    """The two teams of a stack. Exits with words where it has none."""
    options = argparse.Namespace(stack=stack, command="drills")
    platform = place_of(options, root).platform
    teams = [name for name, team in platform.teams.items() if team.scheduler.mode is SchedulerMode.VIRTUAL]
    kept = [name for name in teams if platform.teams[name].vcluster.snapshots is not None]
    runs = platform.host.provider is not HostProvider.LAB
    broken = next(iter(kept if runs else teams), None)
    other = next((name for name in teams if name != broken), None)
    if broken is None or other is None:
        sys.exit(f"stack {stack} needs two teams in mode virtual, one of them with vcluster.snapshots")
    return World(
        root=root,
        stack=stack,
        broken=broken,
        other=other,
        version=platform.teams[broken].scheduler.version or "",
        teams=platform.teams,
        runs=runs,
        image=platform.check.image or releases.CHECK_IMAGE,
        runtime_class=None if platform.gpu.stack is GpuStack.FAKE else platform.gpu.runtime_class.name,
    )


def run(stack: str, only: str, root: Path = ROOT, *, yes: bool = False) -> int:
    """Run the drills and print the table; the exit code. On a cluster somebody must agree, or `yes` be given."""
    world = world_of(stack, root)
    for team in (world.broken, world.other):
        command(world, "kubeconfig", "--team", team)
        world.kubeconfigs[team] = (root / f"kubeconfig-{stack}-{team}.yaml").read_text(encoding="utf-8")
    names_of = only.split(",") if only else [fault.name for fault in FAULTS]
    chosen = [f for f in FAULTS if f.name in names_of and (world.runs or f.undo is not None)]
    if not chosen:
        sys.exit(f"no drill {only!r} here; there are: {', '.join(f.name for f in FAULTS)}")
    if world.runs:
        say.line(
            f"this breaks the scheduler of team {world.broken} of stack {stack}, updates team {world.other}, and goes "
            f"back to a snapshot that is taken now: what {world.broken} makes meanwhile is lost, and its pods end"
        )
        if not yes and not agreed():
            sys.exit("nothing was changed: answer yes, or pass YES=1 where nobody can be asked")
        # refuses another cluster than the stack's, too
        command(world, "snapshot", "--team", world.broken)
    print(f"| in team {world.broken} | status | {world.other}'s Job | {world.other} updated | recovered | slides |")
    print("|---|---|---|---|---|---|")
    code = 0
    for number, fault in enumerate(chosen, 1):
        try:
            print(f"| {' | '.join(drill(world, fault, number))} |", flush=True)
        except RuntimeError as error:
            code = 1
            print(f"| {fault.name} | **failed**: {error} | | | | {fault.slides} |", flush=True)
    command(world, "up")  # the other team as the file has it
    return code


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    arguments.add_argument("--stack", required=True)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--yes", action="store_true")
    given = arguments.parse_args()
    try:
        sys.exit(run(given.stack, given.only, yes=given.yes))
    except RuntimeError as error:  # a command of the program said more above
        sys.exit(f"no drill was made: {error}")
