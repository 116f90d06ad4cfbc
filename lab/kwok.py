"""kwokctl's configuration: the programs of one API server of the lab, their ports and options.

Owns: kwokctl's configuration and the files it leaves, kubeconfigs. Leaves to others: running it (`clusters.py`).
"""

import base64
from pathlib import Path

import yaml

from lab.binaries import Binaries
from lab.errors import LabError
from lab.processes import LOOPBACK
from lab.record import write_whole

LISTENERS = ("kubeApiserver", "etcd", "etcdPeer", "kubeControllerManager", "kubeScheduler", "kwokController")
# as kwokctl names the processes of one server
CORE_PROGRAMS = frozenset({"etcd", "kube-apiserver"})
HELPER_PROGRAMS = frozenset({"kube-controller-manager", "kube-scheduler", "kwok-controller"})
SERVER_PROGRAMS = CORE_PROGRAMS | HELPER_PROGRAMS
# the controllers that the lab's objects need: for namespaces, quotas, jobs, ready nodes, tokens
CONTROLLERS = (
    "namespace-controller,garbage-collector-controller,resourcequota-controller,job-controller,"
    "node-lifecycle-controller,"
    "serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller,"
    "clusterrole-aggregation-controller"
)
# the default scheduler also takes pods with KAI's name: queues are stored and validated, but not used
SCHEDULER_CONFIG = {
    "apiVersion": "kubescheduler.config.k8s.io/v1",
    "kind": "KubeSchedulerConfiguration",
    "leaderElection": {"leaderElect": False},  # there is only one of each; an election costs seconds
    "profiles": [{"schedulerName": "default-scheduler"}, {"schedulerName": "kai-scheduler"}],
}


def kwokctl_config(programs: Binaries, ports: dict[str, int], scheduler: Path) -> dict[str, object]:
    def extra(name: str, **args: str) -> dict[str, object]:
        return {"name": name, "extraArgs": [{"key": k.replace("_", "-"), "value": v} for k, v in args.items()]}

    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": {
            "runtime": "binary",
            "bindAddress": LOOPBACK,
            "etcdBinary": str(programs.etcd),
            "kubeApiserverBinary": str(programs.kube_apiserver),
            "kubeControllerManagerBinary": str(programs.kube_controller_manager),
            "kubeSchedulerBinary": str(programs.kube_scheduler),
            "kubeSchedulerConfig": str(scheduler),
            "kwokControllerBinary": str(programs.kwok),
            **{f"{listener}Port": port for listener, port in ports.items()},
        },
        "componentsPatches": [
            extra("etcd", unsafe_no_fsync="true"),  # a lab's data need not survive a power cut
            # etcd 3.5.1 lacks what streamed lists need; clients would retry them with growing pauses instead of listing
            extra("kube-apiserver", feature_gates="WatchList=false"),
            extra("kube-controller-manager", controllers=CONTROLLERS, leader_elect="false"),
        ],
    }


def authority(text: str, what: str) -> tuple[str, str]:
    """Certificate authority and address of the cluster of a kubeconfig's current context."""
    try:
        document = yaml.safe_load(text)
        context = next(c for c in document["contexts"] if c["name"] == document["current-context"])["context"]
        cluster = next(c for c in document["clusters"] if c["name"] == context["cluster"])["cluster"]
        server = str(cluster["server"])
    except (yaml.YAMLError, KeyError, TypeError, StopIteration):
        raise LabError(
            f"lab: {what} has a kubeconfig without a usable current context.",
            "give it the kubeconfig that the lab hands out.",
        ) from None
    # a kubeconfig without one is not ours
    return str(cluster.get("certificate-authority-data") or f"none: {server}"), server


def inline(kubeconfig: Path) -> None:
    """Put keys and certificates into the kubeconfig itself, so that its text is enough."""
    document = yaml.safe_load(kubeconfig.read_text())
    for holder in (document["clusters"][0]["cluster"], document["users"][0]["user"]):
        for key in ("certificate-authority", "client-certificate", "client-key"):
            if file := holder.pop(key, None):
                holder[f"{key}-data"] = base64.b64encode(Path(file).read_bytes()).decode()
    write_whole(kubeconfig, yaml.safe_dump(document))


def last_words(folder: Path, program: str) -> str:
    """The newest error in the log of one of a server's programs."""
    log = folder / "logs" / f"{program}.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    wrong = [line.partition("] ")[2] or line for line in lines if line.startswith(("E", "F"))]
    return wrong[-1][:300] if wrong else "its log has no error"


def forget(folder: Path, program: str) -> None:
    """Let kwokctl start an ended program again: it looks at a pid in a file, which another process may have by now."""
    (folder / "pids" / f"{program}.pid").unlink(missing_ok=True)
