"""What looks like a secret, in any text. Pure: patterns, and what they find.

Owns: patterns of well-known keys and tokens, of assignments (`password=...`), of URLs and headers with credentials, and
of all these in base64 or inside JSON.
Leaves to others: values that are secret by their place or by the engine's mark (`redact.py`).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection, Iterator
from typing import Final

from pydantic import JsonValue

SECRET: Final = "[secret]"

_JOIN: Final = "[_-]?"
_WORD: Final = r"token|passw(?:or)?[dt]|passphrase|secret|credentials?|creds|cookie|hmac|otp"  # also the German word
_KEY: Final = (
    rf"(?:api|access|account|secret|private|shared|sign(?:ing)?|encrypt(?:ion)?|licen[sc]e|session|master|ssh|deploy"
    rf"|storage|hmac|auth|webhook|registration|join|client|service|bootstrap){_JOIN}(?:access{_JOIN})?key"
)
"""A key is secret by the word before it: `key` alone is a name in a ConfigMap."""
_SHORT: Final = r"(?-i:PASS|Pass|PW|Pwd)|(?<=[_-])(?:pass|pwd|pw)"
"""Without `pass`, which is a verdict, and PWD, which is a folder."""
_REST: Final = rf"(?:{_JOIN}(?:base|value|b64|base64|data|pem|plain|raw|string|text|[0-9]{{1,2}}))?"
"""What may follow the secret word in a name: SECRET_KEY_BASE, privateKeyPem, PASSWORD_2."""

ENDING: Final = rf"(?:(?:{_KEY}|{_WORD}|{_SHORT}){_REST}|client-certificate-data)"
"""The ending of a secret's name."""
PLURAL: Final = rf"(?:{_KEY}|{_WORD})s"
"""The ending of a name for several secrets; a number there is a count (`maxTokens`)."""

_VALUE: Final = r"""\\?["']?(?!\[secret\]|\(known)(?P<value>[^\s"'\\,;&)}\]]{3,})"""

_SERVICES: Final = (
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|gl(?:pat|dt|rt|cbt|ptt)-[\w-]{16,}|pul-[0-9a-f]{20,}"
    r"|xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}|hf_[A-Za-z0-9]{16,}|nvapi-[\w-]{16,}|sk-[\w-]{20,}"
    r"|(?:sk|rk|pk)_(?:live|test)_\w{16,}|(?:AKIA|ASIA|AROA)[0-9A-Z]{12,}|dckr_(?:pat|oat)_[\w-]{16,}|npm_[A-Za-z0-9]{20,}"
    r"|pypi-[\w-]{20,}|AIza[\w-]{30,}|ya29\.[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|hv[sbr]\.[\w-]{20,}"
    r"|AGE-SECRET-KEY-1[0-9A-Z]{20,}|dop_v1_[0-9a-f]{32,}|glsa_\w{20,}|shp(?:at|ca|pa|ss)_[0-9a-f]{20,}|tskey-[\w-]{16,}"
    r"|s\.[A-Za-z0-9]{24}\b"
)
"""Keys of well-known services, by their prefixes."""

_WEBHOOKS: Final = (
    r"(?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[\w/-]+"
    r"|(?<=/api/webhooks/)\d+/[\w-]+"
    r"|(?<=webhook\.office\.com/)[\w@/.-]+"
    r"|(?i:(?<=/webhook/)|(?<=/webhooks/)|(?<=/hooks/))[\w-]{16,}"
    r"|(?<=[?&])(?i:[\w-]*(?:token|key|sig|signature|secret|password|credential|code))=[^\s&\"'<>]{3,}"
)
"""The secret part of a webhook's address."""

_LOOKS: Final = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"-----BEGIN [A-Z ]+-----((?!-----BEGIN).)*?-----END [A-Z ]+-----|-----BEGIN [A-Z ]+-----\S*",  # PEM
        r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]*",  # the same in base64
        r"\beyJ[A-Za-z0-9_-]{5,}(\.[A-Za-z0-9_-]*){1,2}",  # JWT: a service account's token
        r"(?i)\bbearer\s+[A-Za-z0-9._~+/-]{6,}=*",
        r"(?i:(?<=authorization: ))(?!\[secret)(?i:(?:basic|token|digest|negotiate|apikey|key)\s+)?[^\s\"']+",
        r"(?i)\b(?:set-)?cookie: [^\r\n\"']+",
        rf"\b(?:{_SERVICES})",
        # user:password in a URL; bounded, because each URL begins a search for an @
        r"(?<=://)[^\s/?#@:\"']{0,128}:(?!\d{1,5}(?:[/?#\s\"']|$))[^\s\"'<>]{1,512}(?=@)",
        r"(?<=://)[A-Za-z0-9_-]{16,}(?=@)",  # a key in place of user and password
        r"\b[\w.-]{1,64}:[^\s:@\"']+(?=@(?:tcp|unix)\()",  # user:password in a DSN of Go's
        r"(?i)(?<=-u )[^\s:\"']+:[^\s\"']+|(?i:(?<=--user )|(?<=--user=))[^\s:\"']+:[^\s\"']+",
        _WEBHOOKS,
        r"K10[0-9a-f]{32,}::\S+",  # a k3s node token
        r"\b[a-z0-9]{6}\.(?=[a-z]*[0-9][a-z]*[0-9])[a-z0-9]{16}\b",  # a kubeadm bootstrap token
    )
)
_ASSIGNED: Final = re.compile(
    rf"""(?i)(?P<name>(?<![a-z0-9_.-])[a-z0-9_.-]*{ENDING})(?P<sign>\\?["']?\s*(?P<equals>[:=]+)\s*){_VALUE}"""
)
_FLAG: Final = re.compile(rf"""(?i)(?P<name>(?<![\w-])--?[a-z0-9-]*{ENDING})(?P<sign>[\s=]+){_VALUE}""")
_SHORT_FLAG: Final = re.compile(
    r"""(?P<name>\b(?:sshpass|mysql\w*|mariadb\w*|(?:docker|podman|skopeo|helm registry) login)\b[^|;&\n]*?\s-p)"""
    r"""(?P<sign>[ \t]*)(?P<value>[^\s-]\S*)"""
)
"""`-p` is a port for most programs, and a password for these."""
_PIPED: Final = re.compile(
    r"(?P<name>\b(?:echo|printf)\b)(?P<sign> (?:-\w+ )?)(?P<value>[^|\n]+?)(?= *\|[^\n]*--password-stdin)"
)
_NETRC: Final = re.compile(r"(?P<name>\blogin\s+\S+\s+password)(?P<sign>\s+)(?P<value>\S+)")
_QUOTED_PASS: Final = re.compile(r"""(?i)(?P<name>["']pass["'])(?P<sign>\s*:\s*)(?P<value>"[^"]{3,}"|'[^']{3,}')""")
_PWD: Final = re.compile(r"(?P<name>(?<![\w-])pwd)(?P<sign>=)(?P<value>[^\s/~.$;&\[][^\s;&]{2,})")
_ONE_TIME: Final = re.compile(
    r"""(?i)(?P<name>(?<![a-z0-9.-])(?:[a-z0-9]+[_-])*(?:t?otp|passcode|pin)(?:[_-]?code)?)(?P<sign>["']?\s*[:=]\s*["']?)"""
    r"""(?P<value>[0-9]{4,10}(?![\w.]))"""
)
"""Only with these names a number is a secret. With other values `pin` is an ordinary word."""
_NAMING: Final = ("token", "pass", "secret", "cred", "cook", "hmac", "otp", "key", "pw", "-data")
"""Each name that `ENDING` knows contains one of these. To look for them costs a hundredth of matching the names."""
_FLAG_ALONE: Final = re.compile(rf"(?i)--?[a-z0-9-]*{ENDING}")
_KUBECONFIG: Final = re.compile(r"(?s)(clusters\s*[\"']?:.*users\s*[\"']?:|users\s*[\"']?:.*clusters\s*[\"']?:)")
_OPAQUE: Final = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{40,}={0,2}(?![A-Za-z0-9+/=_-])")
_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{24,}={0,2}(?![A-Za-z0-9+/=_-])")
_PLAIN_TEXT: Final = re.compile(r"(?i)^(true|false|null|none|-?\d+(\.\d+)?|)$")
_MOST_DECODED: Final = 1 << 20
"""Bytes. A longer base64 text is masked by its look, not by its content."""


def is_plain(text: str) -> bool:
    """Whether a text is a flag or a number, and so no secret, whatever its name."""
    return bool(_PLAIN_TEXT.match(text))


def is_key_file(text: str) -> bool:
    """Whether a whole text is a kubeconfig, or contains a key's block."""
    return bool(_KUBECONFIG.search(text)) or "-----BEGIN" in text


def names_secret(flag: str) -> bool:
    """Whether a word of a command line says that the next one is a secret (`--password`)."""
    return bool(_FLAG_ALONE.fullmatch(flag))


def decoded(text: str) -> str | None:
    """Decode a base64 text; None where it is not base64, or not readable text."""
    if not 8 <= len(text) <= _MOST_DECODED or len(text.rstrip("=")) % 4 == 1:
        return None
    padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    try:
        found = base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return found if all(c.isprintable() or c in "\r\n\t" for c in found) else None


def masked(text: str, *, names: Collection[str] = (), deep: bool = True) -> str:
    """Return `text` with everything that looks like a secret replaced.

    names: names of teams, pools and queues. `team token: support ends` is no assignment.
    deep: look into base64, too.
    """
    for pattern in _LOOKS:
        text = pattern.sub(SECRET, text)
    folded = text.casefold()
    named = any(word in folded for word in _NAMING)
    for pattern in (*([_FLAG] if named else ()), _SHORT_FLAG, _PIPED, _NETRC, _QUOTED_PASS, _PWD, _ONE_TIME):
        text = pattern.sub(lambda match: f"{match['name']}{match['sign']}{SECRET}", text)
    if named:
        text = _ASSIGNED.sub(lambda match: _assigned(match, names), text)
    text = _OPAQUE.sub(lambda match: SECRET if _is_opaque(match.group()) else match.group(), text)
    return _BASE64.sub(_encoded, text) if deep else text


def _assigned(match: re.Match[str], names: Collection[str]) -> str:
    spoken = ":" in match["equals"] and match["sign"].endswith((" ", "\t"))
    if match["name"] in names or is_plain(match["value"]) or (spoken and len(match["value"]) < _SPOKEN):
        return match.group()
    return SECRET


_SPOKEN: Final = 6
"""`token: few` may be prose. From this length on, a word after a colon counts as a value."""


def _encoded(match: re.Match[str]) -> str:
    inside = decoded(match.group())
    if inside is not None and (is_key_file(inside) or masked(inside, deep=False) != inside):
        return SECRET
    return match.group()


def _is_opaque(text: str) -> bool:
    """Whether a long word looks random: upper case, lower case and digits mixed. Hex digests and paths are not."""
    return (
        any(c.isupper() for c in text)
        and any(c.islower() for c in text)
        and sum(c.isdigit() for c in text) >= 3
        and text.count("/") <= 2
    )


def objects(text: str) -> Iterator[tuple[int, int, JsonValue]]:
    """Yield the outermost JSON objects in a text: the begin, the end and the content of each."""
    decoder, place, failures = json.JSONDecoder(), text.find("{"), 0
    while place >= 0 and failures < _MOST_FAILURES:
        try:
            found, end = decoder.raw_decode(text, place)
            yield place, end, found
        except (ValueError, RecursionError):
            failures += 1
            end = place + 1
        place = text.find("{", end)


_MOST_FAILURES: Final = 100
"""The most braces that begin no object: a long text of them must not take a minute."""
