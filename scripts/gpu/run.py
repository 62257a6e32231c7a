"""Named, timed steps whose failure does not stop the later ones, and commands with a time limit.

SPDX-License-Identifier: Apache-2.0
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path


class Failed(Exception):
    """A step found something wrong."""


class Late(Failed):
    """A command did not end in time."""


class Skip(Exception):
    """A step had no time, or not what it needs."""


@dataclass
class Outcome:
    name: str
    verdict: str  # ok, FAIL, SKIP
    seconds: float
    note: str


def stop(process: subprocess.Popen) -> None:
    """It and its children, by the session that it was started in."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class Run:
    """All steps together have `seconds`; what commands say is in `out`/NAME.log and NAME.out."""

    def __init__(self, out: Path, seconds: float, environment: dict[str, str] | None = None):
        out.mkdir(parents=True, exist_ok=True)
        self.out = out
        self.end = time.monotonic() + seconds
        self.environment = os.environ | (environment or {})
        self.outcomes: list[Outcome] = []
        self.after: Callable[[], None] = lambda: None  # called when a step has ended

    def left(self) -> float:
        return self.end - time.monotonic()

    # ---- commands ----------------------------------------------------------------------------

    def start(self, name: str, words: list[str], folder: Path | None = None) -> subprocess.Popen:
        with open(self.out / f"{name}.out", "wb") as said, open(
                self.out / f"{name}.log", "wb") as log:
            log.write((" ".join(words) + "\n").encode())
            log.flush()
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=log,
                                    cwd=folder, env=self.environment, start_new_session=True)

    def finish(self, name: str, process: subprocess.Popen, limit: float, partial: bool) -> str:
        """The standard output. With `partial` what was said until the limit counts."""
        ended = True
        try:
            process.wait(max(1.0, min(limit, self.left())))
        except subprocess.TimeoutExpired:
            ended = False
            stop(process)
        said = self.said(name, "out")
        if not ended and not (partial and said.strip()):
            raise Late(f"{name} did not end in time")
        if ended and process.returncode:
            raise Failed(f"{name} ended with {process.returncode}: {self.last_line(name)}")
        return said

    def said(self, name: str, kind: str) -> str:
        """Of a command, so far: its standard output (out), or its words and errors (log)."""
        return (self.out / f"{name}.{kind}").read_text(encoding="utf-8", errors="replace")

    def last_line(self, name: str) -> str:
        for kind in ("log", "out"):
            lines = self.said(name, kind).strip().splitlines()
            if len(lines) > 1 or (lines and kind == "out"):
                return lines[-1][:200]
        return "no word"

    def command(self, name: str, words: list[str], limit: float, partial: bool = False,
                folder: Path | None = None) -> str:
        return self.finish(name, self.start(name, words, folder), limit, partial)

    def side_by_side(self, commands: dict[str, list[str]], limit: float) -> dict[str, str | Failed]:
        """All are awaited: what each has said, or how it failed."""
        started = {name: self.start(name, words) for name, words in commands.items()}

        def one(name: str) -> str | Failed:
            try:
                return self.finish(name, started[name], limit, False)
            except Failed as failure:
                return failure

        with ThreadPoolExecutor(len(commands)) as pool:
            return dict(zip(commands, pool.map(one, commands)))

    def together(self, commands: dict[str, list[str]], limit: float) -> None:
        """Side by side; failures are then raised as one."""
        said = self.side_by_side(commands, limit).values()
        failures = sorted(str(each) for each in said if isinstance(each, Failed))
        if failures:
            raise Failed("; ".join(failures))

    # ---- steps -------------------------------------------------------------------------------

    def step(self, name: str, work: Callable[[], str | None], need: float = 5) -> bool:
        """True: it went well. `need`: without so many seconds left it is not begun."""
        start = time.monotonic()
        print(f"gpu_check: {name} ...", flush=True)
        try:
            if self.left() < need:
                raise Skip(f"{need:.0f} s are needed, {max(0.0, self.left()):.0f} s are left")
            verdict, note = "ok", work() or ""
        except Skip as reason:
            verdict, note = "SKIP", str(reason)
        except Exception as failure:  # pylint: disable=broad-except
            kind = "" if isinstance(failure, Failed) else f"{type(failure).__name__}: "
            verdict, note = "FAIL", kind + str(failure)
        self.outcomes.append(Outcome(name, verdict, time.monotonic() - start, note))
        print(f"gpu_check: {verdict} {name}, {self.outcomes[-1].seconds:.1f} s: {note}", flush=True)
        self.after()
        return verdict == "ok"

    def summary(self) -> str:
        rows = [f"{o.verdict:4} {o.name:14} {o.seconds:6.1f} s  {o.note}" for o in self.outcomes]
        count = {verdict: sum(o.verdict == verdict for o in self.outcomes)
                 for verdict in ("ok", "FAIL", "SKIP")}
        rows.append(f"{count['ok']} passed, {count['FAIL']} failed, {count['SKIP']} skipped")
        return "\n".join(rows) + "\n"

    def code(self) -> int:
        return int(any(o.verdict == "FAIL" for o in self.outcomes) or not self.outcomes)
