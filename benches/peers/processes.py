"""Processes of a comparison: pinned to a CPU, their processor time read from the kernel."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

NANOSECONDS = 1e-9
START_SECONDS_MAX = 60.0


def cpus() -> tuple[int | None, int | None]:
    """CPU of the proxy and CPU of load and origin; (None, None), no pinning, where there is only one."""
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (None, None)


def pin(cpu: int | None):
    """What a child calls before it executes its program."""
    return None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A running program and all it starts."""

    def __init__(self, command: list[str], cpu: int | None, log: Path):
        self.log = log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                preexec_fn=pin(cpu), start_new_session=True)

    def wait_for_port(self, port: int) -> None:
        """Returns when `port` accepts; RuntimeError with the end of the log when the program ends before."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self._popen.poll() is not None:
                raise RuntimeError(f"ended with status {self._popen.returncode}: {self.last_line()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"does not listen after {START_SECONDS_MAX:.0f} s: {self.last_line()}")

    def last_line(self) -> str:
        """The last line it wrote, to say why it failed."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "no output"

    def first_line(self) -> str:
        """The first line it writes; waits for it."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            text = self.log.read_text(errors="replace")
            if "\n" in text:
                return text.splitlines()[0]
            if self._popen.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"wrote no line: {self.last_line()}")

    def pause(self) -> None:
        """Stops its threads, so that timers of idle proxies do not run on the CPU of the measured one."""
        os.killpg(self._popen.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it run."""
        os.killpg(self._popen.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Ends it without ceremony."""
        if self._popen.poll() is None:
            os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()

    def cpu_times(self) -> dict[tuple[int, int], float]:
        """Seconds on a CPU (user and system) of every thread of the tree."""
        times = {}
        for pid in tree(self._popen.pid):
            for task in Path(f"/proc/{pid}/task").iterdir():
                times[(pid, int(task.name))] = thread_seconds(task)
        return times

    def resident_mib(self) -> float:
        """Resident memory of the tree."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in tree(self._popen.pid))
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def cpu_spent(before: dict[tuple[int, int], float], after: dict[tuple[int, int], float]) -> float:
    """Seconds between two readings. A thread that was born in between counts from zero."""
    return sum(seconds - before.get(thread, 0.0) for thread, seconds in after.items())


def thread_seconds(task: Path) -> float:
    """Exact from schedstat (nanoseconds), else from stat (ticks, utime + stime: proc(5))."""
    try:
        return int((task / "schedstat").read_text().split()[0]) * NANOSECONDS
    except FileNotFoundError:
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """`root` and its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended meanwhile
    found = [root]
    for pid in found:
        found.extend(child for child, parent in parents.items() if parent == pid)
    return found
