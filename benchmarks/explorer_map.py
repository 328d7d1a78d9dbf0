"""Is the explorer's map fluid? Real Chromium on large galleries: frames while zooming and panning, and a lasso.

    python benchmarks/explorer_map.py EMBEDDINGS... --sizes 100000 1000000 --out explorer_map.json

Galaxies are real ones with jitter, on the t-SNE map of the real ones with jitter; only 16 of the numbers of each vector
are kept, since nothing is searched for. --points sets how many are drawn at once (0: what the page itself chooses), so
that ``--points 0 10000000`` compares with drawing all. Seconds until the map shows count from the request of the page.
A frame lasts from one animation frame of the browser to the next, while the wheel turns and the mouse drags.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import Error, Page, sync_playwright

from galaxalign.gallery import Embeddings, EmbeddingWriter, project

ARGUMENTS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SERVER = """
import sys, uvicorn
from galaxalign.gallery.gallery import open_gallery
from galaxalign.web.api import create_app
from galaxalign.web.settings import Settings
file, places, points = sys.argv[1:]
app = create_app(open_gallery(file), Settings(map_points=int(points)), chart=places)
server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
import asyncio
async def main():
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.1)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await task
asyncio.run(main())
"""
FRAMES = """() => { window.frames_ = []; let last = performance.now();
  const step = (now) => { frames_.push(now - last); last = now; window.going_ = requestAnimationFrame(step); };
  requestAnimationFrame(step); }"""
READY = "window.galaxalignMap && galaxalignMap() && document.querySelector('#map-note').textContent === ''"


def write(real: Embeddings, places: np.ndarray, n: int, folder: Path) -> tuple[Path, Path]:
    """Write embeddings and a map of n galaxies."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(places), n)
    vectors = real.vectors[rows, :16] + 0.05 * rng.normal(size=(n, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    at = places[rows] + 0.02 * np.ptp(places) * rng.normal(size=(n, 2))
    ids = [f"j{row}" for row in range(n)]
    labels = pa.array(real.columns["label"][rows], pa.string())
    with EmbeddingWriter(folder / "e.parquet", dimension=16, metadata={"fingerprint": "jitter"}) as writer:
        writer.write(ids, vectors, columns={"label": labels, "share": rng.random(n)})
    pq.write_table(pa.table({"id_str": ids, "x": at[:, 0], "y": at[:, 1]}), folder / "map.parquet")
    return folder / "e.parquet", folder / "map.parquet"


def frames(page: Page, action: Any) -> dict[str, float]:
    """Return the length of the frames while something is done, milliseconds."""
    page.evaluate(FRAMES)
    action()
    lengths = page.evaluate("() => { cancelAnimationFrame(going_); return frames_; }")[1:]
    p50, p95 = np.percentile(lengths, [50, 95])
    return {"p50_ms": float(p50), "p95_ms": float(p95), "frames": len(lengths)}


def look(page: Page, address: str) -> dict[str, Any]:
    """Open the page, zoom, pan and select."""
    sent = [0]
    page.on("response", lambda answer: sent.__setitem__(0, sent[0] + int(answer.headers.get("content-length", 0))))
    start = time.perf_counter()
    page.goto(address)
    page.wait_for_function(READY)
    found: dict[str, Any] = {"ready_s": time.perf_counter() - start, "drawn": page.evaluate("galaxalignMap().points")}
    box = page.locator("#map").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def zoom() -> None:
        page.mouse.move(x, y)
        for turn in [-60] * 15 + [60] * 15:
            page.mouse.wheel(0, turn)
            page.wait_for_timeout(40)

    def pan() -> None:
        page.mouse.down()
        for step in range(40):
            page.mouse.move(x + 3 * step, y + 2 * step)
            page.wait_for_timeout(30)
        page.mouse.up()

    found["zoom"], found["pan"] = frames(page, zoom), frames(page, pan)
    page.wait_for_timeout(2000)
    page.click("#zoom-all")
    page.wait_for_timeout(3000)
    page.click("[data-mode=box]")
    page.mouse.move(x - 60, y - 60)
    page.mouse.down()
    for step in range(1, 13):
        page.mouse.move(x - 60 + 12 * step, y - 60 + 12 * step)
        page.wait_for_timeout(30)
    start = time.perf_counter()
    page.mouse.up()
    page.wait_for_function("document.querySelector('[data-scope=selected] span').textContent !== '0'")
    found["lasso_s"] = time.perf_counter() - start
    found["lasso_holds"] = page.inner_text("[data-scope=selected] span")
    page.wait_for_timeout(500)
    page.click("[data-mode=pan]")
    found["zoom_with_selection"] = frames(page, zoom)
    found["sent_mb"] = sent[0] / 1e6
    return found


def main() -> None:
    """Measure each size and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embeddings", type=Path, nargs="+")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000])
    parser.add_argument("--points", type=int, nargs="+", default=[0])
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--out", type=Path, default=Path("explorer_map.json"))
    arguments = parser.parse_args()
    real = Embeddings.read(arguments.embeddings[0])
    places = project(real.vectors, method="tsne", seed=0)
    report = []
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as name:
            files = write(real, places, size, Path(name))
            for points in arguments.points:
                command = [sys.executable, "-c", SERVER, *map(str, files), str(points)]
                with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as play:
                    assert server.stdout is not None
                    browser = play.chromium.launch(executable_path=arguments.chromium, args=ARGUMENTS)
                    page = browser.new_page(viewport={"width": 1280, "height": 800})
                    page.set_default_timeout(240_000)
                    address = f"http://127.0.0.1:{int(server.stdout.readline())}"
                    try:
                        found = look(page, address)
                        page.screenshot(path=arguments.out.with_name(f"explorer_map_{size}_{points}.png"))
                    except Error as error:
                        found = {"failed": str(error).splitlines()[0]}
                    status = Path(f"/proc/{server.pid}/status").read_text()
                    found["server_peak_mb"] = int(status.partition("VmHWM:")[2].split()[0]) / 1e3
                    browser.close()
                    server.terminate()
                report.append({"size": size, "points": points, **found})
                print(json.dumps(report[-1]), flush=True)
    arguments.out.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
