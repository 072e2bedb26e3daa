"""Pieces of work that are done once: files, locks, calls, and several jobs side by side."""

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

DIVERGED = 4  # exit status of a campaign that diverged: the best round was kept


class Failed(Exception):
    """A command failed."""


@contextlib.contextmanager
def alone(folder):
    """Only one works in a folder; another waits, and finds it done."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_json(path, value):
    with open(path + ".partial", "w") as file:
        json.dump(value, file, indent=1)
    os.replace(path + ".partial", path)


def load(path):
    """The content of a JSON file, or None."""
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def call(words, log, fine=(0, DIVERGED)):
    """Runs a command; returns seconds of wall and processor time and the exit status."""
    start = time.time()
    with open(log, "a") as file:
        process = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in fine:
        raise Failed(f"{' '.join(words)}: exit status {process.returncode}; see {log}")
    return {"seconds": time.time() - start, "processor": usage.ru_utime + usage.ru_stime, "status": process.returncode}


def digest(path):
    """A name for the content of a file."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:12]


def side_by_side(jobs, workers):
    """Runs jobs (name, function); returns the results by name, in the order of the jobs. A failure does not stop the
    others; it is told at once and again at the end."""
    results, failures = {}, []
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(function): name for name, function in jobs}
        for future in as_completed(running):
            name = running[future]
            try:
                results[name] = future.result()
            except Exception as problem:  # noqa: BLE001 - the others go on
                failures.append(f"{name}: {problem!r}")
                print(failures[-1], file=sys.stderr, flush=True)
    if failures:
        print(f"{len(failures)} failed:\n" + "\n".join(failures), file=sys.stderr, flush=True)
    return {name: results[name] for name, _ in jobs if name in results}


def tell(text):
    """A line of progress."""
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def table(title, rows):
    """Prints a Markdown table; the first row is the head."""
    print(f"\n{title}\n", flush=True)
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows[1:]:
        print("| " + " | ".join(row) + " |", flush=True)
