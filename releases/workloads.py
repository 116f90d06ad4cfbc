"""Images of a team's workloads. To raise one: change it here, run an inference workload, write it into docs/runs.md."""

from __future__ import annotations

from typing import Final

INFERENCE_IMAGE: Final = "docker.io/vllm/vllm-openai:v0.33.0"
"""vLLM's OpenAI-compatible server; some 12 GB to pull. By tag: its digest is not known here."""
