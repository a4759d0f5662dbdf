"""What a user may ask of the compiler, beyond the model and the target."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from edgewright.schedules.records import Records

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """Options of one compilation.

    Attributes:
        conv_algorithm: ``auto``, or the algorithm that convolutions must use where it applies.
        max_error: largest error of a kernel, relative to the output's largest value, or None.
        max_workspace_bytes: largest scratch memory of one thread in bytes, or None.
        embed_weights: link the weights into the library instead of mapping them from a file.
        records: kernels measured on a machine, which override the cost model, or None.
    """

    conv_algorithm: str = "auto"
    max_error: float | None = None
    max_workspace_bytes: int | None = None
    embed_weights: bool = False
    records: Records | None = None

    def described(self) -> dict[str, str]:
        """Every option by name as text; of records, the hash of their file."""
        plain = [field.name for field in dataclasses.fields(self) if field.name != "records"]
        records = f"sha256:{self.records.sha256}" if self.records is not None else "None"
        return {**{name: str(getattr(self, name)) for name in plain}, "records": records}
