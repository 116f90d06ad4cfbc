"""kind: a cluster of containers on the host's Docker. Pure: no Pulumi import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from settings.hosts.install import SCRIPTS, Install, Site, flag
from settings.infrastructure import GpuStack
from settings.on_change import in_place
from settings.problems import Problem, shown
from settings.texts import ImageReference
from settings.types import Flag, Port, Whole

NODE_IMAGE: Final = "docker.io/kindest/node:v1.34.0"
"""To raise it: change it here, run it, write it into docs/runs.md. Not run with a GPU yet (docs/hosts.md)."""
CONTROL_PLANE: Final = "-control-plane"
"""What kind adds to the cluster's name for the control plane's node, the longest node name."""
LONGEST_NODE_NAME: Final = 63
"""Characters: the kubelet writes it into the label kubernetes.io/hostname."""
API_SERVER_PORT: Final = 6443
"""The API server's port in kind's control plane; kind publishes it itself."""
_KEPT: Final = in_place("a cluster that is there stays as it is; only a new one gets it", source=SCRIPTS)


class Kind(Install):
    """A kind cluster on the host's Docker."""

    kubeconfig_command: ClassVar[str] = "kind get kubeconfig --name {name}"
    context: ClassVar[str] = "kind-{name}"

    image: Annotated[ImageReference, _KEPT] = Field(default=NODE_IMAGE, description="node image")
    workers: Annotated[Whole, _KEPT] = Field(
        default=1, ge=1, le=16, description="worker nodes; pools name them <host.name>-worker, ..."
    )
    gpus: Annotated[Literal["none", "all", "each"], _KEPT] = Field(
        default="none", description="none; all: every worker sees every GPU; each: one GPU for each worker"
    )
    change_docker: Flag = Field(
        default=False,
        description="make nvidia Docker's default runtime: restarts Docker and all its containers; destroy reverts it",
    )
    toolkit: Annotated[Literal["copy", "baked"], _KEPT] = Field(
        default="copy", description="NVIDIA's toolkit in the nodes: copied from the host, or baked into the image"
    )
    ports: Annotated[
        tuple[Port, ...], in_place("kind publishes ports when it makes a cluster; one more is refused", source=SCRIPTS)
    ] = Field(default=(), max_length=64, description="spare NodePorts, for teams that come later: kind can't add one")
    images: Annotated[
        tuple[ImageReference, ...], in_place("loaded; one that is left out stays loaded", source=SCRIPTS)
    ] = Field(default=(), max_length=64, description="images that are loaded into the nodes")
    metrics_server: Annotated[Flag, in_place("`kubectl top` has numbers, or none")] = Field(
        default=False, description="also install metrics-server, with kind's settings"
    )

    def variables(self, site: Site) -> dict[str, str]:
        """Variables for the scripts."""
        return {
            "KIND_NAME": site.name,
            "KIND_IMAGE": self.image,
            "KIND_WORKERS": str(self.workers),
            "KIND_GPUS": str(site.gpus(shared=self.gpus == "all")),
            "KIND_GPU_NODES": self.gpus,
            "KIND_CHANGE_DOCKER": flag(self.change_docker),
            "KIND_TOOLKIT": self.toolkit,
            "KIND_PORTS": " ".join(str(port) for port in site.ports),
            "KIND_ADDRESS": site.far_address or "",
            "KIND_IMAGES": " ".join(self.images),
            "KIND_ADOPT": flag(self.adopt),
        }

    def problems(self, site: Site) -> Iterator[Problem]:
        """GPUs, nodes, name and ports are ones that kind can make."""
        wanted = sum(pool.size * pool.gpus_per_node for pool in site.pools.values())
        fake = site.gpu.stack is GpuStack.FAKE
        if wanted and not fake and self.gpus == "none":
            yield Problem(
                path=("host", "kind", "gpus"),
                rule="gives the nodes their GPUs, and the pools say that they have some",
                got="none",
                fix="write gpus: all (or each: one GPU a worker), or gpusPerNode: 0",
            )
        if fake and self.gpus == "each":
            yield Problem(
                path=("host", "kind", "gpus"),
                rule="gives each worker a GPU of the host, and with gpu.stack: fake there is none",
                got="each",
                fix="write gpus: none, or gpu.stack: devicePlugin",
            )
        known = {f"{site.name}-worker{number or ''}" for number in (0, *range(2, self.workers + 1))}
        for name, pool in site.pools.items():
            for node in pool.nodes:
                if node not in known:
                    yield Problem(
                        path=("pools", name, "nodes"),
                        rule="names the workers that kind makes",
                        got=shown(node),
                        fix=f"write one of {', '.join(sorted(known))}",
                    )
        longest = LONGEST_NODE_NAME - len(CONTROL_PLANE)
        if len(site.name) > longest:
            yield Problem(
                path=("host", "name"),
                rule=f"has at most {longest} characters with kind, whose node is named <host.name>{CONTROL_PLANE}",
                got=f"{len(site.name)}",
                fix="write a shorter one",
            )
        if API_SERVER_PORT in self.ports:
            yield Problem(
                path=("host", "kind", "ports", self.ports.index(API_SERVER_PORT)),
                rule="is a spare NodePort, and in kind's node this one is the API server's",
                got=str(API_SERVER_PORT),
                fix="write another",
            )
