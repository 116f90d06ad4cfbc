"""Which cluster a command talks to: kubeconfig, context, and the cluster's UID.

Owns: finding the kubeconfig as kubectl does, one clear error for each failure of that, the connection.
Leaves to others: what is read from the cluster (`live.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
import msgspec
import yaml
from lightkube import ApiError, Client
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError
from lightkube.resources.core_v1 import Namespace

from cli.errors import CommandError, InputError
from kube import KubeconfigError
from kube.client import answered, connect_to, is_elsewhere, reason_of, target
from kube.stack import kubeconfig_of, kubeconfig_path
from names import Object
from settings.models import Host

TIMEOUT: Final = httpx2.Timeout(10.0, connect=5.0)
"""Seconds. A command that shows a table must not hang on a dead address."""

UID_NAMESPACE: Final = "kube-system"
"""The namespace whose UID identifies a cluster: it is made once and never changes."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A context of a kubeconfig, found and complete. Holds credentials: never print it."""

    context: str
    source: str
    config: SingleConfig

    def __repr__(self) -> str:
        return f"Target(context={self.context!r}, source={self.source!r})"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The cluster in a command's first line."""

    context: str
    uid: str
    server_version: str


def find_target(host: Host, *, root: Path, secret: str | None = None) -> Target:
    """Return the host's context, found as the program finds it. `secret` is the stack's own kubeconfig, as text.

    Raises `InputError` when there is no kubeconfig, when it can't be used, or when it lacks the context.
    """
    try:
        with chdir(root):  # the program runs in that folder, and paths in a stack file are relative to it
            text, _ = kubeconfig_of(host, secret)
    except KubeconfigError as error:
        raise InputError(
            f"{error}.", "without a cluster, use the lab: `make up STACK=lab`" if no_file(host, root) else ""
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{kubeconfig_path(host)} is not a kubeconfig (not text).", "check host.kubeconfig") from None
    return target_of(
        text, str(kubeconfig_path(host)) if secret is None else "the stack's secret gpu-tenancy:kubeconfig"
    )


def no_file(host: Host, root: Path) -> bool:
    """Whether there is no kubeconfig at all: then this is probably a first try."""
    return not (root / kubeconfig_path(host)).exists()


def target_of(text: str, source: str) -> Target:
    """Return the current context of a kubeconfig text. Raises `InputError`."""
    try:
        config = target(text)
        assert config.user is not None
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError, ConfigError, yaml.YAMLError) as error:
        # not the error's own message: it can quote a value
        raise InputError(
            f"{source}: the kubeconfig is broken ({type(error).__name__}).",
            "write it anew with your cluster's own tool, for example `kubectl config view --raw`",
        ) from None
    return Target(context=config.context_name, source=source, config=config)


@contextmanager
def connected(target: Target) -> Iterator[Client]:
    """A client for the context. Every refusal of the API becomes one clear `CommandError`."""
    where = f"context {target.context!r}, {target.config.cluster.server}"
    try:
        with Client(
            config=target.config,
            timeout=TIMEOUT,
            field_manager="gpu-tenancy",
            trust_env=is_elsewhere(target.config),
        ) as client:
            yield client
    except ApiError as error:
        raise api_error(error, where) from None
    except httpx2.HTTPStatusError as error:  # an answer that is not a Kubernetes Status: from a proxy, or a login page
        raise CommandError(
            f"what answers at {where} is not a Kubernetes API: HTTP {error.response.status_code}.",
            "check the cluster's address in the kubeconfig, and HTTPS_PROXY",
        ) from None
    except (httpx2.DecodingError, msgspec.DecodeError, RecursionError) as error:
        raise CommandError(
            f"what answers at {where} is not a Kubernetes API that this program can read: {error}.",
            "check the cluster's address in the kubeconfig, and HTTPS_PROXY",
        ) from None
    except (httpx2.HTTPError, OSError) as error:
        raise CommandError(
            f"the cluster is not reachable ({where}): {reason_of(error)}.",
            "check that it runs and that this machine reaches its address; or choose another host.context",
        ) from None
    except ConfigError as error:
        raise CommandError(
            f"the login command of {where} gives no credentials: {error}.", "run the kubeconfig's login command by hand"
        ) from None


def api_error(error: ApiError, where: str) -> CommandError:
    code = error.status.code
    if code == 401:
        return CommandError(
            f"the API server does not accept the credentials of {where}.",
            "log in again or renew the kubeconfig (an expired client certificate or token looks like this)",
        )
    if code == 403:
        return CommandError(
            f"the user of {where} may not do this: {error.status.message}.",
            "use a cluster administrator's context, or grant that right; `make preflight` lists all that are needed",
        )
    return CommandError(f"the API server of {where} answers {code}: {error.status.message}.", "look at its own log")


def identify(client: Client, context: str) -> Identity:
    """Return the context's cluster. Raises the errors that `connected` turns into messages."""
    namespace = client.get(Namespace, UID_NAMESPACE)
    uid = namespace.metadata.uid if namespace.metadata else None
    return Identity(context=context, uid=uid or "unknown", server_version=server_version(client))


Ask = Callable[[str], Object | None]
"""Returns an object as plain JSON by its path, None for 404. Raises `CommandError`."""


def get_json(target: Target, path: str, *, timeout: httpx2.Timeout) -> Object | None:
    """Return an object as plain JSON, None for 404. Raises `CommandError`."""
    with asking(target, timeout=timeout) as ask:
        return ask(path)


@contextmanager
def asking(target: Target, *, timeout: httpx2.Timeout) -> Iterator[Ask]:
    """One connection for many questions: each new one costs some milliseconds of CPU. Raises `CommandError`.

    For use in threads: the typed client's decoder (msgspec 0.22) crashes when two meet a type for the first time.
    """
    where = f"context {target.context!r}, {target.config.cluster.server}"

    @contextmanager
    def told() -> Iterator[None]:
        try:
            yield
        except (httpx2.HTTPError, OSError, ConfigError, ValueError) as error:
            raise CommandError(f"not reachable ({where}): {reason_of(error)}") from None

    def ask(path: str) -> Object | None:
        with told():
            answer = http.get(path)
        if answer.status_code == 404:
            return None
        if answer.status_code == 401:
            raise CommandError(f"does not accept the credentials of {where}")
        if not answer.is_success:
            raise CommandError(f"answers HTTP {answer.status_code} ({where})")
        try:
            return answered(answer)
        except httpx2.DecodingError as error:
            raise CommandError(f"{error} ({where})") from None

    with told():
        http = connect_to(target.config, timeout)
    with http:
        yield ask


def server_version(client: Client) -> str:
    """Return the server's gitVersion, like `v1.34.4`. There is no typed call for /version in the client."""
    with connect_to(client.config, TIMEOUT) as http:
        answer = http.get("/version")
        answer.raise_for_status()
        return str(answered(answer).get("gitVersion", "unknown"))
