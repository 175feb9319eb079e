"""The load generators, and what is read from their output."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass

from processes import pin

CONNECTIONS = 32
H2_CONNECTIONS = 4
H2_STREAMS = 8

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """What one run of a generator did."""

    requests: int
    per_second: float
    p99_ms: float | None


def missing(protocol: str) -> str | None:
    """Why no load of this protocol can be made here, if so."""
    tool, package = ("wrk", "wrk") if protocol == "HTTP/1.1" else ("h2load", "nghttp2-client")
    return None if shutil.which(tool) else f"{tool} is not installed (Debian: apt-get install {package})"


def run(protocol: str, port: int, seconds: int, cpu: int | None) -> Load:
    """Loads http://127.0.0.1:port/ for `seconds`; RuntimeError where any request failed."""
    return (wrk if protocol == "HTTP/1.1" else h2load)(port, seconds, cpu)


def wrk(port: int, seconds: int, cpu: int | None) -> Load:
    """HTTP/1.1, keep-alive, one request at a time on each connection."""
    text = output(["wrk", "--latency", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://127.0.0.1:{port}/"], cpu)
    failed = re.search(r"(Non-2xx or 3xx responses: \d+|Socket errors: .*)", text)
    requests = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    if failed or not (requests and rate and p99) or requests[1] == "0":
        raise RuntimeError(failed[1] if failed else f"wrk: {text.strip()[-200:]}")
    return Load(int(requests[1]), float(rate[1]), float(p99[1]) * UNITS[p99[2]])


def h2load(port: int, seconds: int, cpu: int | None) -> Load:
    """HTTP/2 in clear text by prior knowledge. This generator reports no percentiles."""
    text = output(["h2load", "-t1", f"-c{H2_CONNECTIONS}", f"-m{H2_STREAMS}", f"-D{seconds}",
                   f"http://127.0.0.1:{port}/"], cpu)
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
    rate = re.search(r", ([\d.]+) req/s", text)
    if not (counts and codes and rate) or counts[1] == "0":
        raise RuntimeError(f"h2load: {text.strip()[-200:]}")
    if any(int(counts[n]) for n in (2, 3, 4)) or any(int(codes[n]) for n in (2, 3, 4)):
        raise RuntimeError(f"{counts[0]}; {codes[0]}")
    return Load(int(counts[1]), float(rate[1]), None)


def output(command: list[str], cpu: int | None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pin(cpu), check=False)
    return done.stdout + done.stderr
