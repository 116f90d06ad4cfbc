"""The messages of scripts on hosts, and of ssh to them. Pure.

A script prints one line with what it refuses and what to do (`components/scripts/common.sh`). That line is the cause.
"""

from __future__ import annotations

from typing import Final

from cli.causes.entry import Known, known
from settings.hosts import INSTALLS

_PART: Final = rf"(?:\A|\n)\s*(?P<part>{'|'.join(INSTALLS)}|slurm): "

HOSTS: Final[tuple[Known, ...]] = (
    known(
        "host-refused",
        _PART + r"REFUSED: (?P<said>[^\n]+); (?P<todo>[^;\n]+)",
        "{part} on the host: {said}",
        "{todo}; then run `make up STACK={stack}` again",
    ),
    known(
        "host-failed",
        _PART + r"FAILED with exit code (?P<code>\d+): (?P<said>[^\n]+); its own words",
        "{part} on the host: a command failed with exit code {code}: {said}",
        "see its output below; what was done is written down there: run `make up STACK={stack}` again, or "
        "`make down STACK={stack}` takes it back",
    ),
    known(
        "sudo-asks",
        r"sudo: a (?:password|terminal) is required|is not in the sudoers file",
        "sudo asks for a password on the host, and nobody can type it",
        "let the user of connection run sudo without one (NOPASSWD, a file below /etc/sudoers.d), or connect as root",
    ),
    known(
        "ssh-host-key",
        r"ssh: host key mismatch",
        "the host that answers over ssh has another key than connection.ssh.hostKey",
        "if it was made anew: write its new key (`ssh-keyscan` prints it); else somebody else answers: find out who",
    ),
    known(
        "ssh-host-key-kind",
        r"no common algorithm for host key; we offered: \[(?P<kind>[\w-]+)\]",
        "the host has no key of the kind of connection.ssh.hostKey ({kind}; today's sshd does not sign with ssh-rsa)",
        "write its ssh-ed25519 or ecdsa key: `ssh-keyscan` prints them",
    ),
    known(
        "ssh-cut",
        r"remote command exited without exit status",
        "the connection to the host was cut while its script ran; it may still run there, and the next run waits",
        "run `make up STACK={stack}` again, or `make down STACK={stack}`",
    ),
    known(
        "no-sudo",
        r"sudo: (?:command )?not found",
        "there is no sudo on the host",
        "install it, or connect as root without connection.sudo",
    ),
    known(
        "ssh-login",
        r"ssh: unable to authenticate",
        "the host refuses the login over ssh",
        "check connection.ssh.user, and that the host has the public part of the secret that connection.ssh.key names",
    ),
    known(
        "ssh-key",
        r"ssh: no key found|this private key is passphrase protected",
        "the secret that connection.ssh.key names is not a usable private key: it is none, or it has a passphrase",
        "`pulumi config set --secret gpu-tenancy:secret-<key> < keyfile`, with a key without passphrase",
    ),
    known(
        "ssh-unreachable",
        r"after \d+ failed attempts: dial tcp:? (?:lookup )?(?P<address>\S+?)(?::? on \S+)?: ",
        "no ssh server answers at {address}: {why}",
        "check connection.ssh.host and port, and the way there; nothing on it was changed",
    ),
)
