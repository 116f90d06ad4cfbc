"""The pod of a snapshot: the control plane's own template with vCluster's command, and nothing that makes it one."""

from __future__ import annotations

import base64
import json
from typing import Any

from kube.snapshot_pod import Store, pod
from settings.snapshots import S3, Snapshots
from tests.components.snapshot_world import BUCKET, STATEFUL_SET, VOLUME
from tests.components.specs import of_team


def container(what: str, options: object, **more: Any) -> dict[str, Any]:
    return {
        "name": "snapshot",
        "image": "r.example:5000/loft-sh/vcluster-oss:0.36.1@sha256:0123",
        "imagePullPolicy": "Never",
        "command": ["/vcluster", what],
        "env": [
            {"name": "VCLUSTER_NAME", "value": "ml"},
            {"name": "POD_NAME", "value": "ml-0"},
            {"name": "VCLUSTER_STORAGE_OPTIONS", "value": base64.b64encode(json.dumps(options).encode()).decode()},
        ],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "securityContext": {"runAsUser": 65532},
        **more,
    }


def whole(spec: dict[str, Any]) -> dict[str, Any]:
    """The pod, with what it has of its control plane, so that it fits the team's bounds on the host."""
    labels = {**of_team("ml"), "app": "vcluster-snapshot"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "vcluster-snapshot", "namespace": "team-ml", "labels": labels},
        "spec": {
            "serviceAccountName": "vc-ml",
            "priorityClassName": "team-ml",
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "a", "operator": "Exists"}],
            "securityContext": {"fsGroup": 65532},
            "imagePullSecrets": [{"name": "registry"}],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            **spec,
        },
    }


DATA = {"name": "data", "persistentVolumeClaim": {"claimName": "data-ml-0"}}
MOUNT = {"name": "data", "mountPath": "/data"}


def test_a_snapshot_runs_beside_the_control_plane_and_writes_to_the_volume_of_its_own() -> None:
    place = {"type": "container", "container": {"path": "/snapshots/x.tar.gz"}}
    mounts = [MOUNT, {"name": "snapshots", "mountPath": "/snapshots"}]
    own = {"name": "snapshots", "persistentVolumeClaim": {"claimName": "ml-snapshots"}}
    beside = {
        "labelSelector": {"matchLabels": {"app": "vcluster", "release": "ml"}},
        "topologyKey": "kubernetes.io/hostname",
    }
    assert pod(STATEFUL_SET, VOLUME, "snapshot", "x") == whole(
        {
            "volumes": [{"name": "binaries", "emptyDir": {}}, DATA, own],
            "containers": [container("snapshot", place, volumeMounts=mounts)],
            "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [beside]}},
        }
    )


def test_going_back_starts_the_store_itself_and_a_bucket_takes_its_credentials_from_a_secret() -> None:
    place = {"bucket": "b-1", "key": "snapshots/ml/x.tar.gz", "region": "eu-central-1"}
    credentials = [{"secretRef": {"name": "aws"}}]
    body = container("restore", {"type": "s3", "s3": place}, volumeMounts=[MOUNT], envFrom=credentials)
    assert pod(STATEFUL_SET, BUCKET, "restore", "x") == whole(
        {
            "volumes": [{"name": "binaries", "emptyDir": {}}, DATA],
            "initContainers": [{"name": "kubernetes", "image": "r.example/loft-sh/kubernetes:v1.34.4"}],
            "containers": [body],
        }
    )


def test_of_a_bare_control_plane_only_what_it_has_is_taken_over_and_a_volume_of_its_own_stays() -> None:
    own = {"name": "data", "emptyDir": {}}
    template = {"containers": [{"name": "syncer", "image": "a:1"}], "volumes": [own]}
    spec = pod({"spec": {"template": {"spec": template}}}, BUCKET, "restore", "x")["spec"]
    assert set(spec) == {"restartPolicy", "terminationGracePeriodSeconds", "volumes", "containers", "initContainers"}
    assert (spec["volumes"], spec["initContainers"]) == ([own], [])
    (one,) = spec["containers"]
    assert (one["imagePullPolicy"], one["volumeMounts"], len(one["env"])) == ("IfNotPresent", [], 2)
    assert "securityContext" not in one
    template["volumes"] = []
    assert pod({"spec": {"template": {"spec": template}}}, BUCKET, "restore", "x")["spec"]["volumes"] == [DATA]


def test_a_store_that_is_not_aws_is_reached_by_its_address_alone() -> None:
    store = Store(team="ml", settings=Snapshots(s3=S3(bucket="b-1", endpoint="https://minio:9000", secret="aws")))
    place = {"bucket": "b-1", "key": "snapshots/ml/x.tar.gz", "url": "https://minio:9000", "force-path-style": True}
    assert store.options("x") == {"type": "s3", "s3": place}
