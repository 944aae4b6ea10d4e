"""The schedule of a load: which file is to be uploaded when. Pure, and known before the first byte is sent.

An open model: arrivals do not wait for the system, so a slow system meets the same load as a fast one, and every
latency counts from the moment the file was *meant* to be sent (no coordinated omission).
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import UsageError
from harness.load.distribution import parse

if TYPE_CHECKING:
    from harness.corpus import CorpusSpec

SHAPES = ("steady", "ramp", "spike", "soak")
ARRIVALS = ("poisson", "constant")
POOL_FILES = 32
"""Different files that uploads take turns with. Identity comes from key and version, so the same bytes may be sent
under many keys, and generating stays out of the load."""

SPIKE_FACTOR = 5.0
"""How many times the base rate the spike is. It lasts a tenth of the load, in its middle."""

MAX_FILES = 200_000

_SHAPE_POINTS: Mapping[str, Sequence[tuple[float, float]]] = {
    "steady": ((0.0, 1.0), (1.0, 1.0)),
    "soak": ((0.0, 1.0), (1.0, 1.0)),
    "ramp": ((0.0, 0.0), (1.0, 1.0)),
    "spike": ((0.0, 1.0), (0.45, 1.0), (0.45, SPIKE_FACTOR), (0.55, SPIKE_FACTOR), (0.55, 1.0), (1.0, 1.0)),
}
"""Relative rate over the relative time, linear between the points."""


Plain = TypeVar("Plain", str, int, float)


def _option(default: Plain, text: str, choices: Sequence[str] = ()) -> Plain:
    """Return a field that is an option of the command line and of Locust, which say `text` of it."""
    return field(default=default, metadata={"help": text, "choices": tuple(choices)})


@dataclass(frozen=True)
class LoadSpec:
    """A load: `rate` is the offered rows a second, on average over `seconds`.

    `shape` says how the rate runs over time: steady and soak keep it (a soak is meant to be long), ramp rises from
    nothing to twice the rate, spike multiplies its base rate by SPIKE_FACTOR for a tenth of the time. `arrivals`
    are poisson (random, as from users who do not know of each other) or constant (evenly spaced). `rows_per_file` is
    a text for `harness.load.distribution`; `dirty`, `quarantine` and `poison` are the corpus's shares. The same spec
    gives the same schedule on any machine.
    """

    shape: str = _option("steady", "How the rate runs over time: steady, ramp, spike, soak.", SHAPES)
    seconds: float = _option(60.0, "Length of the load in seconds.")
    rate: float = _option(1000.0, "Rows a second offered, on average.")
    rows_per_file: str = _option(
        "lognormal:200:0.8:4000",
        "fixed:1000, uniform:200:2000, lognormal:200:0.8:4000 (median, sigma, most) or choice:100=7,1000=3.",
    )
    arrivals: str = _option("poisson", "poisson (random) or constant (evenly spaced).", ARRIVALS)
    seed: int = _option(1, "The same seed gives the same files at the same times on any machine.")
    dirty: float = _option(0.05, "Share of rows that need cleaning.")
    quarantine: float = _option(0.0, "Share of rows that clean must reject.")
    poison: float = _option(0.0, "Share of rows that a later stage must give up.")

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise UsageError(f"shape {self.shape!r} is not known", hint=f"choose one of {', '.join(SHAPES)}")
        if self.arrivals not in ARRIVALS:
            raise UsageError(f"arrivals {self.arrivals!r} are not known", hint=f"choose one of {', '.join(ARRIVALS)}")
        for name in ("seconds", "rate"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"--{name} is {value}, a number above 0 is needed")
        if self.files > MAX_FILES:
            raise UsageError(
                f"{self.files:,} files are more than the {MAX_FILES:,} a load may have",
                hint="shorten it, lower --rate, or make the files larger",
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Rows of each file of the pool."""
        return parse(self.rows_per_file).sizes(POOL_FILES)

    @property
    def files(self) -> int:
        """Number of files to upload: as many as come nearest to `rate`, at least one."""
        return max(1, round(self.rate * self.seconds * POOL_FILES / sum(self.sizes)))

    @property
    def files_per_second(self) -> float:
        """Intended files a second, on average."""
        return self.files / self.seconds

    def corpora(self) -> tuple[CorpusSpec, ...]:
        """Return what the files of the pool are made from; the seed differs in each."""
        # The command line reads this module at every start, and generating needs much more.
        from harness.corpus import CorpusSpec

        first = self.seed * POOL_FILES
        return tuple(
            CorpusSpec(rows, first + i, self.dirty, self.quarantine, self.poison) for i, rows in enumerate(self.sizes)
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `LoadSpec(**data)` gives the spec back."""
        return asdict(self)


@dataclass(frozen=True)
class SpecOption:
    """An option that is a field of `LoadSpec`: its name, help, default, and what may be chosen (nothing: anything)."""

    name: str
    help: str
    default: str | float
    choices: tuple[str, ...]

    @property
    def locust_name(self) -> str:
        """Its name among Locust's parsed options, where `seed` would be taken for a seed of Locust's own."""
        return "load_seed" if self.name == "seed" else self.name

    @property
    def locust_flag(self) -> str:
        """Its name on Locust's command line."""
        return f"--{self.locust_name.replace('_', '-')}"


SPEC_OPTIONS: Mapping[str, SpecOption] = {
    of.name: SpecOption(of.name, of.metadata["help"], getattr(LoadSpec, of.name), of.metadata["choices"])
    for of in fields(LoadSpec)
}
"""By name, in the order in which help shows them."""


@dataclass(frozen=True)
class Arrival:
    """One file: its number, when it is to be sent (seconds after the start), and which file of the pool it is."""

    number: int
    offset: float
    file: int


def schedule(spec: LoadSpec) -> list[Arrival]:
    """Return the arrivals of a load in the order of their times.

    Exactly `spec.files` of them, so that two runs offer the same rows: a Poisson process under the condition of its
    total, whose times are independent draws from the shape. The files of the pool are dealt in shuffled rounds.
    """
    draw = random.Random(f"load/{spec.seed}/{spec.shape}/{spec.seconds}/{spec.files}")
    count = spec.files
    if spec.arrivals == "poisson":
        shares = sorted(draw.random() for _ in range(count))
    else:
        shares = [(i + 0.5) / count for i in range(count)]
    when = _InverseIntegral(_SHAPE_POINTS[spec.shape])
    files: list[int] = []
    while len(files) < count:
        keys = [draw.random() for _ in range(POOL_FILES)]
        files += sorted(range(POOL_FILES), key=keys.__getitem__)
    return [Arrival(i, when(share) * spec.seconds, files[i]) for i, share in enumerate(shares)]


class _InverseIntegral:
    """The time by which a share of all arrivals has come: the inverse of the integral of a piecewise linear rate."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        self._points = points
        areas = [(t1 - t0) * (r0 + r1) / 2 for (t0, r0), (t1, r1) in pairwise(points)]
        self._before = [0.0, *accumulate(areas)]

    def __call__(self, share: float) -> float:
        wanted = share * self._before[-1]
        i = min(max(0, bisect_right(self._before, wanted) - 1), len(self._points) - 2)
        (t0, r0), (t1, r1) = self._points[i], self._points[i + 1]
        area = wanted - self._before[i]
        if t1 == t0 or area <= 0:
            return t0
        slope = (r1 - r0) / (t1 - t0)
        # r0·x + slope·x²/2 = area, solved without cancellation.
        root = math.sqrt(max(0.0, r0 * r0 + 2 * slope * area))
        return min(t1, t0 + 2 * area / (r0 + root))
