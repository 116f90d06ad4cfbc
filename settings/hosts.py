"""The hosts that the program makes. Pure: no Pulumi import.

Owns: the shape of `host.kind`, `host.microk8s` and `host.k3s`.
Leaves to others: what they need beside them (`rules/installs.py`), the commands (`components/host`), the pinned
versions (`releases/hosts.py`).

A provider is one model and one line in `INSTALLS` here, one entry in `components/host/install.py`, and two scripts.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from releases.hosts import K3S_VERSION, KIND_NODE_IMAGE, MICROK8S_CHANNEL, MIN_DISK_GIB, MIN_MEMORY_GIB
from settings.texts import DnsLabel, ImageReference, Text, UserName
from settings.types import Flag, Port, Section, Whole

FilePath = Annotated[
    str,
    Text(
        rule="an absolute path of letters, digits and ._/+-",
        pattern=r"/[A-Za-z0-9._/+-]+",
        longest=500,
        example="'/opt/k3s/k3s'",
        stand_in="/stand-in-{}",
    ),
]
ImagesPath = Annotated[
    str,
    Text(
        # k3s ignores other endings (rancher/wharfie: pkg/tarfile, SupportedExtensions)
        rule="an absolute path that ends as k3s asks: .tar, .tar.gz, .tgz, .tar.zst, .tzst, .tar.bz2, .tbz or .tar.lz4",
        pattern=r"/[A-Za-z0-9._/+-]+\.(?:tar(?:\.(?:gz|zst|bz2|lz4))?|tgz|tzst|tbz)",
        longest=500,
        example="'/opt/k3s/k3s-airgap-images-amd64.tar.zst'",
        stand_in="/stand-in-{}.tar",
    ),
]
Channel = Annotated[
    str,
    Text(
        rule="a channel of the snap",
        pattern=r"[0-9]+\.[0-9]+(?:-strict)?/(?:stable|candidate|beta|edge)",
        longest=50,
        example="'1.34/stable'",
        stand_in="0.{}/stable",
    ),
]
K3sRelease = Annotated[
    str,
    Text(
        rule="a k3s release",
        pattern=r"v1\.[0-9]+\.[0-9]+\+k3s[0-9]+",
        longest=50,
        example=f"'{K3S_VERSION}'",
        stand_in="v1.0.{}+k3s1",
    ),
]


class Install(Section):
    """What all ways have in common."""

    adopt: Flag = Field(
        default=False, description="use one that somebody else installed; destroy undoes only our changes"
    )
    min_memory_gib: Whole = Field(default=MIN_MEMORY_GIB, ge=1, le=4096, description="refuse a host with less, in GiB")
    min_disk_gib: Whole = Field(default=MIN_DISK_GIB, ge=1, le=65536, description="refuse less free below /var, in GiB")


class Kind(Install):
    """A kind cluster on the host's Docker."""

    image: ImageReference = Field(default=KIND_NODE_IMAGE, description="node image")
    workers: Whole = Field(default=1, ge=1, le=16, description="worker nodes; pools name them <host.name>-worker, ...")
    gpus: Literal["none", "all", "each"] = Field(
        default="none", description="none; all: every worker sees every GPU; each: one GPU for each worker"
    )
    change_docker: Flag = Field(
        default=False,
        description="make nvidia Docker's default runtime: restarts Docker and all its containers; destroy reverts it",
    )
    toolkit: Literal["copy", "baked"] = Field(
        default="copy", description="NVIDIA's toolkit in the nodes: copied from the host, or baked into the image"
    )
    ports: tuple[Port, ...] = Field(
        default=(), max_length=64, description="spare NodePorts, for teams that come later: kind can't add one"
    )
    images: tuple[ImageReference, ...] = Field(
        default=(), max_length=64, description="images that are loaded into the nodes"
    )
    metrics_server: Flag = Field(default=False, description="also install metrics-server, with kind's settings")


class Microk8s(Install):
    """microk8s from its snap."""

    channel: Channel = Field(default=MICROK8S_CHANNEL, description="snap channel")
    addons: tuple[DnsLabel, ...] = Field(
        default=("dns", "helm3", "hostpath-storage"), max_length=32, description="addons that are enabled, in order"
    )
    user: UserName | None = Field(default=None, description="user who joins the group microk8s; default: nobody")
    nvidia_addon: Flag = Field(
        default=False, description="the addon nvidia (x86_64) brings the GPU Operator; then gpu.owner: cluster"
    )


class K3sFiles(Section):
    """Local files for a host without internet."""

    binary: FilePath = Field(description="the k3s binary, on the host")
    script: FilePath = Field(description="k3s' own install.sh, on the host")
    images: ImagesPath | None = Field(default=None, description="archive of its images, on the host")


class K3s(Install):
    """k3s from its own script, or from local files."""

    version: K3sRelease = Field(default=K3S_VERSION, description="k3s release")
    files: K3sFiles | None = Field(default=None, description="local files; default: downloaded")


INSTALLS: Final = ("kind", "microk8s", "k3s")
"""Keys below `host` that make a cluster; each goes with the provider of its name."""
