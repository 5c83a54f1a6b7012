"""What an autoencoder is called and how large it is; known without a neural framework. Source: spec models 2."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import BadOption


@dataclass(frozen=True)
class Architecture:
    """A family and its flags, written like "df", "liae-ud" or "df-udt".

    Attributes:
        family: "df" or "liae".
        flags: any of u (code normalized), d (half the dense grid, four sub-pixels per head position),
            t (deeper encoder and decoder with residual blocks), c (activation x * cos(x)).
    """

    family: str
    flags: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Architecture:
        """Reads "<family>[-<flags>]" in any case. Raises BadOption for anything else."""
        family, dash, flags = text.strip().lower().partition("-")
        if family not in ("df", "liae") or bool(dash) != bool(flags) or not set(flags) <= set("udtc"):
            raise BadOption(
                f"An architecture is df or liae, with flags of u, d, t, c behind a hyphen. Received: {text}.",
                "Example: liae-ud.",
            )
        return cls(family, frozenset(flags))

    def __str__(self) -> str:
        return "-".join(filter(None, [self.family, "".join(flag for flag in "udtc" if flag in self.flags)]))

    @property
    def resolution_step(self) -> int:
        """What the resolution must be a multiple of."""
        return 32 if self.flags & {"d", "t"} else 16


@dataclass(frozen=True)
class Dims:
    """The sizes of an autoencoder: resolution R, and channel counts of code, encoder, decoder and mask decoder."""

    resolution: int
    ae: int
    e: int
    d: int
    d_mask: int

    def require_fit(self, architecture: Architecture) -> None:
        """Raises BadOption where the architecture cannot be built at this resolution."""
        step = architecture.resolution_step
        if self.resolution < step or self.resolution % step:
            raise BadOption(
                f"The resolution of {architecture} must be a multiple of {step}. Received: {self.resolution}."
            )
