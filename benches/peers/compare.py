"""Measures Portcullis beside its peers; `run.sh` builds what this needs and then starts it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import load
import report
from processes import Process, cpu_spent, cpus
from proxies import Programs, Proxy
from report import Row, Sample

FULL = {"rounds": 5, "seconds": 3}
QUICK = {"rounds": 2, "seconds": 1}


def rows() -> list[Row]:
    """Every row. A proxy that serves several runs once."""
    pingora = Row(Proxy("bare Pingora"), "HTTP/1.1")
    table = [pingora]
    table += product_rows("Portcullis", [("noop", 1), ("noop", 5), ("noop", 20), ("header", 1), ("header", 5)], pingora,
                          isolated=True)
    table += product_rows("Envoy", [("noop", 1), ("header", 1), ("header", 5)], pingora)
    return table + http2_rows(table)


def product_rows(product: str, chains: list[tuple[str, int]], floor: Row, isolated: bool = False) -> list[Row]:
    """A product without a filter and with each of `chains`: a guest, and how many times. `isolated`: the header filters
    again, with a VM for each request."""
    plain = Row(Proxy(product), "HTTP/1.1", floor=floor)
    singles: dict[str, Row] = {}
    table = [plain]
    for guest, count in chains:
        row = Row(Proxy(product, guest, count), "HTTP/1.1", floor=floor, plain=plain, single=singles.get(guest))
        singles.setdefault(guest, row)
        table.append(row)
        if isolated and guest == "header":
            table.append(Row(Proxy(product, guest, count, isolated=True), "HTTP/1.1", floor=floor, plain=plain, shared=row))
    return table


def http2_rows(table: list[Row]) -> list[Row]:
    """The plain proxies and those with one header filter, asked over HTTP/2."""
    twins: dict[int, Row] = {}
    for row in table:
        if row.proxy.filters == 0 or (row.proxy.guest, row.proxy.filters) == ("header", 1):
            twins[id(row)] = Row(row.proxy, "HTTP/2", floor=row.floor and twins[id(row.floor)],
                                 plain=row.plain and twins[id(row.plain)],
                                 shared=row.shared and twins[id(row.shared)])
    return list(twins.values())


def start(table: list[Row], programs: Programs, origin: str, cpu: int | None, folder: Path) -> None:
    """Starts every proxy once. One that cannot be started takes its rows out, with the reason."""
    for row in table:
        proxy = row.proxy
        try:
            if proxy.process is None and proxy.failure is None:
                say(f"start {proxy.name}")
                proxy.start(programs, origin, cpu, folder)
                proxy.process.pause()
        except (RuntimeError, OSError) as error:
            proxy.failure = str(error)
        row.skipped = proxy.failure or load.missing(row.protocol)
        if row.skipped:
            say(f"skip {row.name}: {row.skipped}")


def measure(row: Row, seconds: int, cpu: int | None) -> Sample:
    """One run of load, and the proxy's processor time meanwhile."""
    process = row.proxy.process
    process.resume()
    try:
        before = process.cpu_times()
        done = load.run(row.protocol, row.proxy.port, seconds, cpu)
        spent = cpu_spent(before, process.cpu_times())
        return Sample(done.requests, done.per_second, done.p99_ms, spent * 1e6 / done.requests, process.resident_mib())
    finally:
        process.pause()


def run_rounds(table: list[Row], rounds: int, seconds: int, cpu: int | None) -> None:
    """Round 0 warms up and is thrown away. Within a round all rows are measured one after another: what disturbs the
    machine for a while disturbs neighbours alike, and differences are taken within rounds."""
    for number in range(rounds + 1):
        for row in table:
            if row.skipped:
                continue
            try:
                sample = measure(row, 1 if number == 0 else seconds, cpu)
            except (RuntimeError, OSError) as error:
                row.skipped = f"failed under load: {error}"
                say(f"skip {row.name}: {row.skipped}")
                continue
            if number > 0:
                row.samples.append(sample)
                say(f"round {number}/{rounds}  {row.name:45} {sample.cpu_us:7.1f} us  {sample.per_second:8.0f}/s")


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    options = parse()
    settings = QUICK if options.quick else FULL
    proxy_cpu, load_cpu = cpus()
    if proxy_cpu is None:
        say("one CPU only: proxy, load and origin share it, nothing is pinned")
    programs = Programs(options.programs, options.guests, options.envoy)
    table = rows()
    with tempfile.TemporaryDirectory(prefix="peers-") as name:
        folder = Path(name)
        origin = Process([str(programs.folder / "examples" / "origin"), "127.0.0.1:0"], load_cpu, folder / "origin.log")
        try:
            start(table, programs, origin.first_line(), proxy_cpu, folder)
            run_rounds(table, settings["rounds"], settings["seconds"], load_cpu)
        finally:
            origin.stop()
            for row in table:
                if row.proxy.process:
                    row.proxy.process.stop()
    print(report.markdown(table))
    if options.json:
        options.json.write_text(report.as_json(table, settings))
    ours = [row for row in table if row.skipped and row.proxy.product != "Envoy" and not load.missing(row.protocol)]
    return 1 if ours else 0


def parse() -> argparse.Namespace:
    """The options, as run.sh hands them on."""
    parser = argparse.ArgumentParser(prog="run.sh", description="CPU time for each request, Portcullis beside its peers.")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 s in place of 5 of 3 s: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE too")
    for given in ("--programs", "--guests", "--envoy"):
        parser.add_argument(given, type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
