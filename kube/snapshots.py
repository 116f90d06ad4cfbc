"""Snapshots of a virtual cluster, by vCluster's own program in a pod beside the control plane.

Owns: the wait for the pod's end, the record of each snapshot on the host, the steps of a restore.
Leaves to others: the pod (`snapshot_pod.py`), the callers (`cli/snapshots.py`, `cli/guards/snapshots.py`), what a
restore would lose (`contents.py`).

`vcluster snapshot` reads the store through its socket. `vcluster restore` writes the store while no control plane runs
(VC@v0.36.1:pkg/snapshot/store.go, pkg/cli/restore_helm.go; the same commands at v0.29.3). A snapshot has every object
of the virtual cluster, and no pod's volume.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx2

import names
from kube.client import answered, path, pause, said, when
from kube.puts import MERGE
from kube.snapshot_pod import POD, RESTORE, Store, claim_name, pod
from lenient import Json, items, moment, rows, table, tag_of, text
from names import SYNCED_BY, Object
from releases import minor
from releases.shapes import KUBERNETES

BUSY: Final = f"another one is going on: pod {POD} is there. Wait for it, or delete it if nobody waits for it"
LABEL: Final = "gpu-tenancy/snapshot"
DEADLINE_SECONDS: Final = 300.0
"""For one pod, from its creation to its end. A store of 300 MB took vCluster less than a minute."""
STOP_SECONDS: Final = 120.0
"""A control plane ends within its grace period of 15 seconds, later on a busy node."""
LOG_LINES: Final = 15
CANT_START: Final = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError")


class SnapshotError(Exception):
    """A snapshot could not be taken or restored. The text says what was seen and what to do."""


class UnfinishedError(SnapshotError):
    """The wait ended before a pod that writes the store."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A snapshot, with the versions of the virtual cluster at that time; `scheduler` is empty without a KAI."""

    name: str
    taken: datetime
    why: str
    vcluster: str
    kubernetes: str
    scheduler: str


# --- records --------------------------------------------------------------------------------------------------------


def recorded(api: httpx2.Client, store: Store) -> list[Snapshot]:
    """Return the snapshots that were taken, the newest first. Raises `SnapshotError`."""
    # the syncer copies a team's own ConfigMaps here, with their labels: such a ConfigMap is not a record
    mine = {"labelSelector": f"{LABEL},!{SYNCED_BY}"}
    answer = api.get(path("v1", "ConfigMap", namespace=store.namespace), params=mine)
    if not answer.is_success:
        raise SnapshotError(f"the snapshots of team {store.team} can't be listed: {said(answer)}")
    found = [_record(table(item, "data")) for item in items(answered(answer))]
    return sorted((one for one in found if one is not None), key=lambda snapshot: snapshot.name, reverse=True)


def _record(data: Json) -> Snapshot | None:
    """A snapshot from its record; None where somebody has changed the record."""
    said_of = {key: text(data, key) for key in ("name", "why", "vcluster", "kubernetes", "scheduler")}
    taken = moment(data, "taken")
    return Snapshot(taken=taken, **said_of) if taken and said_of["name"] else None


def _keep(api: httpx2.Client, store: Store, snapshot: Snapshot) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"snapshot-{snapshot.name}",
            "labels": {**names.labels(team=store.team), LABEL: snapshot.name},
        },
        "data": {**vars(snapshot), "taken": snapshot.taken.isoformat()},
    }
    answer = api.post(path("v1", "ConfigMap", namespace=store.namespace), json=body)
    if not answer.is_success:
        raise SnapshotError(f"the snapshot is written, and its record can't be: {said(answer)}")


# --- the pod --------------------------------------------------------------------------------------------------------


def _run(api: httpx2.Client, body: Object, deadline: float) -> None:
    """Run a pod to its end and delete it. Raises `SnapshotError` with its last message.

    A pod that is writing the store is not deleted: half a store is useless, and vCluster restores the old one only
    where it fails by itself. Then this raises `UnfinishedError`, and the pod goes on.
    """
    collection = path("v1", "Pod", namespace=body["metadata"]["namespace"])
    where, what = f"{collection}/{POD}", body["spec"]["containers"][0]["command"][1]
    try:
        answer = api.post(collection, json=body)
    except BaseException:  # the pod may exist all the same
        _give_up(api, where, what)
        raise
    if answer.status_code == httpx2.codes.CONFLICT:
        raise SnapshotError(BUSY)
    if not answer.is_success:
        raise SnapshotError(f"the host takes no pod for it: {said(answer)}")
    try:
        end = time.monotonic() + deadline
        while (state := _status(api, where)).get("phase") not in names.ENDED:
            if time.monotonic() > end or _hopeless(state):
                raise SnapshotError(f"vCluster's {what} did not end within {deadline:.0f} s: {_waits_for(state)}")
            pause()
        if state["phase"] == "Failed":
            raise SnapshotError(f"vCluster's {what} failed: {_last_words(api, where) or _waits_for(state)}")
    except BaseException:
        _give_up(api, where, what)
        raise
    _remove(api, where)


def _give_up(api: httpx2.Client, where: str, what: str) -> None:
    """Delete a pod that nobody waits for. If it is writing the store, raise `UnfinishedError` instead."""
    if what == RESTORE and _writes(api, where):
        raise UnfinishedError(f"pod {POD} still writes the store, and nobody waits for it") from None
    _remove(api, where)


def _remove(api: httpx2.Client, where: str) -> None:
    api.delete(where, params={"gracePeriodSeconds": 0})
    _until_gone(api, where, STOP_SECONDS)


def _writes(api: httpx2.Client, where: str) -> bool:
    """Whether the pod's container runs; yes where that is not known."""
    try:
        answer = api.get(where)
        if answer.status_code == httpx2.codes.NOT_FOUND:
            return False
        phase = text(answered(answer), "status", "phase") if answer.is_success else ""
    except (httpx2.HTTPError, KeyboardInterrupt):
        return True
    return phase not in ("Pending", *names.ENDED)


def _status(api: httpx2.Client, where: str) -> Json:
    answer = api.get(where)
    if answer.status_code == httpx2.codes.NOT_FOUND:
        raise SnapshotError(f"pod {POD} was deleted meanwhile")
    return table(answered(answer), "status") if answer.is_success else {}


def _waiting(state: Json) -> list[Json]:
    """The reason of each waiting container."""
    containers = [*rows(state, "initContainerStatuses"), *rows(state, "containerStatuses")]
    return [why for one in containers if (why := table(one, "state", "waiting"))]


def _hopeless(state: Json) -> bool:
    return any(text(why, "reason") in CANT_START for why in _waiting(state))


def _waits_for(state: Json) -> str:
    waiting = [f"{text(why, 'reason')}: {text(why, 'message')}".strip(": ") for why in _waiting(state)]
    unmet = [text(one, "message") for one in rows(state, "conditions") if one.get("status") == "False"]
    return "; ".join(word for word in (*waiting, *unmet) if word) or f"phase {text(state, 'phase') or 'unknown'}"


def _last_words(api: httpx2.Client, where: str) -> str:
    answer = api.get(f"{where}/log", params={"tailLines": LOG_LINES})
    lines = [line.strip() for line in answer.text.splitlines() if line.strip()] if answer.is_success else []
    return lines[-1] if lines else ""


def _until_gone(api: httpx2.Client, where: str, deadline: float) -> None:
    end = time.monotonic() + deadline
    while api.get(where).status_code != httpx2.codes.NOT_FOUND:
        if time.monotonic() > end:
            raise SnapshotError(f"{where.rpartition('/')[2]} is still there after {deadline:.0f} s")
        pause()


# --- taking one, and going back ---------------------------------------------------------------------------------------


def take(
    api: httpx2.Client,
    store: Store,
    *,
    why: str,
    scheduler: str | None,
    now: datetime | None = None,
    deadline: float = DEADLINE_SECONDS,
) -> Snapshot:
    """Take a snapshot of a running virtual cluster and record it. The cluster does not stop. `scheduler`: its KAI.

    Raises `SnapshotError`; then nothing was recorded, and nothing was changed.
    """
    control_plane, at = _ready(api, store)
    taken = (now or at).replace(microsecond=0)
    snapshot = Snapshot(
        name=taken.strftime("%Y%m%d-%H%M%S"),
        taken=taken,
        why=why,
        vcluster=_tag(control_plane, "containers", "syncer"),
        kubernetes=_tag(control_plane, "initContainers", "kubernetes"),
        scheduler=scheduler or "",
    )
    if not table(control_plane, "status").get("readyReplicas"):
        raise SnapshotError(f"the control plane of team {store.team} does not run, and a snapshot reads it")
    _run(api, pod(control_plane, store, "snapshot", snapshot.name), deadline)
    _keep(api, store, snapshot)
    return snapshot


def go_back(api: httpx2.Client, store: Store, snapshot: Snapshot) -> None:
    """Put a virtual cluster back to a snapshot: stop it and its pods, write its store, start it.

    Where vCluster can't write the store, it restores the old one itself, and the control plane starts again. Where it
    is still writing when the wait ends (Ctrl-C, a cluster that does not answer), the control plane stays stopped.
    Raises `SnapshotError`.
    """
    control_plane, _ = _ready(api, store)
    running = _tag(control_plane, "initContainers", "kubernetes")
    if _newer(snapshot.kubernetes, running):
        message = (
            f"snapshot {snapshot.name} is of Kubernetes {snapshot.kubernetes}; {running} runs inside now and may "
            "not read it; raise it first"
        )
        raise SnapshotError(message)
    try:
        _scale(api, store, 0)
        _until_gone(api, path("v1", "Pod", f"{store.team}-0", store.namespace), STOP_SECONDS)
        # the syncer makes them anew from the restored store
        answer = api.delete(
            path("v1", "Pod", namespace=store.namespace), params={"labelSelector": f"{SYNCED_BY}={store.team}"}
        )
        if not answer.is_success:
            raise SnapshotError(f"the pods of team {store.team} can't be ended: {said(answer)}")
        _run(api, pod(control_plane, store, RESTORE, snapshot.name), DEADLINE_SECONDS)
    except UnfinishedError as error:
        message = (
            f"{error}; the control plane of team {store.team} stays stopped. When the pod has ended, delete it "
            f"(`kubectl -n {store.namespace} delete pod {POD}`) and go back once more"
        )
        raise UnfinishedError(message) from None
    except BaseException:
        _scale(api, store, 1)
        raise
    _scale(api, store, 1)


def _ready(api: httpx2.Client, store: Store) -> tuple[Object, datetime]:
    """Return the control plane's StatefulSet, where all that a pod needs exists, and the cluster's time, which objects
    have, too. Raises `SnapshotError`."""
    s3, space = store.settings.s3, store.namespace
    place = (
        path("v1", "Secret", s3.secret, space)
        if s3
        else path("v1", "PersistentVolumeClaim", claim_name(store.team), space)
    )
    if api.get(place).status_code == httpx2.codes.NOT_FOUND:
        what = f"Secret {space}/{s3.secret} is not there" if s3 else "its volume is not there yet, `make up` makes it"
        raise SnapshotError(f"team {store.team} has no place for snapshots: {what}")
    if api.get(path("v1", "Pod", POD, space)).is_success:
        raise SnapshotError(BUSY)
    answer = api.get(path("apps/v1", "StatefulSet", store.team, store.namespace))
    if answer.status_code == httpx2.codes.NOT_FOUND:
        raise SnapshotError(f"team {store.team} has no virtual cluster on this host yet")
    if not answer.is_success:
        raise SnapshotError(f"the control plane of team {store.team} can't be read: {said(answer)}")
    return answered(answer), when(answer)


def _newer(kept: str, running: str) -> bool:
    known = KUBERNETES.fullmatch(kept) and KUBERNETES.fullmatch(running)
    return bool(known) and minor(kept) > minor(running)


def _tag(control_plane: Object, which: str, name: str) -> str:
    """The tag of a container's image; empty where there is none."""
    containers = control_plane["spec"]["template"]["spec"].get(which) or ()
    image = next((container["image"] for container in containers if container["name"] == name), "")
    return tag_of(str(image))


def _scale(api: httpx2.Client, store: Store, replicas: int) -> None:
    where = f"{path('apps/v1', 'StatefulSet', store.team, store.namespace)}/scale"
    answer = api.patch(
        where,
        content=json.dumps({"spec": {"replicas": replicas}}),
        headers=MERGE,
    )
    if not answer.is_success:
        raise SnapshotError(f"the control plane of team {store.team} can't be scaled to {replicas}: {said(answer)}")
