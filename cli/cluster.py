"""Which cluster a command talks to: kubeconfig, context, and the UID that tells two clusters apart.

Owns: finding the kubeconfig as kubectl does, one clear error for each way in which that fails, the connection.
Leaves to others: what is read from the cluster (`live.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
import msgspec
import yaml
from lightkube import ApiError, Client, KubeConfig
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError
from lightkube.resources.core_v1 import Namespace

from cli.errors import CommandError, InputError
from kube import KubeconfigError
from kube.client import answered, connect_to, is_elsewhere, read_kubeconfig, reason_of
from kube.stack import kubeconfig_of, kubeconfig_path
from names import Object
from settings.models import Host

TIMEOUT: Final = httpx2.Timeout(10.0, connect=5.0)
"""Seconds. A command that shows a table must not hang on a dead address."""

UID_NAMESPACE: Final = "kube-system"
"""Its UID is made once per cluster and never changes: the usual identity of a cluster."""


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
    """What a command's first line names."""

    context: str
    uid: str
    server_version: str


def find_target(host: Host, *, root: Path, secret: str | None = None) -> Target:
    """Return the host's context, found as the program finds it. `secret` is the stack's own kubeconfig, as text.

    Raises `InputError` when there is no kubeconfig, when it can't be used, or when it lacks the context.
    """
    try:
        with chdir(root):  # the program runs there, and paths in a stack file are relative to it
            text, _ = kubeconfig_of(host, secret)
    except KubeconfigError as error:
        raise InputError(
            f"{error}.", "or try the lab, which needs no cluster: `make up STACK=lab`" if no_file(host, root) else ""
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{kubeconfig_path(host)} is not a kubeconfig (not text).", "check host.kubeconfig") from None
    return target_of(
        text, str(kubeconfig_path(host)) if secret is None else "the stack's secret gpu-tenancy:kubeconfig"
    )


def no_file(host: Host, root: Path) -> bool:
    """Whether there is no kubeconfig at all: then this is somebody's first try."""
    return not (root / kubeconfig_path(host)).exists()


def target_of(text: str, source: str) -> Target:
    """Return the current context of a kubeconfig text. Raises `InputError`."""
    try:
        parsed = read_kubeconfig(text)
        for entry in parsed["users"]:
            login = entry["user"].get("exec")
            if isinstance(login, dict) and login.get("apiVersion") == "client.authentication.k8s.io/v1":
                # the client knows v1beta1 by name only; the answer (status.token) is the same in both
                login["apiVersion"] = "client.authentication.k8s.io/v1beta1"
        config = KubeConfig.from_dict(parsed).get()
        assert config is not None
        assert config.user is not None
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError, ConfigError, yaml.YAMLError) as error:
        # not the error's own words: they can quote a value
        raise InputError(
            f"the kubeconfig {source} is broken ({type(error).__name__}).",
            "write it anew with your cluster's own tool, for example `kubectl config view --raw`",
        ) from None
    return Target(context=config.context_name, source=source, config=config)


@contextmanager
def connected(target: Target) -> Iterator[Client]:
    """A client for the context; every way in which the API can refuse becomes one clear `CommandError`."""
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
    except httpx2.HTTPStatusError as error:  # an answer that is no Kubernetes Status: a proxy's, a login page
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
            f"the credentials of {where} can't be had: {error}.", "run the kubeconfig's login command by hand"
        ) from None


def api_error(error: ApiError, where: str) -> CommandError:
    """Return the API's refusal in words."""
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
    """Return the context's cluster. Raises what `connected` turns into words."""
    namespace = client.get(Namespace, UID_NAMESPACE)
    uid = namespace.metadata.uid if namespace.metadata else None
    return Identity(context=context, uid=uid or "unknown", server_version=server_version(client))


def get_json(target: Target, path: str, *, timeout: httpx2.Timeout) -> Object | None:
    """Return an object as plain JSON, None for 404. Raises `CommandError`.

    For use in threads: the typed client's decoder (msgspec 0.22) crashes when two meet a type for the first time.
    """
    where = f"context {target.context!r}, {target.config.cluster.server}"
    try:
        with connect_to(target.config, timeout) as http:
            answer = http.get(path)
    except (httpx2.HTTPError, OSError, ConfigError, ValueError) as error:
        raise CommandError(f"not reachable ({where}): {reason_of(error)}") from None
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


def server_version(client: Client) -> str:
    """Return the server's gitVersion, like `v1.34.4`. There is no typed call for /version in the client."""
    with connect_to(client.config, TIMEOUT) as http:
        answer = http.get("/version")
        answer.raise_for_status()
        return str(answered(answer).get("gitVersion", "unknown"))
