"""A team's snapshots as frozen pydantic models, and their one rule. Pure: no Pulumi import.

Owns: shape, defaults and rule of `vcluster.snapshots`.
Leaves to others: taking one and going back to it (`kube/snapshots.py`).
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from settings.on_change import in_place
from settings.texts import DnsLabel, Text
from settings.types import Flag, MemoryQuantity, Section

_BUCKET: Final = Text(
    rule="a bucket's name (3 to 63 lower-case letters, digits, '-' and '.')",
    pattern=r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    longest=63,
    example="'gpu-snapshots'",
)
_PREFIX: Final = Text(
    rule="a path in the bucket (letters, digits and '-_./', no slash at its ends)",
    pattern=r"[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,198}[A-Za-z0-9])?",
    longest=200,
    example="'clusters/prod'",
)
_REGION: Final = Text(
    rule="a region's name (lower-case letters, digits and '-')",
    pattern=r"[a-z0-9][a-z0-9-]{0,62}",
    longest=63,
    example="'eu-central-1'",
)
_ENDPOINT: Final = Text(
    rule="an https:// address without a path",
    pattern=r"https://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?",
    longest=270,
    example="'https://minio.example.com:9000'",
    stand_in="https://stand-in-{}.example.com",
)

_NEXT: Final = in_place("applies from the next snapshot on; older ones stay where they are")


class S3(Section):
    """A bucket, with vCluster's own words for it."""

    bucket: Annotated[str, _BUCKET] = Field(description="name of the bucket")
    prefix: Annotated[str, _PREFIX, _NEXT] = Field(
        default="snapshots", description="path in the bucket, before <team>/<name>"
    )
    region: Annotated[Annotated[str, _REGION] | None, _NEXT] = Field(
        default=None, description="the bucket's region; default: AWS is asked for it"
    )
    endpoint: Annotated[Annotated[str, _ENDPOINT] | None, _NEXT] = Field(
        default=None, description="endpoint of a store that is not AWS; default: AWS"
    )
    secret: Annotated[DnsLabel, _NEXT] = Field(
        description="Secret in the team's host namespace with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )


class Snapshots(Section):
    """Where a virtual cluster's snapshots go, and when one is taken automatically."""

    size: MemoryQuantity = Field(
        default="2Gi", description="volume for them in the team's host namespace; counts in the team's storage"
    )
    s3: S3 | None = Field(default=None, description="a bucket instead of the volume")
    before_changes: Annotated[Flag, _NEXT] = Field(
        default=False,
        description="take one before an update that is disruptive for the team; if it fails, the update fails",
    )

    @property
    def claim(self) -> str | None:
        """The size of the volume; None where there is none."""
        return None if self.s3 else self.size
