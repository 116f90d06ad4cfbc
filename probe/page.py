"""The page of a demo app: which GPU this pod got, and what it computed on it. Runs in a pod.

Standard library and, for the numbers, torch and nvidia-smi where the image has them. A secret's value is never shown:
only whether it is there. Listens on $PORT. `/` is for people, `/data` the same as JSON, `/healthz` for probes.
"""

from __future__ import annotations

import html
import http.server
import importlib
import json
import os
import signal
import subprocess
import sys

SIZE = 1024
"""Edge of the matrix that is multiplied: exact in float32 for small whole numbers, and 4 MiB."""
SMI_SECONDS = 20.0


def gpus() -> list[str]:
    """The lines of `nvidia-smi -L`, by torch where nvidia-smi can't be run; empty where neither sees a GPU."""
    try:
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=SMI_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return by_torch()
    return [line.strip() for line in found.stdout.splitlines() if line.strip()]


def by_torch() -> list[str]:
    """What torch says of each GPU, written as `nvidia-smi -L` writes it."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return []
    seen = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return [f"GPU {index}: {gpu.name} (UUID: GPU-{gpu.uuid})" for index, gpu in enumerate(seen)]


def computed() -> dict[str, object]:
    """A matrix product on the GPU whose right value is known: each element of ones x ones is the edge's length."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return {"where": "nowhere", "right": False, "why": "the image has no torch"}
    if not torch.cuda.is_available():
        return {"where": "nowhere", "right": False, "why": "torch sees no GPU"}
    try:
        ones = torch.ones((SIZE, SIZE), device="cuda")
        product = ones @ ones
        right = bool((product == SIZE).all().item())
        return {"where": torch.cuda.get_device_name(0), "right": right, "why": f"ones({SIZE}) x ones({SIZE}) = {SIZE}"}
    except RuntimeError as error:
        return {"where": torch.cuda.get_device_name(0), "right": False, "why": str(error).splitlines()[0][:200]}


def data() -> dict[str, object]:
    """What the page shows."""
    env = os.environ
    secrets = [name for name in env.get("APP_SECRETS", "").split(",") if name]
    return {
        "app": env.get("APP_NAME", "app"),
        "team": env.get("APP_TEAM", ""),
        "node": env.get("APP_NODE", ""),
        "gpus": gpus(),
        "computed": computed(),
        "secrets": {name: "set" if env.get(name) else "missing" for name in secrets},
    }


def page(found: dict[str, object]) -> str:
    """The data as one HTML page; every value is escaped."""
    rows = "".join(
        f"<tr><th>{html.escape(key)}</th><td><pre>{html.escape(json.dumps(value, indent=1))}</pre></td></tr>"
        for key, value in found.items()
    )
    title = html.escape(str(found["app"]))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        "<style>body{font:16px sans-serif;margin:2em}th{text-align:left;vertical-align:top;padding-right:1em}</style>"
        f"<h1>{title}</h1><table>{rows}</table></html>"
    )


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers the three paths."""

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/healthz":
            self._send(200, "text/plain", "ok\n")
        elif self.path == "/data":
            self._send(200, "application/json", json.dumps(data()) + "\n")
        elif self.path == "/":
            self._send(200, "text/html; charset=utf-8", page(data()))
        else:
            self._send(404, "text/plain", "not found\n")

    def _send(self, code: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(port: int) -> None:
    """Serve until ended."""
    # the first process of a container has no default: without this its end takes the pod's whole grace time
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with http.server.ThreadingHTTPServer(("", port), Handler) as server:
        print(f"serving on port {server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(int(os.environ.get("PORT", sys.argv[1] if len(sys.argv) > 1 else "8080")))
