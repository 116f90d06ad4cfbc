"""What the program registers for workloads: whole specs, so that a change of any field is noticed."""

from __future__ import annotations

import copy
from typing import Any

import pulumi
import pytest

from tests.conftest import Declare
from tests.recording import SECRET_MARK

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
SERVICE = "kubernetes:core/v1:Service"
SECRET = "kubernetes:core/v1:Secret"
JOB = "kubernetes:batch/v1:Job"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
QUOTA = "kubernetes:core/v1:ResourceQuota"

CHAT = {
    "kind": "inference",
    "queue": "serving",
    "model": "Qwen/Qwen2.5-1.5B-Instruct",
    "weights": "3G",
    "gpu": {"fraction": 0.7},
    "cpu": 2,
    "memory": "4Gi",
    "memoryLimit": "6G",
    "cache": {"size": "20Gi"},
    "args": ["--max-model-len", "4096"],
    "test": {"contains": "city"},
}
DEMO = {
    "kind": "app",
    "queue": "serving",
    "port": 5000,
    "gpu": {"fraction": 0.25},
    "expose": {"nodePort": 30500},
    "secrets": {"API_KEY": {"environment": "UNIT_API_KEY"}},
}


def real(**workloads: object) -> dict[str, Any]:
    """A platform with one real GPU node of which ml may use both GPUs."""
    return {
        "host": {"provider": "existing", "address": "10.0.0.5"},
        "gpu": {"stack": "devicePlugin"},
        "check": {"host": False},
        "pools": {"gpu": {"nodes": ["gpu-0"], "gpusPerNode": 2, "gpuMemoryMib": 81559, "taint": True}},
        "teams": {
            "ml": {
                "pool": "gpu",
                "scheduler": {"mode": "virtual", "version": "v0.16.8", "gpuSharing": True},
                "resources": {"gpus": 2, "cpu": 16, "memory": "64Gi"},
                "queues": {"serving": {"gpu": 2}, "notebooks": {"gpu": {"quota": 0, "limit": 1}}},
                "check": {"enabled": False},
                "workloads": copy.deepcopy(workloads),
            }
        },
    }


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIT_API_KEY", "canary-api-key")


def test_a_stack_without_workloads_registers_nothing_new(declare: Declare) -> None:
    recorder = declare("lab")
    assert recorder.of_type(DEPLOYMENT) == []
    assert [r for r in recorder.resources if r.type.startswith("gpu-tenancy:index:Workload")] == []


def test_the_server_asks_for_its_share_as_the_teams_own_work_does(declare: Declare) -> None:
    deployment = declare(real(chat=CHAT)).one(DEPLOYMENT, "ml-workloads-chat-server")
    assert deployment.inputs["spec"] == {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": {"gpu-tenancy/workload": "chat"}},
        "template": {
            "metadata": {
                "labels": {
                    "app.kubernetes.io/managed-by": "gpu-tenancy",
                    "gpu-tenancy/team": "ml",
                    "gpu-tenancy/workload": "chat",
                    "kai.scheduler/queue": "serving",
                },
                "annotations": {"gpu-fraction": "0.7"},
            },
            "spec": {
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "schedulerName": "kai-scheduler",
                "runtimeClassName": "nvidia",
                "nodeSelector": {"gpu-tenancy/pool": "gpu"},
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65532,
                    "runAsGroup": 65532,
                    "fsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "server",
                        "image": "docker.io/vllm/vllm-openai:v0.33.0",
                        "command": ["vllm", "serve"],
                        "args": [
                            "Qwen/Qwen2.5-1.5B-Instruct",
                            "--served-model-name", "Qwen/Qwen2.5-1.5B-Instruct",
                            "--port", "8000",
                            "--gpu-memory-utilization", "0.69",
                            "--max-model-len", "4096",
                        ],
                        "env": [
                            {"name": "HOME", "value": "/home/server"},
                            {"name": "USER", "value": "server"},
                            {"name": "HF_HOME", "value": "/home/server/huggingface"},
                            {"name": "VLLM_NO_USAGE_STATS", "value": "1"},
                        ],
                        "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}],
                        "resources": {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "6G"}},
                        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                        "startupProbe": probe(90),
                        "readinessProbe": probe(1),
                        "livenessProbe": probe(6),
                        "volumeMounts": [
                            {"name": "home", "mountPath": "/home/server"},
                            {"name": "shm", "mountPath": "/dev/shm"},
                        ],
                    }
                ],
                "volumes": [
                    {"name": "home", "persistentVolumeClaim": {"claimName": "chat-cache"}},
                    {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
                ],
            },
        },
    }  # fmt: skip


def probe(failures: int) -> dict[str, object]:
    return {
        "httpGet": {"path": "/health", "port": "http"},
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def test_whole_gpus_are_a_limit_and_tensor_parallel(declare: Declare) -> None:
    deployment = declare(real(chat={**CHAT, "gpu": {"count": 2}})).one(DEPLOYMENT, "ml-workloads-chat-server")
    pod = deployment.inputs["spec"]["template"]
    (server,) = pod["spec"]["containers"]
    assert pod["metadata"]["annotations"] == {}
    assert server["resources"]["limits"] == {"memory": "6G", "nvidia.com/gpu": "2"}
    assert server["args"][server["args"].index("--tensor-parallel-size") + 1] == "2"


def test_gpu_memory_is_asked_for_in_mib(declare: Declare) -> None:
    deployment = declare(real(chat={**CHAT, "gpu": {"memoryMib": 8192}})).one(DEPLOYMENT, "ml-workloads-chat-server")
    assert deployment.inputs["spec"]["template"]["metadata"]["annotations"] == {"gpu-memory": "8192"}


def test_a_local_model_directory_is_read_only_and_nothing_is_downloaded(declare: Declare) -> None:
    chat = {**CHAT, "cache": None, "model": "qwen", "modelVolume": {"claim": "models"}}
    deployment = declare(real(chat=chat)).one(DEPLOYMENT, "ml-workloads-chat-server")
    pod = deployment.inputs["spec"]["template"]["spec"]
    (server,) = pod["containers"]
    assert server["args"][0] == "/models/qwen"
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in server["env"]
    assert {"name": "models", "mountPath": "/models", "readOnly": True} in server["volumeMounts"]
    assert pod["volumes"][-1] == {"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}
    assert pod["volumes"][0] == {"name": "home", "emptyDir": {}}


def test_the_service_leads_from_80_to_the_server(declare: Declare) -> None:
    service = declare(real(chat=CHAT)).one(SERVICE, "ml-workloads-chat-service")
    assert service.inputs["spec"] == {
        "type": "ClusterIP",
        "selector": {"gpu-tenancy/workload": "chat"},
        "ports": [{"name": "http", "port": 80, "targetPort": 8000, "protocol": "TCP"}],
    }


def test_the_cache_is_a_claim_of_its_own(declare: Declare) -> None:
    claim = declare(real(chat=CHAT)).one(CLAIM, "ml-workloads-chat-cache")
    assert claim.inputs["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "20Gi"}},
    }


def test_the_deploy_stands_on_a_real_completion(declare: Declare) -> None:
    recorder = declare(real(chat=CHAT))
    job = recorder.one(JOB, "ml-workloads-chat-test")
    spec = job.inputs["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert {entry["name"]: entry["value"] for entry in container["env"]} == {
        "COMPLETION_URL": "http://chat.workloads.svc",
        "COMPLETION_MODEL": "Qwen/Qwen2.5-1.5B-Instruct",
        "COMPLETION_PROMPT": "San Francisco is a",
        "COMPLETION_MAX_TOKENS": "7",
        "COMPLETION_CONTAINS": "city",
        "COMPLETION_SECONDS": "1020",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    assert container["command"] == ["python3", "/opt/workload/completion.py"]
    assert spec["activeDeadlineSeconds"] == 1140
    assert spec["backoffLimit"] == 0
    assert any(urn.endswith("::ml-workloads-chat-server") for urn in job.dependencies)


def test_the_test_runs_again_when_the_server_changes_and_not_otherwise(declare: Declare) -> None:
    def mark(**changes: object) -> str:
        job = declare(real(chat={**CHAT, **changes})).one(JOB, "ml-workloads-chat-test")
        found: str = job.inputs["spec"]["template"]["metadata"]["annotations"]["gpu-tenancy/stamp"]
        return found

    assert mark() == mark()
    assert mark(gpu={"fraction": 0.6}) != mark()
    assert mark(cache={"size": "40Gi"}) == mark()


def test_an_app_is_reached_by_a_service_of_ours_on_the_host(declare: Declare, key: None) -> None:
    recorder = declare(real(demo=DEMO))
    service = recorder.one(SERVICE, "ml-workloads-demo-host-service")
    assert service.metadata["namespace"] == "team-ml"
    assert service.inputs["spec"] == {
        "type": "NodePort",
        "selector": {
            "gpu-tenancy/workload": "demo",
            "vcluster.loft.sh/managed-by": "ml",
            "vcluster.loft.sh/namespace": "workloads",
        },
        "ports": [{"name": "http", "port": 80, "targetPort": 5000, "protocol": "TCP", "nodePort": 30500}],
    }
    assert "host-provider" in service.provider
    policy = recorder.one(POLICY, "ml-workloads-demo-way-in")
    assert policy.inputs["spec"] == {
        "podSelector": {"matchLabels": {"gpu-tenancy/workload": "demo"}},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": 5000, "protocol": "TCP"}]}],
    }
    quota = recorder.one(QUOTA, "ml-guardrails-quota")
    assert quota.inputs["spec"]["hard"]["services.nodeports"] == "2", "the API server's and the app's"


def test_an_ingress_lets_the_controller_in_and_nobody_else(declare: Declare) -> None:
    ingress = {"host": "demo.example.com", "className": "nginx", "controllerNamespace": "ingress-nginx"}
    recorder = declare(real(demo={**DEMO, "secrets": {}, "expose": {"ingress": ingress}}))
    assert recorder.one(INGRESS, "ml-workloads-demo-ingress").inputs["spec"] == {
        "ingressClassName": "nginx",
        "rules": [
            {
                "host": "demo.example.com",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "demo-app", "port": {"name": "http"}}},
                        }
                    ]
                },
            }
        ],
    }
    peers = recorder.one(POLICY, "ml-workloads-demo-way-in").inputs["spec"]["ingress"]
    assert peers == [
        {
            "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}],
            "ports": [{"port": 5000, "protocol": "TCP"}],
        }
    ]
    assert recorder.one(SERVICE, "ml-workloads-demo-host-service").inputs["spec"]["type"] == "ClusterIP"


def test_an_app_nobody_exposes_has_nothing_on_the_host(declare: Declare) -> None:
    recorder = declare(real(demo={"kind": "app", "gpu": {"count": 1}}))
    assert [r.name for r in recorder.resources if r.name.startswith("ml-workloads-demo-host")] == []
    assert recorder.one(QUOTA, "ml-guardrails-quota").inputs["spec"]["hard"]["services.nodeports"] == "1"


def test_a_secret_of_an_app_is_a_secret_all_the_way(declare: Declare, key: None) -> None:
    recorder = declare(real(demo=DEMO))
    secret = recorder.one(SECRET, "ml-workloads-demo-secrets")
    assert SECRET_MARK in str(secret.inputs["stringData"])
    for resource in recorder.resources:
        if resource.name != "ml-workloads-demo-secrets":
            assert "canary-api-key" not in str(resource.inputs), resource.name


def test_another_value_of_a_secret_makes_the_pods_anew(declare: Declare) -> None:
    """The pods read it when they start, and a change of a Secret restarts none. The engine replaces what had a trigger
    before and has another one: a stack from before is left as it is."""
    seen = []
    for value in ("canary-one", "canary-one", "canary-two"):
        demo = {**DEMO, "secrets": {"API_KEY": {"config": "key"}}}
        options: Any = declare(real(demo=demo), secrets={"key": value}).one(DEPLOYMENT, "ml-workloads-demo-app").options
        seen.append(str(options.replacement_trigger))
        assert SECRET_MARK in seen[-1]
        assert value not in seen[-1]
        assert options.deleteBeforeReplace
    assert seen[0] == seen[1] != seen[2]
    without: Any = declare(real(demo={**DEMO, "secrets": {}})).one(DEPLOYMENT, "ml-workloads-demo-app").options
    assert not without.HasField("replacement_trigger")
    assert not without.deleteBeforeReplace


def test_another_token_makes_the_server_anew(declare: Declare) -> None:
    with_token = {**CHAT, "token": "hub"}
    seen = [
        str(
            declare(real(chat=with_token), secrets={"hub": value})
            .one(DEPLOYMENT, "ml-workloads-chat-server")
            .options.replacement_trigger
        )
        for value in ("canary-one", "canary-two")
    ]
    assert seen[0] != seen[1]
    assert all(SECRET_MARK in said and "canary" not in said for said in seen)


@pytest.mark.parametrize(("kind", "secret"), [("app", True), ("app", False), ("inference", True), ("inference", False)])
def test_a_deployment_that_is_made_anew_is_gone_at_once(declare: Declare, kind: str, secret: bool) -> None:
    """The provider waits for no removal of a Deployment with `skipAwait`. In the foreground the old one stays until its
    pods have ended, and its successor of the same name could not be made. One that is never made anew says nothing
    new to a stack from before."""
    keys: Any = {"app": {"secrets": {"API_KEY": {"config": "key"}}}, "inference": {"token": "key"}}[kind]
    bare: Any = {"app": {**DEMO, "secrets": {}}, "inference": CHAT}[kind]
    recorder = declare(real(one={**bare, **(keys if secret else {})}), secrets={"key": "canary"})
    name = {"app": "ml-workloads-one-app", "inference": "ml-workloads-one-server"}[kind]
    assert recorder.one(DEPLOYMENT, name).inputs["metadata"]["annotations"] == {
        "pulumi.com/skipAwait": "true",
        **({"pulumi.com/deletionPropagationPolicy": "background"} if secret else {}),
    }


def test_a_missing_secret_is_told_before_anything_is_registered(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNIT_API_KEY", raising=False)
    with pytest.raises(pulumi.RunError) as caught:
        declare(real(demo=DEMO, chat={**CHAT, "token": "hub"}))
    assert str(caught.value).splitlines() == [
        "2 secrets missing, nothing was changed",
        "teams.ml.workloads.demo: needs the environment variable UNIT_API_KEY, which is not set; set it, or write "
        "{config: name} and use a secret of the stack",
        "teams.ml.workloads.chat: needs the secret hub, which the stack does not have; run `pulumi config set --secret "
        "gpu-tenancy:secret-hub`",
    ]


def test_in_mode_host_the_queue_has_the_teams_name_before_it(declare: Declare) -> None:
    platform = real(chat={**CHAT, "queue": "notebooks"})
    platform["host"]["scheduler"] = {"version": "v0.16.8"}
    platform["teams"]["ml"]["scheduler"] = {"mode": "host", "gpuSharing": True}
    deployment = declare(platform).one(DEPLOYMENT, "ml-workloads-chat-server")
    assert deployment.inputs["spec"]["template"]["metadata"]["labels"]["kai.scheduler/queue"] == "ml-notebooks"


def test_a_canary_has_none_of_its_teams_workloads(declare: Declare) -> None:
    platform = real(chat={**CHAT, "gpu": {"fraction": 0.5}})
    platform["teams"]["ml"]["resources"]["gpus"] = 1
    platform["teams"]["ml"]["queues"] = {"serving": {"gpu": 1}}
    platform["teams"]["ml"]["scheduler"]["canary"] = {"version": "v0.14.7", "gpus": 1}
    found = [r.name for r in declare(platform).of_type(DEPLOYMENT)]
    assert found == ["ml-workloads-chat-server"]


def test_what_a_policy_may_read_of_a_workload_is_what_it_asks_for(declare: Declare) -> None:
    asked = {"none": None, "whole": {"count": 1}, "part": {"fraction": 0.25}, "memory": {"memoryMib": 1024}}
    apps = {name: {"kind": "app", **({"gpu": gpu, "queue": "serving"} if gpu else {})} for name, gpu in asked.items()}
    recorder = declare(real(**apps, chat={**CHAT, "weights": "1G", "gpu": {"memoryMib": 4096}}))
    read = {name: dict(recorder.one("gpu-tenancy:index:AppServer", f"ml-workloads-{name}").inputs) for name in asked}
    alike = {"team": "ml", "image": read["none"]["image"], "replicas": 1}
    assert read == {
        "none": {**alike, "gpus": 0},
        "whole": {**alike, "gpus": 1},
        "part": {**alike, "gpus": 0, "fraction": 0.25},
        "memory": {**alike, "gpus": 0, "gpuMemoryMib": 1024},
    }
    server = recorder.one("gpu-tenancy:index:InferenceServer", "ml-workloads-chat").inputs
    assert (server["gpus"], server["gpuMemoryMib"], "fraction" in server) == (0, 4096, False)
