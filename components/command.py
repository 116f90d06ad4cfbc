"""A script that runs on a host at creation, and another that undoes it at deletion.

Owns: the one way to run a command, local or over ssh. The script is text, not a file on the host. Its values are quoted
variables at the top, never secrets. The text goes to bash's standard input, because pulumi-command prints a failed
command whole, before the command's own output.
Leaves to others: the scripts, which must be safe to run twice (an edited input runs the first one again; pulumi-command
v1.2.1 provider/pkg/provider/local/commandController.go: no `update` means `create`).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pulumi
import pulumi_command as command

from settings.connection import Connection

COMMON: Final = Path(__file__).parent / "scripts" / "common.sh"
KEPT: Final = (
    "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_RUNTIME_DIR", "DOCKER_*", "*_proxy", "*_PROXY", "SSL_CERT_*",
    "CURL_CA_BUNDLE", "HOST_ROOT", "LOCK_SECONDS", "WAIT_STEP",
)  # fmt: skip
"""Patterns of the variables that a script keeps of its caller's environment. It drops all others: `pulumi up` on this
machine passes its whole environment. There KUBECONFIG could name another cluster, K3S_URL would make an agent of a
server, SLURM_CONF could lead to another controller, and a daemon would keep the stack's passphrase as long as it
runs.
"""


@dataclass(frozen=True, kw_only=True)
class Script:
    """`install` and `remove` are texts for bash; `variables` go in front of both."""

    install: str
    remove: str
    variables: Mapping[str, str]

    def text(self, body: str) -> str:
        """What bash reads: the variables, then the body."""
        head = (
            "unset -f $(compgen -A function) 2>/dev/null || true\n"
            f"for name in $(compgen -e); do case $name in {'|'.join(KEPT)}) ;; "
            '*) unset -v "$name" 2>/dev/null || true ;; esac; done\n'
        )
        head += "".join(f"export {key}={shlex.quote(value)}\n" for key, value in sorted(self.variables.items()))
        # one group: bash reads all of it before it runs any of it, so no command in it can read the rest as its input
        return f"{{\n{head}{body}\n}} </dev/null\n"


def joined(*parts: Path) -> str:
    """The text of several script files, after the part that all of them share."""
    return "\n".join(path.read_text() for path in (COMMON, *parts))


def read(
    name: str,
    text: str,
    connection: Connection,
    key: pulumi.Output[str] | None,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """Declare a command that prints a secret, and return what it printed. Nothing of it reaches a log."""
    opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=["stdout", "stderr"]))
    command_text = f"{'sudo -n ' if connection.sudo else ''}{text}"
    if connection.ssh is None:
        found: pulumi.Output[str] = command.local.Command(
            name, create=command_text, logging=command.local.Logging.NONE, add_previous_output_in_env=False, opts=opts
        ).stdout
        return found
    printed: pulumi.Output[str] = command.remote.Command(
        name,
        connection=_ssh(connection, key),
        create=command_text,
        logging=command.remote.Logging.NONE,
        add_previous_output_in_env=False,
        opts=opts,
    ).stdout
    return printed


def _ssh(connection: Connection, key: pulumi.Output[str] | None) -> command.remote.ConnectionArgs:
    ssh = connection.ssh
    assert ssh is not None
    return command.remote.ConnectionArgs(
        host=ssh.host,
        user=ssh.user,
        port=ssh.port,
        private_key=key,
        # without it nobody checks which host answers
        host_key=ssh.host_key,
    )


def run(
    name: str,
    script: Script,
    connection: Connection,
    key: pulumi.Output[str] | None,
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    """Declare the command and, before it, its removal. `key` is the private key's text, a secret; only over ssh.

    These are two resources: a resource whose create failed is not in the state, so destroy would leave on the host what
    it did.
    """
    owner = {"OWNER": f"{pulumi.get_project()}/{pulumi.get_stack()}"}
    script = replace(script, variables={**script.variables, **owner})
    removal = _command(
        f"{name}-removal", connection, key, opts, delete=_bash(connection), stdin=script.text(script.remove)
    )
    after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[removal]))
    return _command(name, connection, key, after, create=_bash(connection), stdin=script.text(script.install))


def _bash(connection: Connection) -> str:
    """Run bash, whatever the user's shell is."""
    return f"{'sudo -n ' if connection.sudo else ''}bash -s"


def _command(
    name: str,
    connection: Connection,
    key: pulumi.Output[str] | None,
    opts: pulumi.ResourceOptions,
    *,
    stdin: str,
    create: str | None = None,
    delete: str | None = None,
) -> command.local.Command | command.remote.Command:
    # without `add_previous_output_in_env: false` the last run's output would go into the next run's environment
    if connection.ssh is None:
        return command.local.Command(
            name,
            create=create,
            delete=delete,
            stdin=stdin,
            logging=command.local.Logging.STDERR,
            add_previous_output_in_env=False,
            opts=opts,
        )
    return command.remote.Command(
        name,
        connection=_ssh(connection, key),
        create=create,
        delete=delete,
        stdin=stdin,
        logging=command.remote.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=opts,
    )
