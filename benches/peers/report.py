"""What the samples say: one table, and all of it as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from proxies import Proxy

HEADINGS = ["", "load", "requests/s", "p99 ms", "CPU us/request: best", "median", "x bare Pingora", "us per filter",
            "us per further filter", "us over shared VMs", "RSS MiB"]


@dataclass(frozen=True)
class Sample:
    """One run of load on one row."""

    requests: int
    per_second: float
    p99_ms: float | None
    cpu_us: float
    resident_mib: float


@dataclass
class Row:
    """A proxy under one kind of load. `floor` is bare Pingora, `plain` the same product without a filter, `single` the
    same product with one filter of the kind, `shared` the same where requests share a VM."""

    proxy: Proxy
    protocol: str
    floor: Row | None = None
    plain: Row | None = None
    single: Row | None = None
    shared: Row | None = None
    samples: list[Sample] = field(default_factory=list)
    skipped: str | None = None

    @property
    def name(self) -> str:
        """Unique in the table."""
        return f"{self.proxy.name} ({self.protocol})"

    def cpu_us(self) -> list[float]:
        """One figure a round."""
        return [sample.cpu_us for sample in self.samples]

    def ratio(self) -> float | None:
        """Median of the ratios within a round: noise that lasts longer than a row cancels out."""
        other = self.floor or self
        return None if other.skipped else median(a / b for a, b in zip(self.cpu_us(), other.cpu_us()))

    def per_filter(self) -> float | None:
        """Microseconds that each filter adds to the same product without one."""
        return self._added(self.plain)

    def per_further_filter(self) -> float | None:
        """Microseconds that each filter after the first adds."""
        return self._added(self.single)

    def over_shared(self) -> float | None:
        """Microseconds that a VM for each request adds, for each filter."""
        if self.shared is None or self.shared.skipped:
            return None
        return median(a - b for a, b in zip(self.cpu_us(), self.shared.cpu_us())) / self.proxy.filters

    def _added(self, base: Row | None) -> float | None:
        """Median of the differences within a round, for each filter more than `base` has."""
        if base is None or base.skipped:
            return None
        more = self.proxy.filters - base.proxy.filters
        return median(a - b for a, b in zip(self.cpu_us(), base.cpu_us())) / more


def markdown(table: list[Row]) -> str:
    """The table."""
    lines = [line(HEADINGS), line([":---", ":---"] + ["---:"] * (len(HEADINGS) - 2))]
    for row in table:
        if row.skipped:
            lines.append(line([row.proxy.name, row.protocol, f"skipped: {row.skipped}".replace("|", "/")]
                              + [""] * (len(HEADINGS) - 3)))
            continue
        lines.append(line([
            row.proxy.name, row.protocol,
            f"{median(sample.per_second for sample in row.samples):.0f}",
            number(middle([sample.p99_ms for sample in row.samples]), 2),
            f"{min(row.cpu_us()):.1f}", f"{median(row.cpu_us()):.1f}",
            number(row.ratio(), 2), number(row.per_filter(), 2), number(row.per_further_filter(), 2),
            number(row.over_shared(), 2), f"{row.samples[-1].resident_mib:.0f}",
        ]))
    return "\n".join(lines)


def as_json(table: list[Row], settings: dict) -> str:
    """Machine, settings, every sample, and the figures of the table."""
    return json.dumps({
        "machine": {"cpu": cpu_model(), "cpus": len(os.sched_getaffinity(0)), "kernel": platform.release()},
        "settings": settings,
        "rows": [{
            "name": row.proxy.name, "protocol": row.protocol, "filters": row.proxy.filters, "skipped": row.skipped,
            "samples": [asdict(sample) for sample in row.samples],
            **({} if row.skipped else {
                "cpu_us_best": min(row.cpu_us()), "cpu_us_median": median(row.cpu_us()),
                "ratio_to_pingora": row.ratio(), "us_per_filter": row.per_filter(),
                "us_per_further_filter": row.per_further_filter(), "us_over_shared": row.over_shared()}),
        } for row in table],
    }, indent=1) + "\n"


def cpu_model() -> str:
    """As the kernel names it."""
    for entry in Path("/proc/cpuinfo").read_text().splitlines():
        if entry.startswith("model name"):
            return entry.split(":", 1)[1].strip()
    return platform.machine()


def line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def middle(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
