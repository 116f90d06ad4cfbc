"""k3s: one machine, from k3s' own script or from local files. Pure: no Pulumi import."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from settings.hosts.install import OTHER_KUBERNETES, SCRIPTS, Install, Site, flag
from settings.on_change import in_place
from settings.texts import Text
from settings.types import Section

VERSION: Final = "v1.34.4+k3s1"
"""To raise it: change it here, run it, write it into docs/runs.md. Not run with a GPU yet (docs/hosts.md)."""

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
K3sRelease = Annotated[
    str,
    Text(
        rule="a k3s release",
        pattern=r"v1\.[0-9]+\.[0-9]+\+k3s[0-9]+",
        longest=50,
        example=f"'{VERSION}'",
        stand_in="v1.0.{}+k3s1",
    ),
]

_FROM: Final = in_place("where k3s is installed from", source=SCRIPTS)


class K3sFiles(Section):
    """Local files for a host without internet."""

    binary: Annotated[FilePath, _FROM] = Field(description="the k3s binary, on the host")
    script: Annotated[FilePath, _FROM] = Field(description="k3s' own install.sh, on the host")
    images: Annotated[ImagesPath | None, _FROM] = Field(default=None, description="archive of its images, on the host")


class K3s(Install):
    """k3s from its own script, or from local files."""

    usual_place: ClassVar[str] = "/etc/rancher/k3s/k3s.yaml"
    kubeconfig_command: ClassVar[str] = "cat /etc/rancher/k3s/k3s.yaml"
    context: ClassVar[str] = "default"

    version: Annotated[K3sRelease, OTHER_KUBERNETES] = Field(default=VERSION, description="k3s release")
    files: K3sFiles | None = Field(default=None, description="local files; default: downloaded")

    def variables(self, site: Site) -> dict[str, str]:
        """Variables for the scripts."""
        files = self.files
        return {
            "K3S_VERSION": self.version,
            "K3S_ADDRESS": site.address or "",
            "K3S_GPUS": str(site.gpus()),
            "K3S_BINARY": files.binary if files else "",
            "K3S_IMAGES": (files.images or "") if files else "",
            "K3S_SCRIPT": files.script if files else "",
            "K3S_ADOPT": flag(self.adopt),
        }
