"""Kill `galaxalign data prepare` and `data fetch` (-9) at random moments and compare what they end with.

    python benchmarks/kill_test.py CATALOG [--kills 20] [--seed 0] [--only prepare|fetch]

Each run is killed when a random part of the bytes that are still missing has been written (and up to 50 ms later),
started again, killed again, until it comes through; the bytes must then equal those of a run that nobody disturbed.
`fetch` gets its file from a local server that also breaks off by itself.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

FILE = "GalaxyZoo1_DR_table2.csv.gz"  # one file, without a published checksum: what arrives is what counts


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def start(arguments: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "galaxalign", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def whole(arguments: list[str]) -> None:
    """Run to the end."""
    process = start(arguments)
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}: {errors.decode()}")


def written(folder: Path) -> int:
    total = 0
    for path in folder.glob("*"):
        with suppress(FileNotFoundError):  # renamed while we look
            total += path.stat().st_size
    return total


def trial(name: str, arguments: list[str], out: Path, kills: int, seed: int) -> None:
    """Kill `kills` times in all; restart after each kill; compare whenever a run comes through."""
    shutil.rmtree(out, ignore_errors=True)
    whole(arguments)
    expected, size = digest(out), written(out)
    random.seed(seed)
    killed = done = 0
    shutil.rmtree(out)
    while killed < kills:
        if written(out) > 0.9 * size:  # little is left to disturb: let it come through, compare, begin anew
            whole(arguments)
            if digest(out) != expected:
                raise SystemExit(f"{name}: after {killed} kills the bytes differ")
            print(f"{name}: came through, identical", flush=True)
            done += 1
            shutil.rmtree(out)
        target = written(out) + random.random() * (size - written(out))
        process = start(arguments)
        while process.poll() is None and written(out) < target:
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.05))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
            state = ", ".join(sorted(path.name for path in out.glob("*"))) or "nothing"
            print(f"{name}: kill {killed:2d} at {written(out) / size:4.0%} left {state}", flush=True)
            continue
        if process.returncode:
            raise SystemExit(f"{name}: a run after {killed} kills failed: {process.stderr.read().decode()}")
        if digest(out) != expected:
            raise SystemExit(f"{name}: after {killed} kills the bytes differ")
        done += 1
        shutil.rmtree(out)
    whole(arguments)
    if digest(out) != expected:
        raise SystemExit(f"{name}: after {killed} kills the bytes differ")
    print(f"{name}: {killed} kills, {done + 1} runs came through, each ended identical ({expected[:16]})")


@contextmanager
def slow_server(body: bytes, seconds: float, seed: int) -> Iterator[str]:
    """Serve one file in about this time; two answers in three break off somewhere."""
    rng = np.random.default_rng(seed)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - start))
            self.send_header("ETag", '"one"')
            self.end_headers()
            stop = len(body) if rng.random() < 1 / 3 else start + int(rng.random() * (len(body) - start))
            step = max(1, len(body) // 200)
            try:
                for at in range(start, stop, step):
                    self.wfile.write(body[at : min(at + step, stop)])
                    time.sleep(seconds / 200)
            except OSError:
                return  # the reader was killed
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalog")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--for-training", action="store_true", help="two files of pictures (starts more slowly)")
    parser.add_argument("--only", choices=["prepare", "fetch"])
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="kill_test"))
    try:
        if args.only != "fetch":
            store = work / "store"
            arguments = ["data", "prepare", args.catalog, "--out", str(store), "--crop", "0.7"]
            arguments += ["--for-training"] if args.for_training else []
            trial("prepare", arguments, store, args.kills, args.seed)
        if args.only != "prepare":
            body = np.random.default_rng(args.seed).bytes(60_000_000)
            with slow_server(body, 6.0, args.seed) as address:
                files = work / "files"
                arguments = ["data", "fetch", "galaxy_zoo_1", "--out", str(files), "--mirror", address]
                trial("fetch", arguments, files, args.kills, args.seed)
                if (files / FILE).read_bytes() != body:
                    raise SystemExit("fetch: what arrived is not what was served")
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
