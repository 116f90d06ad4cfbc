"""The known messages, each with its cause and its fix: one table, ordered by subject, then symptom.

A message has a subject (a chart, an image, a webhook, the state, an API server) and a symptom (refused, not found, a
certificate, DNS, time). The same symptom has another meaning for each subject. So entries match the subject, and
`why_of` words the symptom. To add a message: one `Known` in `KNOWN`, above the entries that it causes (the first
matching entry is the cause of the whole failure), one line in tests/cli/test_causes.py, one row in
docs/troubleshooting.md.
"""

from __future__ import annotations

import re
from typing import Final

from cli.causes.entry import Known
from cli.causes.entry import known as _known
from cli.causes.hosts import HOSTS

_WHY: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in (
        (r"proxyconnect|proxy authentication required|\b407\b", "the proxy refuses or does not answer"),
        (r"no such host|server misbehaving|temporary failure in name resolution", "its name is not known to DNS here"),
        (r"certificate has expired|expired certificate", "its certificate has expired, or a clock is wrong"),
        (r"not yet valid", "its certificate is not yet valid, or a clock is wrong"),
        (
            r"unknown authority|self[- ]signed certificate|unable to get local issuer",
            "its certificate comes from a CA that is not trusted here (a private CA, or a proxy that opens TLS)",
        ),
        (r"x509: |certificate is (?:not )?valid for|certificate verify failed", "its certificate does not fit"),
        (r"HTTP response to HTTPS client", "it speaks plain HTTP"),
        (r"\b401\b|unauthorized|authentication required|invalid credentials", "it refuses the login (401)"),
        (r"\b403\b|forbidden|access denied|AccessDenied|\bdenied\b", "it denies access (403)"),
        (r"\b429\b|toomanyrequests|too many requests|rate limit", "it got too many requests (429)"),
        (r"\b404\b|not found|manifest unknown|no matching manifest|does not exist", "it has nothing with that name"),
        (r"status(?: code)?:? ?5\d\d|\b50[0234]\b|bad gateway", "it has an internal error (5xx)"),
        (r"text/html|does not appear to be a gzipped archive", "it answers with a web page (a login, a proxy)"),
        (r"connection refused", "nothing listens there (connection refused)"),
        (r"no route to host|network is unreachable", "there is no way to it in the network"),
        (r"deadline exceeded|i/o timeout|timeout exceeded|handshake timeout|timed out", "it does not answer in time"),
        (r"connection reset|unexpected EOF|\bEOF\b|broken pipe", "it breaks the connection off"),
    )
)  # fmt: skip
"""Symptoms in words, the most helpful first: `Get ...: context deadline exceeded` after `no such host` is DNS."""

REFUSED: Final = re.compile(r"\b40[13]\b|unauthorized|forbidden|\bdenied\b", re.IGNORECASE)
_HOST: Final = re.compile(r"(?:https?|oci)://(?:[^/@\s\"]*@)?(?P<host>[\w.-]+(?::\d+)?)|lookup (?P<looked>[\w.-]+)")
_REFERENCE: Final = re.compile(r"(?P<host>[\w-]+(?:\.[\w-]+)+(?::\d+)?)/")


_HALF_INSTALLED: Final = (
    "run `make up` again: it removes what a killed run left half-installed, where it reaches the cluster. If the error "
    "stays, delete Helm's record; of KAI in a team's cluster: `kubectl -n kai-scheduler delete secret -l owner=helm,"
)


def why_of(text: str) -> str:
    """Return the symptom of a message in words; where it is not known, the message's own first words."""
    for pattern, words in _WHY:
        if pattern.search(text):
            return words
    return "the reason is not told"


def image_of(text: str) -> str:
    """Return the image in a message; empty where there is none."""
    match = _IMAGE.search(text)
    return next((group for group in match.groups() if group), "") if match else ""


def host_of(text: str) -> str:
    """Return the host in a message: that of its first URL, or the name looked up. Never a URL's user or password."""
    match = _HOST.search(text) or _REFERENCE.search(text)
    return next((group for group in match.groups() if group), "") if match else ""


_IMAGE: Final = re.compile(
    r"image \\?[\"'](?P<quoted>[^\"'\\\s]+)|pull access denied for (?P<denied>[\w./-]+)|container \S+ of (?P<of>\S+):",
    re.IGNORECASE,
)

# helm only says the name of a chart's hook
_HOOK: Final = r"failed (?P<when>(?:pre|post)-[\w-]+)"
_QUOTED: Final = r"\\?\"(?P<{}>[^\"\\\n]+)\\?\""

KNOWN: Final[tuple[Known, ...]] = (
    *HOSTS,
    # --- before anything ran ---
    _known(
        "passphrase-wrong",
        r"incorrect passphrase",
        "the passphrase does not fit the encryptionsalt in the stack file",
        "set PULUMI_CONFIG_PASSPHRASE (or _FILE) to the passphrase that the stack was made with",
    ),
    _known(
        "passphrase-missing",
        r"passphrase must be set",
        "the stack's passphrase is not set",
        "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE",
    ),
    _known(
        "locked",
        r"stack is currently locked by|[Aa]nother update is currently in progress",
        "another run holds the stack",
        "wait for it; if it is surely gone: `pulumi cancel --stack {stack}`, then run again",
    ),
    _known(
        "packages-missing",
        r"No module named '?(?P<module>pulumi\w*|pydantic|lightkube|pip)\b",
        "the Python environment that the engine uses lacks {module}",
        "`pulumi install` in the project's folder, or `make .venv/.ready`; then run again",
    ),
    _known(
        "plugin-missing",
        r"(?:could not (?:download|install|load) plugin|no (?:resource|language|analyzer) plugin '(?P<plugin>[^']+)'"
        r"|failed to (?:download|install) plugin|error downloading (?:plugin|provider))",
        "a plugin of the engine is missing and could not be downloaded: {why}",
        "with internet: run again; without: `pulumi plugin install resource kubernetes <version> --file <archive>` "
        "(docs/troubleshooting.md, hosts without internet)",
    ),
    _known(
        "backend",
        r"blob \((?:key|code)|unable to (?:open|check if) bucket|\bapi\.pulumi\.com\b|problem logging in|"
        r"(?:could not (?:get|list|create|query)|getting|listing) (?:the )?stacks?\b[^\n]*(?:://|code=|denied|dial )",
        "the backend that keeps the state can't be used: {why}",
        "check PULUMI_BACKEND_URL and the credentials for it; nothing on the cluster was touched",
    ),
    _known(
        "disk-full",
        r"no space left on device",
        "the disk is full",
        "free some space and run again; what was made so far is in the state",
    ),
    _known(
        "protected",
        # the provider's advice on another error mentions protected resources, too
        r"because it is protected|protected resource(?!s \(e\.g\.)",
        "the team is protected: leaving it out of the stack file, or replacing it, is refused",
        "write an override for it (overrides: [{{team: ..., allow: [delete], until: ..., reason: ...}}]), `make up` "
        "with the team still in the file, then leave it out. What somebody protected by hand: `pulumi state unprotect`",
    ),
    # --- rights: whose it is stands in the message ---
    _known(
        "forbidden",
        r"(?:User|serviceaccount) \"(?P<user>[^\"]+)\" cannot (?P<verb>\w+) resource \"(?P<resource>[^\"]+)\"",
        "the kubeconfig's user {user} may not {verb} {resource}",
        "use a cluster administrator's context, or grant that right; `make preflight STACK={stack}` lists all of them",
    ),
    # --- images and refused pods: above what waits for them ---
    _known(
        "image",
        r"(?:Back-off pulling|failed to pull(?: and unpack)?) image|ImagePullBackOff|ErrImage(?:NeverPull|Pull)\b"
        r"|InvalidImageName|pull access denied for",
        "{image} can't be pulled: {why}",
        "{login}check the name, artifacts.imageRegistry and the nodes' way to the registry; what the node said stays "
        "for an hour: `kubectl -n {namespace} get events --field-selector reason=Failed`",
    ),
    _known(
        "pod-security",
        r"violates PodSecurity " + _QUOTED.format("level") + r": (?P<what>[^\n]+)",
        "Pod Security level {level} refuses a pod: {what}",
        "set the team's isolation to the level that its pods need (baseline, privileged), or correct the pod",
    ),
    _known(
        "admission",
        r"ValidatingAdmissionPolicy '(?P<policy>[^']+)'[^\n]* denied request: (?P<what>[^\n]+)",
        "admission policy {policy} refuses it: {what}",
        "do what the message says; which pods a team may make stands in docs/policies.md",
    ),
    _known(
        "webhook-denied",
        r"admission webhook " + _QUOTED.format("hook") + r" denied the request: ?(?P<what>[^\n]*)",
        "webhook {hook} refuses it: {what}",
        "do what its message says; the webhook itself works",
    ),
    # --- charts ---
    _known(
        "helm-other-line",
        r"(?P<kind>\S+) \\?\"(?P<object>[^\"\\]+)\\?\" (?:in namespace \S+ )?"
        r"exists and cannot be imported into the current release",
        "{kind} {object} belongs to another line of the chart: these two versions can't be upgraded in place, "
        "in neither direction. The old scheduler goes on working",
        "change the version as a replacement (the program does it when the line changes; a left-over object of an "
        "interrupted one is deleted by hand: `kubectl delete {kind} {object}` in the team's cluster), then run again",
    ),
    _known(
        "helm-name-in-use",
        r"cannot re-use a name that is still in use",
        "an earlier, interrupted install left its Helm release behind",
        _HALF_INSTALLED + "name=kai-scheduler`",
    ),
    _known(
        "helm-in-progress",
        r"another operation \(install/upgrade/rollback\) is in progress",
        "an earlier, interrupted Helm operation left its release locked",
        _HALF_INSTALLED + "status!=deployed,status!=superseded`",
    ),
    _known(
        "helm-hook-stays",
        # helm writes the second part on a line of its own
        _HOOK + r"[^\n]*\n?[^\n]*?(?P<kind>[\w.]+) \\?\"(?P<object>[\w.-]+)\\?\" already exists",
        "the chart's own {when} hook can't begin: {kind} {object} of the run before is still there (it failed, and "
        "this chart keeps it)",
        "see why its pod failed (`kubectl -n kai-scheduler describe job {object}` in the team's cluster); `make up` "
        "again removes it first, by hand: `kubectl -n kai-scheduler delete job {object}`",
    ),
    _known(
        "helm-hook",
        _HOOK + r"[^\n]*\n?[^\n]*?job (?P<hook>[\w.-]+) failed",
        "the chart's own {when} job {hook} failed, so nothing of it was installed or changed",
        "see why its pod failed (its events stay on the host: `kubectl -n {namespace} get events | grep {hook}`), "
        "most often an image or a right; then `make up` again",
    ),
    _known(
        "chart-local",
        r"path \\?\"(?P<path>[^\"\\]+)\\?\" not found|Chart\.yaml file is missing|chart metadata is missing"
        r"|error opening [^\n]*\.tgz",
        "the chart is not where artifacts.charts says: {path}",
        "put the archive or folder there (paths start at the project's folder), or correct artifacts.charts",
    ),
    _known(
        "chart-pull",
        r"failed to pull chart|not a valid chart repository|failed to fetch https?://\S+(?:index\.yaml|\.tgz)"
        r"|failed to perform \\?\"Fetch|failed to download \\?\"|could not download (?:oci|https?)://"
        r"|chart \\?\"[^\"\\]+\\?\" (?:version \\?\"[^\"\\]*\\?\" )?not found in|/v2/\S+/(?:manifests|tags|blobs)/"
        r"|failed to (?:authorize|fetch (?:anonymous|oauth) token)|could not find protocol handler"
        r"|does not appear to be a gzipped archive|no cached repo found",
        "the chart can't be downloaded from {host}: {why}; nothing is wrong with the cluster",
        "{login}open the way from here to {host}, or name another place in artifacts.charts",
    ),
    # --- room on the nodes: above the webhook's message, which it causes ---
    _known(
        "no-room",
        r"OutOf(?P<resource>cpu|memory|pods|nvidia\.com/gpu)"
        r"|\d+/\d+ nodes are available[^\n]*Insufficient (?P<short>[\w/-]+(?:\.[\w/-]+)*)"
        r"|\d+ Insufficient (?P<lack>[\w/-]+(?:\.[\w/-]+)*)|(?P<many>Too many pods)",
        "a node is full ({room}): pods of this team can't start, and what they serve (webhooks) can't answer",
        "give the team another node, lower requests, or remove a team; `make preflight` shows what is free",
    ),
    _known(
        "taint",
        r"had untolerated taint(?:\(s\)|s)?:? ?\{(?P<taint>[^}]+)\}",
        "no node lets the pod in: it does not tolerate the taint {taint}",
        "`make preflight STACK={stack}` names the node and whose taint it is",
    ),
    _known(
        "webhook-foreign",
        r"failed calling webhook \\?\"?(?P<hook>[\w.-]+)[^\n]*?https://[\w-]+\.(?P<namespace>(?!kai-scheduler\b)[\w-]+)\.svc",
        "webhook {hook} of namespace {namespace} does not answer: {why}",
        "it belongs to something else on that cluster: look at its pods, `kubectl -n {namespace} get pods`",
    ),
    _known(
        "webhook",
        r"failed calling webhook \\?\"?(?P<hook>[\w.-]+)",
        "KAI's webhook {hook} does not answer. Right after an install it needs up to a minute; later it means that its "
        "pods are Pending, most often because the node has no CPU left",
        "look for Pending pods in kai-scheduler of the team's cluster, make room on the node, `make up` again",
    ),
    _known(
        "secret-late",
        r"Secret (?P<namespace>[\w-]+)/(?P<object>vc-[\w.-]+) did not appear",
        "the virtual cluster did not come up in time: its Secret {object} is missing",
        "see the log of its pod (`kubectl -n {namespace} logs {team}-0`); on a busy node `make up` again is enough",
    ),
    _known(
        "port-taken",
        r"(?:nodePort: Invalid value: (?P<port>\d+): )?provided port is already allocated",
        "the team's NodePort {port} is taken by another Service",
        "set teams.<team>.access.port to a free one; `make preflight STACK={stack}` names the Service that has it",
    ),
    _known(
        "quota",
        r"exceeded quota: (?P<quota>[\w.-]+)(?P<rest>[^\n]*)",
        "the host's quota {quota} refuses a pod{rest}",
        "lower what the queue asks for, or raise the team's resources in the stack file",
    ),
    _known(
        "label-conflict",
        r"conflict with \\?\"(?P<other>[^\"\\]+)\\?\"[^\n]*?(?P<object>\.(?:metadata|spec)\.[\w./-]+)",
        "somebody else ({other}) set {object} to another value",
        "make the stack file say what is there, or remove theirs; `make preflight STACK={stack}` shows both values",
    ),
    _known(
        "gone",
        r"update of resource \\?\"urn:[^\"\n]+\" failed: (?P<object>[\w.-]+ \\?\"[^\"\n]+\") not found",
        "{object} is in the state and no longer on the cluster: somebody removed it",
        "`make drift STACK={stack}` shows all that is gone; `pulumi refresh --run-program --stack {stack}` takes it "
        "out of the state, and `make up` makes it anew",
    ),
    _known(
        "being-deleted",
        r"object is being deleted: (?P<object>[^\n]+?) already exists",
        "{object} is still being deleted; in a team's cluster that waits for KAI's webhook, which comes late after KAI "
        "was replaced",
        "run `make up` again in a minute; if it stays, look at KAI's pods in kai-scheduler of the team's cluster",
    ),
    _known(
        "already-exists",
        r"(?P<object>[\w.-]+ \\?\"[^\"\\]+\\?\") already exists|resource (?P<other>[\w./-]+) already exists",
        "{thing} exists on the cluster already and is not ours",
        "for a RuntimeClass, device plugin or GPU Operator say `owner: cluster` in the stack file; otherwise rename or "
        "remove the object",
    ),
    _known(
        "storage",
        r"unbound immediate PersistentVolumeClaims|no persistent volumes available|no default StorageClass",
        "the virtual cluster has no volume: no StorageClass provides one",
        "set host.storageClass to one that exists, or make one the default",
    ),
    _known(
        "check-verdict",
        r"team (?P<of>[\w-]+): GPU check (?P<verdict>[\w-]+): (?P<sentence>[^\n]+)",
        "the GPU check says {verdict}: {sentence}",
        "`make status STACK={stack}` shows every team's verdict; the report in `make outputs` names each finding",
    ),
    _known(
        "check-failed",
        r"BackoffLimitExceeded|reached the specified backoff limit|DeadlineExceeded",
        "the GPU check failed",
        "`make status STACK={stack}` shows its verdict; the report names the finding and what to do",
    ),
    # --- an API server: only what no subject above has taken ---
    _known(
        "unauthorized",
        r"\bUnauthorized\b|the server has asked for the client to provide credentials"
        r"|\b(?:HTTP|status(?: code)?:?) ?401\b|must be logged in to the server",
        "the API server does not accept the credentials",
        "for the host: renew the kubeconfig; for a team whose scheduler was just upgraded: its old token is gone, "
        "delete the scheduler's pod in kai-scheduler and run again",
    ),
    _known(
        "certificate-expired",
        r"certificate has expired(?: or is not yet valid)?(?:: (?P<when>[^\n]+))?|tls: expired certificate",
        "a certificate of the API server, or of the kubeconfig's user, has expired, or a clock is wrong. {when}",
        "compare `date` on both machines; for the host renew its certificates and the kubeconfig; for a team restart "
        "its control plane: `kubectl -n {namespace} delete pod {team}-0`",
    ),
    _known(
        "certificate-authority",
        r"certificate signed by unknown authority|self[- ]signed certificate",
        "the API server's certificate comes from a CA that the kubeconfig lacks: another cluster at that address, a "
        "renewed CA, or a proxy in between",
        "take a fresh kubeconfig of that cluster; behind a proxy put the address into NO_PROXY",
    ),
    _known(
        "certificate",
        r"x509: (?P<reason>[^\n]+)",
        "the API server's certificate does not fit: {reason}",
        "set host.address (and the team's access.hostNames) to the name or address that is used to reach it",
    ),
    _known(
        "dns",
        r"lookup (?P<name>[\w.-]+)[^\n]*no such host|(?P<named>[\w.-]+): name or service not known",
        "the API server's name {name} is not known to DNS here",
        "write an address that resolves from here: the context's server for the host, host.address or "
        "access.hostNames for a team",
    ),
    _known(
        "unreachable",
        r"connection refused|no route to host|no such host|i/o timeout|TLS handshake timeout"
        r"|configured Kubernetes cluster is unreachable|unable to connect to the server",
        "the API server can't be reached",
        "for a team: look at its control plane, `kubectl -n {namespace} get pods`; the other teams were updated. "
        "For the host: check the context's address",
    ),
    _known(
        "timeout",
        r"timed out waiting for the condition|context deadline exceeded",
        "it was not ready in time",
        "look for Pending or failing pods (`kubectl -n {namespace} get pods`); run again to go on from here",
    ),
)  # fmt: skip

OF_PODS: Final = frozenset(
    {
        *("image", "pod-security", "admission", "webhook-denied", "no-room", "taint"),
        *("webhook-foreign", "webhook", "quota", "storage"),
    }
)
"""Causes that keep a pod from starting. The other causes are the engine's: the same words of a controller or of the
kubelet (`already exists`, `timed out waiting`, `not found`) mean other things, and pass by themselves.
"""

ECHOES: Final = frozenset({"timeout", "secret-late", "unreachable"})
"""Consequences: left out where a more helpful cause of the same team is known."""
