"""How a host is reached that commands run on. Pure: no Pulumi import."""

from __future__ import annotations

from pydantic import Field

from settings.types import DnsLabel, Port, Section


class Ssh(Section):
    """A host over ssh. Its key is a secret of the stack; the host's own key is written down: no other answers."""

    host: str = Field(
        pattern=r"^[A-Za-z0-9]([-A-Za-z0-9.:]*[A-Za-z0-9])?$", max_length=253, description="name or IP of the host"
    )
    user: str = Field(default="root", pattern=r"^[a-z_][-a-z0-9_]{0,31}$", description="who logs in")
    port: Port = Field(default=22, description="port of sshd")
    key: DnsLabel = Field(description="private key: name of the secret `gpu-tenancy:secret-<name>` of the stack")
    host_key: str = Field(
        pattern=r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/=]+$",
        max_length=2000,
        description="the host's public key, as `ssh-keyscan` prints it behind the name",
    )


class Connection(Section):
    """Where commands run: on this machine, or on another one over ssh."""

    ssh: Ssh | None = Field(default=None, description="another host; default: the machine that `pulumi up` runs on")
    sudo: bool = Field(default=False, description="run as root through `sudo -n`, for a user who may without password")
