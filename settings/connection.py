"""How commands reach the host that they run on. Pure: no Pulumi import."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from settings.on_change import in_place
from settings.texts import DnsLabel, HostAddress, Text, UserName
from settings.types import Flag, Port, Section

HostKey = Annotated[
    str,
    Text(
        rule="a host's public key, its kind and the key in base64",
        pattern=r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/=]+",
        longest=2000,
        example="'ssh-ed25519 AAAA...'",
        stand_in="ssh-ed25519 standin{}",
    ),
]

_SAME: Final = in_place("the same machine, by its hostKey")


class Ssh(Section):
    """A host over ssh. The private key is a secret of the stack. The file names the host's public key, so no other host
    can answer.
    """

    host: HostAddress = Field(description="name or IP of the host")
    user: Annotated[UserName, _SAME] = Field(default="root", description="who logs in")
    port: Annotated[Port, _SAME] = Field(default=22, description="port of sshd")
    key: Annotated[DnsLabel, _SAME] = Field(
        description="private key: name of the secret `gpu-tenancy:secret-<name>` of the stack"
    )
    host_key: HostKey = Field(description="the host's public key, as `ssh-keyscan` prints it behind the name")


class Connection(Section):
    """Where commands run: on this machine, or on another one over ssh."""

    ssh: Ssh | None = Field(default=None, description="another host; default: the machine that `pulumi up` runs on")
    sudo: Annotated[Flag, _SAME] = Field(
        default=False, description="run as root through `sudo -n`, which must not ask for a password"
    )
