"""Asks an inference server for a completion, as a client would. Runs in a pod: the standard library alone.

Exit code 0: the server answered with text. 1: it answered and the text is wrong, or it never answered. The last line
on standard output says which, in one sentence; Kubernetes keeps it as the termination message.

`/health` is not asked: it stays 200 when the GPU is gone (vLLM issue 36960).
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

PAUSE_SECONDS = 2.0
ANSWER_SECONDS = 60.0
"""How long one answer may take: the first one compiles kernels."""


@dataclass(frozen=True)
class Ask:
    """What is asked, and how long for. `contains` may be empty: then any text will do."""

    url: str
    model: str
    prompt: str
    max_tokens: int
    contains: str
    seconds: float


class NotYetError(Exception):
    """The server does not serve yet."""


class WrongError(Exception):
    """The server answered, and the answer is no completion."""


def complete(ask: Ask) -> str:
    """Return the completion's text. Raises `NotYetError` or `WrongError`."""
    body = {"model": ask.model, "prompt": ask.prompt, "max_tokens": ask.max_tokens, "temperature": 0}
    request = urllib.request.Request(
        f"{ask.url}/v1/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
            raw = response.read()
    except urllib.error.HTTPError as error:
        text = error.read(2000).decode("utf-8", "replace").strip()
        # a proxy or a server that still loads says 502 to 504; anything else will not pass by waiting
        if error.code in (502, 503, 504):
            raise NotYetError(f"HTTP {error.code}") from error
        raise WrongError(f"HTTP {error.code}: {text[:300]}") from error
    except (urllib.error.URLError, OSError) as error:
        raise NotYetError(str(getattr(error, "reason", error))) from error
    return text_of(raw, ask.contains)


def text_of(raw: bytes, contains: str) -> str:
    """Return the text in a server's answer. Raises `WrongError` where there is none, or not the one that is wanted."""
    try:
        answer = json.loads(raw)
        text = answer["choices"][0]["text"]
    except (ValueError, LookupError, TypeError) as error:
        raise WrongError(f"no completion in the answer: {raw[:300].decode('utf-8', 'replace')!r}") from error
    if not isinstance(text, str) or not text.strip():
        raise WrongError("the completion has no text")
    if contains not in text:
        raise WrongError(f"the completion lacks {contains!r}: {text[:300]!r}")
    return text


def run(ask: Ask) -> tuple[int, str]:
    """Ask until there is an answer or the time is over; return exit code and sentence."""
    end, last = time.monotonic() + ask.seconds, "nothing was tried"
    while True:
        try:
            return 0, f"completed {ask.prompt!r} with {complete(ask)!r}"
        except WrongError as error:
            return 1, f"{ask.model} answered wrongly: {error}"
        except NotYetError as error:
            last = str(error)
        if time.monotonic() >= end:
            return (
                1,
                f"{ask.model} did not answer within {ask.seconds:.0f} s ({last}); see the server's pod and its log",
            )
        time.sleep(PAUSE_SECONDS)


def from_environment() -> Ask:
    """What the Job asks."""
    env = os.environ
    return Ask(
        url=env["COMPLETION_URL"],
        model=env["COMPLETION_MODEL"],
        prompt=env["COMPLETION_PROMPT"],
        max_tokens=int(env["COMPLETION_MAX_TOKENS"]),
        contains=env.get("COMPLETION_CONTAINS", ""),
        seconds=float(env["COMPLETION_SECONDS"]),
    )


if __name__ == "__main__":
    code, sentence = run(from_environment())
    print(sentence)
    sys.exit(code)
