"""The pod in which vCluster's own program takes or restores a snapshot, and where the snapshots are. Pure.

Leaves to others: running it (`snapshots.py`).
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Final

import names
from names import Object
from releases import SNAPSHOT_POD
from settings.snapshots import Snapshots

POD: Final = "vcluster-snapshot"
"""Only one name, because two pods at a time would read and write the same store."""
FOLDER: Final = "/snapshots"
OPTIONS: Final = "VCLUSTER_STORAGE_OPTIONS"
RESTORE: Final = "restore"
"""vCluster's command that writes the store."""
SNAPSHOT_POD_REQUESTS: Final = {
    "cpu": f"{SNAPSHOT_POD.cpu_millicores}m",
    "memory": f"{SNAPSHOT_POD.memory_mib}Mi",
}


@dataclass(frozen=True, kw_only=True)
class Store:
    """The snapshots of a team, and where they are."""

    team: str
    settings: Snapshots

    @property
    def namespace(self) -> str:
        return names.team_namespace(self.team)

    def options(self, name: str) -> Object:
        """vCluster's options for one snapshot."""
        s3 = self.settings.s3
        if s3 is None:
            return {"type": "container", "container": {"path": f"{FOLDER}/{name}.tar.gz"}}
        place: Object = {"bucket": s3.bucket, "key": f"{s3.prefix}/{self.team}/{name}.tar.gz"}
        if s3.region is not None:
            place["region"] = s3.region
        if s3.endpoint is not None:
            # a store other than AWS has no DNS names for its buckets
            place |= {"url": s3.endpoint, "force-path-style": True}
        return {"type": "s3", "s3": place}


def claim_name(team: str) -> str:
    return f"{team}-snapshots"


def pod(stateful_set: Object, store: Store, what: str, name: str) -> Object:
    """Return the pod that runs vCluster's `snapshot` or `restore` with the control plane's own image and volumes.

    `snapshot` needs the socket of the running control plane, so it runs on the same node. `restore` starts the store
    itself, so it needs the programs from the init containers.
    """
    template = stateful_set["spec"]["template"]["spec"]
    syncer = next(container for container in template["containers"] if container["name"] == "syncer")
    options = base64.b64encode(json.dumps(store.options(name)).encode()).decode()
    environment = [variable for variable in syncer.get("env") or () if variable["name"] != "POD_NAME"]
    volumes, mounts = list(template.get("volumes") or ()), list(syncer.get("volumeMounts") or ())
    claims = {"data": f"data-{store.team}-0"}
    if store.settings.claim:
        claims["snapshots"] = claim_name(store.team)
        mounts.append({"name": "snapshots", "mountPath": FOLDER})
    known = {volume["name"] for volume in volumes}
    volumes += [
        {"name": volume, "persistentVolumeClaim": {"claimName": claim}}
        for volume, claim in claims.items()
        if volume not in known
    ]
    beside = {
        "podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {
                    "labelSelector": {"matchLabels": {"app": "vcluster", "release": store.team}},
                    "topologyKey": names.HOST_NAME,
                }
            ]
        }
    }
    kept = ("serviceAccountName", "nodeSelector", "tolerations", "securityContext", "imagePullSecrets",
            "priorityClassName")  # fmt: skip
    spec: Object = {
        **{key: template[key] for key in kept if template.get(key)},
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "volumes": volumes,
        "containers": [
            {
                "name": "snapshot",
                "image": syncer["image"],
                "imagePullPolicy": syncer.get("imagePullPolicy", "IfNotPresent"),
                "command": ["/vcluster", what],
                "env": [
                    *environment,
                    {"name": "POD_NAME", "value": f"{store.team}-0"},
                    {"name": OPTIONS, "value": options},
                ],
                "resources": {"requests": SNAPSHOT_POD_REQUESTS},
                "volumeMounts": mounts,
                **({"securityContext": syncer["securityContext"]} if syncer.get("securityContext") else {}),
                **({"envFrom": [{"secretRef": {"name": store.settings.s3.secret}}]} if store.settings.s3 else {}),
            }
        ],
    }
    if what == RESTORE:
        spec["initContainers"] = template.get("initContainers") or []
    else:
        spec["affinity"] = beside
    metadata = {"name": POD, "namespace": store.namespace, "labels": {**names.labels(team=store.team), "app": POD}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
