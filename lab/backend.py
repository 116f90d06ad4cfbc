"""Turn resources into objects: what a registration creates, updates, replaces, leaves alone, or would.

Owns: the choice of the operation, the dry run, deletion. Leaves to others: calls to the API server (`objects.py`), the
record of registrations (`engine.py`).
"""

import hashlib
from dataclasses import asdict

import tokens
from lab import simulate
from lab.clusters import FIELD_MANAGER, HOST, Clusters
from lab.data import has_unknown, secret, short
from lab.engine import Done, Provider, Recorded
from lab.errors import LabError
from lab.objects import Json, Objects, Reference, RefusedError, UnknownKindError
from lab.state import Entry, State
from preview.replaces import reasons


class LabBackend:
    """Applies to the lab's servers. With `dry_run` it only asks them, and reports what they can't judge yet."""

    def __init__(self, clusters: Clusters, state: State, *, dry_run: bool) -> None:
        self.dry_run = dry_run
        self._clusters, self._state = clusters, state
        self._releases = simulate.Releases(clusters, self.objects)
        self._going: list[tuple[Objects, Entry, Reference]] = []

    def objects(self, cluster: str) -> Objects:
        return Objects(cluster, self._clusters.client(cluster), lambda: self._clusters.mend(cluster))

    def cluster(self, kubeconfig: str, what: str) -> str:
        # where no host runs (a preview), the program got a placeholder kubeconfig, and nothing is sent
        return self._clusters.by_kubeconfig(kubeconfig, what) if self._clusters.find(HOST) else ""

    # create and update

    def component(self, recorded: Recorded, inputs: Json, entry: Entry | None) -> Done:
        """Keep a component's outputs, as the engine does, so that a later run knows what existed."""
        op = _plan(recorded, entry)
        if not self.dry_run and op != "same":
            self._state.put(_entry(recorded, custom=False))
        return Done(id="", outputs=inputs, op=op)

    def resource(self, recorded: Recorded, inputs: Json, entry: Entry | None, provider: Provider | None) -> Done:
        if not recorded.type.startswith(tokens.KUBERNETES):
            return self._only_recorded(recorded, inputs, entry)
        if provider is None:
            raise LabError(
                "it has no Kubernetes provider, and the lab has no default one.", "pass `provider=` or inherit it."
            )
        if recorded.type == tokens.RELEASE:
            return self._release(recorded, inputs, entry, provider)
        if not provider.cluster:
            return _unvalidated(recorded, inputs, entry, "its API server does not run")
        if has_unknown(inputs):
            return _unvalidated(recorded, inputs, entry, "its inputs are not known yet")
        return self._object(recorded, inputs, entry, provider)

    def _only_recorded(self, recorded: Recorded, inputs: Json, entry: Entry | None) -> Done:
        op = _plan(recorded, entry)
        if not self.dry_run and op != "same":
            self._state.put(_entry(recorded, id=recorded.name))
        known = not self.dry_run or op == "same"
        return Done(id=recorded.name if known else "", outputs=inputs, op=op, note="recorded only")

    def _release(self, recorded: Recorded, inputs: Json, entry: Entry | None, provider: Provider) -> Done:
        release = {**inputs, "name": inputs.get("name") or _auto_name(recorded)}
        release["namespace"] = inputs.get("namespace") or provider.namespace
        server = self._releases.server_of(release)
        held = self._uid(provider)
        op = _plan(recorded, entry if entry and entry.cluster_uid == held else None)
        runs = bool(server and self._clusters.find(server))
        if server and op == "same" and not runs:
            op = "update"  # its API server is gone: bring it back
        if op == "update" and entry and not entry.inputs and not runs:
            op = "create"  # an install that did not end; the engine forgets it
        release_id = f"{release['namespace']}/{release['name']}"
        outputs = {
            **release,
            "status": {"name": release["name"], "namespace": release["namespace"], "status": "deployed"},
        }
        if self.dry_run:
            note = "" if op == "same" else "not validated: charts are simulated"
            # what this run makes, or makes anew, can't be read yet
            there = op != "create" and bool(runs or not server)
            return Done(id=release_id if there else "", outputs=inputs if op == "create" else outputs, op=op, note=note)
        if op != "same":
            mark = simulate.mark_of(release)
            made = _entry(recorded, id=release_id, cluster=provider.cluster, cluster_uid=held, object=mark)
            here = entry.object if entry and entry.cluster_uid == held else {}
            self._state.put(_begun(made, entry))
            if here and (op == "replace" or simulate.starts_empty(here, mark)):
                self._releases.uninstall(provider.cluster, here)
            self._releases.install(provider.cluster, release)
            self._state.put(made)
        return Done(id=release_id, outputs=outputs, op=op)

    def _object(self, recorded: Recorded, inputs: Json, entry: Entry | None, provider: Provider) -> Done:
        obj = {key: value for key, value in inputs.items() if value is not None}
        obj["metadata"] = {"name": _auto_name(recorded), **(inputs.get("metadata") or {})}
        if not self._clusters.find(provider.cluster):
            return _unvalidated(recorded, inputs, entry, f"the API server `{provider.cluster}` does not run")
        objects, held = self.objects(provider.cluster), self._uid(provider)
        try:
            reference = objects.reference(obj, provider.namespace)
        except UnknownKindError as error:
            if self.dry_run:
                return _unvalidated(recorded, inputs, entry, error.cause)
            raise
        if reference.namespace:
            obj["metadata"]["namespace"] = reference.namespace
        here = entry if entry and entry.cluster_uid == held else None
        live = objects.get(reference)
        if _is_patch(recorded.type) and live is None:
            raise LabError(f"{reference} does not exist in the cluster, so it cannot be patched.", "correct its name.")
        moved = here is not None and here.object != asdict(reference)
        op = _plan(recorded, here if live or moved else None)
        op = "replace" if moved else op  # the namespace may also come from the provider
        if op == "same" and live:
            return Done(id=reference.id, outputs=_outputs(live), op=op)
        if self.dry_run:
            return self._dry_run(recorded, objects, obj, reference, op)
        made = _entry(recorded, id=reference.id, cluster=provider.cluster, cluster_uid=held, object=asdict(reference))
        self._state.put(_begun(made, entry))
        if op == "replace" and live and not moved and not _is_patch(recorded.type):
            objects.delete(reference)  # the new object has the same name
        objects.apply(obj, manager=_manager(recorded), force=_forced(obj))
        live = simulate.settle(objects, obj)
        if moved and here:
            objects.delete(Reference(**here.object))
        self._state.put(made)
        return Done(id=reference.id, outputs=_outputs(live), op=op)

    def _dry_run(self, recorded: Recorded, objects: Objects, obj: Json, reference: Reference, op: str) -> Done:
        new = op in ("create", "replace")
        done = Done(id="" if new else reference.id, outputs=obj, op=op)
        try:
            objects.apply(obj, manager=_manager(recorded), force=_forced(obj), dry_run=True)
        except RefusedError as error:
            if error.code == 404:  # this run makes its namespace
                return Done(id=done.id, outputs=obj, op=op, note="not validated: its namespace is not there yet")
            if op != "replace" or not _immutable(error):
                raise
            return Done(id="", outputs=obj, op=op, note="not validated: the old one has to go first")
        return done

    def _uid(self, provider: Provider) -> str:
        found = self._clusters.find(provider.cluster) if provider.cluster else None
        return found.uid if found else ""

    # reads

    def read(self, recorded: Recorded, resource_id: str, provider: Provider | None) -> Json:
        """The live object. In a dry run an empty one where it can't exist yet."""
        if provider is None or not provider.cluster or not self._clusters.find(provider.cluster):
            if self.dry_run:
                return {}
            raise LabError(f"{recorded.name} reads from a cluster that does not run.", "run `make up` again.")
        objects = self.objects(provider.cluster)
        group_version, _, kind = recorded.type.removeprefix(tokens.KUBERNETES).rpartition(":")
        api_version = group_version.removeprefix("core/")
        namespace, _, name = resource_id.rpartition("/")
        reference = Reference(api_version=api_version, kind=kind, namespace=namespace, name=name)
        live = objects.get(reference)
        if live is None and not self.dry_run:
            raise LabError(
                f"{reference} does not exist in the cluster `{provider.cluster}`.", "check why it was not made."
            )
        return _outputs({"apiVersion": api_version, "kind": kind, **live}) if live else {}

    # deletion

    def delete(self, entry: Entry, gone: set[str]) -> None:
        """Delete an entry's object, unless it was deleted with something else, and forget the entry."""
        cluster = self._clusters.find(entry.cluster) if entry.cluster else None
        # nothing to delete: it was deleted with its owner, or the server was made anew, or it was never an object
        here = cluster and cluster.uid == entry.cluster_uid and entry.deleted_with not in gone
        if here and entry.object and not entry.retained:
            objects = self.objects(entry.cluster)
            if entry.type == tokens.RELEASE:
                self._releases.uninstall(entry.cluster, entry.object)
            elif _is_patch(entry.type):
                self._release_fields(objects, entry)
            else:
                reference = Reference(**entry.object)
                # to delete an empty namespace takes 5 s; several may run at once
                objects.delete(reference, wait=reference.kind != "Namespace")
                if reference.kind == "Namespace":
                    self._going.append((objects, entry, reference))
                    return
        self._state.drop(entry.urn)

    def finish_deletes(self) -> None:
        """Wait for slow deletions, and forget their entries."""
        while self._going:
            objects, entry, reference = self._going.pop()
            objects.wait_gone(reference)
            self._state.drop(entry.urn)

    def _release_fields(self, objects: Objects, entry: Entry) -> None:
        """Remove our fields from an object that is not ours: apply an empty object as the same manager."""
        reference = Reference(**entry.object)
        if objects.get(reference):
            bare = {"apiVersion": reference.api_version, "kind": reference.kind, "metadata": {"name": reference.name}}
            if reference.namespace:
                bare["metadata"] = {"name": reference.name, "namespace": reference.namespace}
            objects.apply(bare, manager=_manager(entry))


def _plan(recorded: Recorded, entry: Entry | None) -> str:
    """The operation that the engine would choose. The reasons of a replacement go into the record."""
    if entry is None:
        return "create"
    inputs = short(recorded.inputs)
    trigger = (entry.trigger, recorded.trigger)
    # the run was killed while it made this: the object can't be compared
    old = entry.inputs or inputs
    recorded.replace_reasons = reasons(recorded.type, old, inputs, on_changes=recorded.replace_on, trigger=trigger)
    if recorded.replace_reasons:
        return "replace"
    return "same" if entry.inputs == inputs else "update"


def _entry(recorded: Recorded, **what: object) -> Entry:
    return Entry(
        urn=recorded.urn,
        type=recorded.type,
        name=recorded.name,
        inputs=short(recorded.inputs),
        provider=recorded.provider,
        parent=recorded.parent,
        deleted_with=recorded.deleted_with,
        trigger=recorded.trigger,
        retained=recorded.retained,
        **what,  # type: ignore[arg-type]  # id, cluster, cluster_uid, object, custom
    )


def _begun(made: Entry, before: Entry | None) -> Entry:
    """The state's entry while an object is being sent: it is known, but equals no input of a program."""
    kept = before.object if before and before.cluster_uid == made.cluster_uid and before.object else made.object
    return Entry(**{**vars(made), "inputs": {}, "object": kept})


def _unvalidated(recorded: Recorded, inputs: Json, entry: Entry | None, why: str) -> Done:
    return Done(id="", outputs=inputs, op=_plan(recorded, entry), note=f"not validated: {why}")


def _outputs(live: Json) -> Json:
    if live.get("kind") != "Secret":
        return live
    return {key: secret(value) if key in ("data", "stringData") else value for key, value in live.items()}


def _auto_name(recorded: Recorded) -> str:
    """A name as Pulumi makes it: the logical name and a suffix; here always the same for the same resource."""
    return f"{recorded.name}-{hashlib.sha256(recorded.urn.encode()).hexdigest()[:8]}"


def _is_patch(type_: str) -> bool:
    return type_.endswith("Patch")


def _manager(item: Recorded | Entry) -> str:
    """Each patch has its own manager, so that its removal removes only its own fields."""
    return f"{FIELD_MANAGER}-{item.name}" if _is_patch(item.type) else FIELD_MANAGER


def _forced(obj: Json) -> bool:
    return (obj["metadata"].get("annotations") or {}).get("pulumi.com/patchForce") == "true"


def _immutable(error: RefusedError) -> bool:
    return error.code == 422 and "immutable" in error.cause
