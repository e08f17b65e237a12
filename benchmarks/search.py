"""Two processes search together; one is killed; nothing is lost. And what a second worker gains.

    python benchmarks/search.py [--trials 60] [--timed 24]

1. Two processes share one study and look for recipes of a small CNN on digits. When a third of the
   tries are finished, one process is killed (SIGKILL). Wanted, else the exit code is 1: the other
   one ends with exactly the tries that were asked for, those that were finished at the kill are all
   among them as they were, and the front of the search is that of a brute force over the journal.
2. The same number of tries by one worker of joblib and by two, each with one thread, in fresh
   studies: the speed-up as a ratio, with the start of the processes and without it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import torch

from lwlab import data
from lwlab.journal import Entry, Journal
from lwlab.models import SimpleCNN
from lwlab.search import SearchResult, SearchSpace, search
from lwlab.train import fit

SPACE = SearchSpace(pruning_ratio=(0.0, 0.5), epochs=(2,))
LONGEST_SECONDS = 3600


def trained() -> tuple[SimpleCNN, data.Dataset]:
    """Return the same trained network in every process."""
    dataset = data.load("digits")
    model = SimpleCNN(dataset.input_shape)
    for _ in fit(model, dataset, epochs=8):
        pass
    return model, dataset


def searched(folder: Path, trials: int, workers: int = 1) -> SearchResult:
    """Search with the study and the journal in ``folder``."""
    model, dataset = trained()
    journal = Journal(folder / "journal.sqlite")
    files = {"study_path": folder / "study.log", "journal": journal}
    return search(model, dataset, trials=trials, workers=workers, space=SPACE, **files)


def started(folder: Path, trials: int) -> subprocess.Popen[bytes]:
    """Start a process that searches in ``folder``."""
    command = [sys.executable, __file__, "--worker", str(folder), "--trials", str(trials)]
    return subprocess.Popen(command)


def finished(folder: Path) -> dict[str, Entry]:
    """Return what the journal in ``folder`` holds by now, by key."""
    return {entry.key: entry for entry in Journal(folder / "journal.sqlite").entries("search")}


def wait_for(folder: Path, count: int, processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait until ``count`` tries are in the journal."""
    until = time.monotonic() + LONGEST_SECONDS
    while len(finished(folder)) < count:
        if time.monotonic() > until or any(p.poll() is not None for p in processes):
            raise SystemExit("the processes ended or hung before the kill")
        time.sleep(0.2)


def brute_force(entries: list[Entry]) -> set[tuple[int, float]]:
    """Return the (bytes, accuracy) that nothing beats, by comparing all with all."""
    points = {(entry.size_bytes, entry.accuracy) for entry in entries}
    return {p for p in points if not any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)}


def killed_amid(folder: Path, trials: int) -> bool:
    """Kill one of two processes amid their search; return whether all is as wanted."""
    processes = [started(folder, trials) for _ in range(2)]
    wait_for(folder, max(1, trials // 3), processes)
    os.kill(processes[0].pid, signal.SIGKILL)
    processes[0].wait()
    before = finished(folder)
    code = processes[1].wait(LONGEST_SECONDS)
    result, after = searched(folder, trials), finished(folder)
    front = [(trial.size_bytes, trial.accuracy) for trial in result.front]
    checks = {
        "the other process ended well": code == 0,
        f"exactly {trials} tries": len(result.trials) == len(after) == trials,
        "none that was finished is lost": all(after.get(k) == e for k, e in before.items()),
        "each has its file": all(Journal(folder / "journal.sqlite").state(e.id) for e in
                                 after.values()),
        "front = brute force": set(front) == brute_force(list(after.values())),
    }  # fmt: skip
    print(f"killed when {len(before)} of {trials} were finished")
    for name, passed in checks.items():
        print(f"  {'yes' if passed else 'NO '}  {name}")
    print(result)
    return all(checks.values())


def timed(folder: Path, trials: int, workers: int) -> tuple[float, float]:
    """Return seconds for ``trials`` tries: all in all, and a try at full pace."""
    folder.mkdir()
    model, dataset = trained()
    begun = time.perf_counter()
    files = {"study_path": folder / "study.log", "journal": Journal(folder / "journal.sqlite")}
    found = search(model, dataset, trials=trials, workers=workers, space=SPACE, **files)
    seconds = time.perf_counter() - begun
    times = sorted(datetime.fromisoformat(trial.finished) for trial in found.trials)
    return seconds, (times[-1] - times[0]).total_seconds() / (len(times) - 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--timed", type=int, default=24, help="tries for the speed-up, at least 2")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    if settings.worker is not None:
        searched(settings.worker, settings.trials)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        well = killed_amid(folder, settings.trials)
        one = timed(folder / "one", settings.timed, 1)
        two = timed(folder / "two", settings.timed, 2)
    print(f"{settings.timed} tries: 1 worker {one[0]:.1f} s, 2 workers {two[0]:.1f} s")
    print(f"speed-up {one[0] / two[0]:.2f}, without the start {one[1] / two[1]:.2f}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
