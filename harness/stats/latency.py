"""Latencies: an HdrHistogram of the samples, and only the percentiles that the sample supports."""

from __future__ import annotations

from typing import Any

from hdrh.histogram import HdrHistogram

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
SAMPLES_BEYOND = 10
"""Samples that must lie beyond a percentile; with fewer, one slow sample more or less would move it."""

MEDIAN_SAMPLES = 5
MAX_MICROSECONDS = 24 * 3600 * 1_000_000
"""The histogram's range ends at a day; its values have three significant digits."""

_DIGITS = 3


def supported_percentiles(count: int) -> tuple[float, ...]:
    """Return which of PERCENTILES a sample of `count` supports: ten samples must lie beyond each, and the median
    needs five samples."""
    return tuple(
        p
        for p in PERCENTILES
        if (count >= MEDIAN_SAMPLES if p == 50.0 else round(count * (100.0 - p) / 100.0, 6) >= SAMPLES_BEYOND)
    )


class Latency:
    """Durations in seconds, recorded as microseconds. Minimum, mean and maximum are exact."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, MAX_MICROSECONDS, _DIGITS)
        self._sum = 0.0
        self._min = float("inf")
        self._max = 0.0
        self.count = 0

    def record(self, seconds: float) -> None:
        """Record one duration; raises ValueError for a negative one and for NaN. More than a day counts as a day in
        the percentiles."""
        if not seconds >= 0:
            raise ValueError(f"a duration of {seconds} s cannot be recorded")
        self._histogram.record_value(int(min(MAX_MICROSECONDS, max(1.0, round(seconds * 1e6)))))
        self._sum += seconds
        self._min = min(self._min, seconds)
        self._max = max(self._max, seconds)
        self.count += 1

    def to_json(self) -> dict[str, Any]:
        """Return count, and min, mean, max and supported percentiles in milliseconds; None where there is no sample."""
        percentiles = {f"{p:g}": self._at(p) for p in supported_percentiles(self.count)}
        if not self.count:
            return {"count": 0, "min": None, "mean": None, "max": None, "percentiles": percentiles}
        return {
            "count": self.count,
            "min": _ms(self._min),
            "mean": _ms(self._sum / self.count),
            "max": _ms(self._max),
            "percentiles": percentiles,
        }

    def encode(self) -> str:
        """Return the histogram in HdrHistogram's own base64 encoding; its values are microseconds."""
        encoded: bytes = self._histogram.encode()
        return encoded.decode("ascii")

    def _at(self, percentile: float) -> float:
        return round(float(self._histogram.get_value_at_percentile(percentile)) / 1000, 3)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
