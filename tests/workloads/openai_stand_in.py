"""A small OpenAI-compatible server over torch with random weights: stands in for vLLM where its image or a model can't
be had. It takes vLLM's arguments that we pass, takes GPU memory as `--gpu-memory-utilization` says, and computes.

    python3 openai_stand_in.py MODEL --served-model-name NAME --port 8000 --gpu-memory-utilization 0.66

Without a GPU it computes on the CPU. The text is a function of seed and prompt, so the same prompt at temperature 0
gives the same text.
"""

from __future__ import annotations

import argparse
import http.server
import importlib
import json
import signal
import sys
from typing import Any

WORDS = ("city", "in", "the", "state", "of", "green", "hills", "and", "old", "trees", "near", "water")
WIDTH = 256
SEED = 7


class Model:
    """Random weights, and a memory reservation of the size that a real server would make."""

    def __init__(self, utilization: float) -> None:
        self.torch: Any = importlib.import_module("torch")
        torch = self.torch
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(SEED)
        self.weights = torch.randn((WIDTH, WIDTH)).to(self.device)
        self.held: Any = None
        if self.device == "cuda":
            free, total = torch.cuda.mem_get_info()
            wanted = int(total * utilization) - torch.cuda.memory_reserved()
            if wanted > free:
                raise SystemExit(
                    f"Free memory on device ({free >> 20}/{total >> 20} MiB) is less than utilization {utilization}"
                )
            self.held = torch.empty(max(wanted, 1), dtype=torch.uint8, device="cuda")

    def complete(self, prompt: str, tokens: int) -> str:
        """Return `tokens` words, chosen by products of the weights with the prompt's bytes."""
        torch = self.torch
        data = [float(byte) for byte in prompt.encode()[:WIDTH]]
        state = torch.tensor([data + [0.0] * (WIDTH - len(data))], device=self.device)
        found = []
        for _ in range(tokens):
            state = torch.tanh(state @ self.weights / WIDTH)
            found.append(WORDS[int(state.abs().sum().item() * 1000) % len(WORDS)])
        return " " + " ".join(found)


def handler(model: Model, name: str) -> type[http.server.BaseHTTPRequestHandler]:
    """The request handler of one server."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/health":
                self._send(200, {})
            elif self.path == "/v1/models":
                self._send(200, {"object": "list", "data": [{"id": name, "object": "model"}]})
            else:
                self._send(404, {"error": {"message": "no such path"}})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            if self.path != "/v1/completions":
                self._send(404, {"error": {"message": "no such path"}})
            elif body.get("model") != name:
                self._send(404, {"error": {"message": f"The model `{body.get('model')}` does not exist."}})
            else:
                text = model.complete(str(body["prompt"]), int(body.get("max_tokens", 16)))
                choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "length"}
                self._send(200, {"object": "text_completion", "model": name, "choices": [choice]})

        def _send(self, code: int, answer: object) -> None:
            data = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


def main() -> None:
    """Serve until ended. Arguments of vLLM that mean nothing here are let through."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--served-model-name", default=None)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--gpu-memory-utilization", type=float, default=0.9)
    args, _ = parser.parse_known_args()
    # the first process of a container has no default for it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    model = Model(args.gpu_memory_utilization)
    with http.server.ThreadingHTTPServer(
        ("", args.port), handler(model, args.served_model_name or args.model)
    ) as server:
        print(f"serving {args.served_model_name or args.model} on {model.device}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
