"""What names of secrets are made of: one vocabulary for properties, variables, flags and prose. Pure data.

Owns: the words. Leaves to others: where a name counts and what follows it (`looks.py`, `redact.py`).
"""

from __future__ import annotations

from typing import Final

_JOIN: Final = "[_-]?"
_WORD: Final = r"token|passw(?:or)?[dt]|passphrase|secret|credentials?|creds|cookie|hmac|otp"  # also the German word
_KEY: Final = (
    rf"(?:api|access|account|secret|private|shared|sign(?:ing)?|encrypt(?:ion)?|licen[sc]e|session|master|ssh|deploy"
    rf"|storage|hmac|auth|webhook|registration|join|client|service|bootstrap){_JOIN}(?:access{_JOIN})?key"
)
"""A key is a secret by what stands before it: `key` alone is a name in a ConfigMap."""
_SHORT: Final = r"(?-i:PASS|Pass|PW|Pwd)|(?<=[_-])(?:pass|pwd|pw)"
"""Not `pass`: that is a verdict; and not PWD: that is a folder."""
_REST: Final = rf"(?:{_JOIN}(?:base|value|b64|base64|data|pem|plain|raw|string|text|[0-9]{{1,2}}))?"
"""What a name may have behind the word that makes it one: SECRET_KEY_BASE, privateKeyPem, PASSWORD_2."""

ENDING: Final = rf"(?:(?:{_KEY}|{_WORD}|{_SHORT}){_REST}|client-certificate-data)"
"""How the name of what holds a secret ends."""
PLURAL: Final = rf"(?:{_KEY}|{_WORD})s"
"""How the name of what holds several ends; a number there is a count (`maxTokens`)."""
