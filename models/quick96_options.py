"""The settings of a Quick96 model: there is hardly any, that is its charm. Loads no neural framework."""

from __future__ import annotations

from dataclasses import dataclass

from core.options import Options, option


@dataclass(kw_only=True)
class Quick96Options(Options):
    """What a Quick96 model remembers of its user. Source: spec models 6.1."""

    batch_size: int = option(
        4,
        "Batch size",
        low=1,
        high=256,
        ask=False,
        help="Faces per side in one training step. More makes steps slower and steadier, and takes more memory.",
    )
    size: str = option(
        "full",
        "Network size",
        choices=("full", "small"),
        ask=False,
        fixed=True,
        help="full is Quick96. small has half its width: about three times as fast, with less detail.",
    )
