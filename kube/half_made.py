"""What an install of Helm's that did not end left outside of its namespace: the namespace becomes its owner.

Helm never deletes a CRD, nor what a hook made that did not succeed. Without its record it deletes nothing. So the
namespace, which is ours, owns these objects from then on, and Kubernetes removes them after it.

Owns: which objects are that install's, and what is left because it may be somebody else's.
Leaves to others: which installs did not end (`cli/half_made.py`), the CRDs of an install that did (`puts.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import httpx2

from capacity import listed
from kube.client import answered, path, said
from kube.puts import MERGE, METADATA
from lenient import Json, items, name, namespace, rows, table, text
from names import HELM_NAMESPACE, MANAGED_BY

_RIGHTS: Final = "/apis/rbac.authorization.k8s.io/v1"
ROLES: Final = f"{_RIGHTS}/clusterroles"
BINDINGS: Final = f"{_RIGHTS}/clusterrolebindings"
OUTSIDE: Final = {
    ROLES: "ClusterRole",
    BINDINGS: "ClusterRoleBinding",
    "/apis/scheduling.k8s.io/v1/priorityclasses": "PriorityClass",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": "MutatingWebhookConfiguration",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations": "ValidatingWebhookConfiguration",
}
"""The kinds without a namespace that our charts' own objects have, by the path of their lists."""
CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEPLOYMENTS: Final = "/apis/apps/v1/deployments"
HOOK: Final = "helm.sh/hook"
RELEASE: Final = ("meta.helm.sh/release-name", HELM_NAMESPACE)
"""Annotations by which Helm knows its own objects, but for CRDs and hooks."""
NAMED: Final = 3


@dataclass(frozen=True, kw_only=True)
class Install:
    """An install of Helm's that did not end. `crds`: those that its chart brings. `used`: the path of a list; an object
    there that is not ours shows that somebody else uses them. `recorded`: whether the state has the release; then Helm
    deletes its own objects itself."""

    namespace: str
    release: str
    crds: Sequence[str] = ()
    used: str = ""
    recorded: bool = False


def own_half_made(api: httpx2.Client, install: Install) -> Iterator[str]:
    """Make the install's namespace the owner of what it left outside; yields a line for each thing to say.

    Touches nothing where the namespace is not ours or is not there. Raises `RuntimeError` where the server refuses, and
    `httpx2.HTTPError`.
    """
    space = _one(api, path("v1", "Namespace", install.namespace))
    if not _is_ours(space):
        return
    since = _made(space)
    ours = {**_outside(api, install, since), **_crds(api, install, since)}
    users = _users(api, install) if any(where.startswith(CRDS) for where in ours) else []
    kept = [where for where in ours if users and where.startswith(CRDS)]
    given = {where: thing for where, thing in ours.items() if where not in kept}
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": name(space), "uid": text(space, "metadata", "uid")}
    for where, thing in given.items():
        # of an object that was made anew meanwhile the uid is another one
        metadata = {"uid": text(thing, "metadata", "uid"), "ownerReferences": [owner]}
        answer = api.patch(where, json={"metadata": metadata}, headers=MERGE)
        if not answer.is_success and answer.status_code not in (httpx2.codes.NOT_FOUND, httpx2.codes.CONFLICT):
            raise RuntimeError(f"{where} can't be given to namespace {install.namespace}: {said(answer)}")
    what = f"what the unfinished Helm release {install.namespace}/{install.release} left outside of its namespace"
    if given:
        yield f"{what} goes with it from now on: {listed([_named(where) for where in given], NAMED)}"
    if kept:
        crds = " ".join(sorted(where.rpartition("/")[2] for where in kept))
        yield (
            f"{what}, and that stays, because {listed(users, NAMED)} may use it: {crds}. If nobody does: "
            f"`kubectl delete crd {crds}`"
        )


def _outside(api: httpx2.Client, install: Install, since: str) -> dict[str, Json]:
    """The objects without an owner that carry the release's name, and those of its hooks, by their paths."""
    lists = {where: _list(api, where) for where in OUTSIDE}
    hooks = [one for one in lists[BINDINGS] if _of_hook(one, since) and _binds_inside(one, install.namespace)]
    bound = {text(one, "roleRef", "name") for one in hooks}
    hooks += [one for one in lists[ROLES] if _of_hook(one, since) and name(one) in bound]
    return {
        f"{where}/{name(one)}": one
        for where, there in lists.items()
        for one in there
        if _has_no_owner(one) and (one in hooks or (not install.recorded and _of_release(one, install)))
    }


def _of_release(thing: Json, install: Install) -> bool:
    said = table(thing, "metadata", "annotations")
    return tuple(said.get(key) for key in RELEASE) == (install.release, install.namespace)


def _of_hook(thing: Json, since: str) -> bool:
    return HOOK in table(thing, "metadata", "annotations") and _made(thing) >= since


def _binds_inside(binding: Json, space: str) -> bool:
    """Whether a binding gives rights to accounts of the namespace alone."""
    subjects = rows(binding, "subjects")
    return bool(subjects) and all(text(subject, "namespace") == space for subject in subjects)


def _crds(api: httpx2.Client, install: Install, since: str) -> dict[str, Json]:
    """The chart's CRDs that nobody owns and that are not older than the namespace: an older one was there before us."""
    found: dict[str, Json] = {}
    for crd in install.crds:
        where = f"{CRDS}/{crd}"
        thing = _one(api, where)
        if thing and _has_no_owner(thing) and _made(thing) >= since:
            found[where] = thing
    return found


def _users(api: httpx2.Client, install: Install) -> list[str]:
    """Deployments of other namespaces that look like the same software, and objects of its kinds that are not ours."""
    there = _list(api, install.used, may_lack=True) if install.used else []
    return [
        *(f"Deployment {namespace(one)}/{name(one)}" for one in _list(api, DEPLOYMENTS) if _is_another(one, install)),
        *(f"{install.used.rpartition('/')[2]}/{name(one)}" for one in there if not _is_ours(one)),
    ]


def _is_another(deployment: Json, install: Install) -> bool:
    containers = rows(deployment, "spec", "template", "spec", "containers")
    words = (name(deployment), *(text(one, "image") for one in containers))
    return namespace(deployment) != install.namespace and any(install.release in word for word in words)


def _is_ours(thing: Json) -> bool:
    return MANAGED_BY.items() <= table(thing, "metadata", "labels").items()


def _list(api: httpx2.Client, where: str, *, may_lack: bool = False) -> list[Json]:
    """The objects of a list. `may_lack`: whether the server may not know their kind, so that there are none."""
    return items(_read(api.get(where), may_lack=may_lack))


def _one(api: httpx2.Client, where: str) -> Json:
    """What is needed of an object; empty where there is none."""
    return _read(api.get(where, headers=METADATA), may_lack=True)


def _read(answer: httpx2.Response, *, may_lack: bool) -> Json:
    if may_lack and answer.status_code == httpx2.codes.NOT_FOUND:
        return {}
    if not answer.is_success:
        raise RuntimeError(f"{answer.request.url.path} can't be read: {said(answer)}")
    return answered(answer)


def _has_no_owner(thing: Json) -> bool:
    return not rows(thing, "metadata", "ownerReferences")


def _made(thing: Json) -> str:
    return text(thing, "metadata", "creationTimestamp")


def _named(where: str) -> str:
    folder, _, called = where.rpartition("/")
    return f"{OUTSIDE.get(folder, 'CRD')} {called}"
