"""What comes back for sketches drawn with the mouse, on real galaxies that the model has not learnt.

    python benchmarks/sketch_search.py --data DIR --work DIR [--part test] [--name NAME] [--chromium PATH]

DIR of --data holds the catalogues efigi, gz1, gz2 and gz2_stripe82. The galaxies of one part of
benchmarks/splits/mixture.parquet are embedded and served; the page is opened in Chromium, and an edge-on disc, a
two-armed spiral, a ring and two colliding galaxies are drawn with the mouse: with stamps, and with the pen alone, in
three manners each, by two unsteady hands. The page searches each catalogue by itself ("Only where"), and the first ten
are counted. The same for the exact symbol of the renderer, twelve unsteady ones, and words. Writes
benchmarks/results/sketch_search_<name>_<part>.json; drawings and what the model sees of them stay in --work.

Which galaxies are right (`RIGHT`) and the drawings were written down before anything was looked at.
"""

from __future__ import annotations

import argparse
import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import uvicorn
from playwright.sync_api import Page, sync_playwright

from galaxalign.data.tables import read_table
from galaxalign.gallery import Kind, Part, Query, open_gallery
from galaxalign.morphology import Morphology, render_svg
from galaxalign.verbs import embed
from galaxalign.web import Settings, create_app
from pretrained import HERE, Gallery

Line = list[tuple[float, float]]
Rows = Callable[[Gallery], np.ndarray]

SHAPES = ("edge-on", "two-armed", "ring", "colliding")
MORPHOLOGIES = {
    "edge-on": Morphology(form="featured", edge_on=True),
    "two-armed": Morphology(form="featured", arms=2),
    "ring": Morphology(form="featured", arms=0, outer_ring=1.0),
    "colliding": Morphology(merger=True),
}
WORDS = {
    "edge-on": "an edge-on disc galaxy",
    "two-armed": "a spiral galaxy with two arms",
    "ring": "a galaxy with a ring",
    "colliding": "two galaxies colliding",
}


def efigi_disc(g: Gallery) -> np.ndarray:
    """EFIGI's galaxies with a disc."""
    return ~g.label("elliptical", "dwarf_elliptical", "irregular")


def strong_arms(g: Gallery) -> np.ndarray:
    """EFIGI's spirals with strong, unbroken arms, seen well; it does not count arms."""
    seen = (g.attribute("Inclination") <= 0.5) & (g.attribute("Flocculence") <= 0.25)
    return g.label("late_spiral", "early_spiral") & (g.attribute("Arm_Strength") >= 0.5) & seen


def ringed(g: Gallery) -> np.ndarray:
    """EFIGI's galaxies with a plain ring of any kind."""
    return np.fmax.reduce([g.attribute(name) for name in ("Inner_Ring", "Outer_Ring", "Pseudo_Ring")]) >= 0.5


def perturbed_pair(g: Gallery) -> np.ndarray:
    """EFIGI's galaxies with a neighbour and a disturbed shape."""
    return (g.attribute("Multiplicity") >= 0.25) & (g.attribute("Perturbation") >= 0.5)


# gz2 stands for Galaxy Zoo 2 and its Stripe 82 together; a share is one of all volunteers.
RIGHT: dict[str, dict[str, Rows]] = {
    "edge-on": {
        "efigi": lambda g: efigi_disc(g) & (g.attribute("Inclination") >= 1),
        "gz1": lambda g: g.label("edge_on"),
        "gz2": lambda g: g.share("t02_edgeon_a04_yes") >= 0.5,
    },
    "two-armed": {
        "efigi": strong_arms,
        "gz1": lambda g: g.label("spiral"),
        "gz2": lambda g: g.share("t11_arms_number_a32_2") >= 0.3,
    },
    "ring": {"efigi": ringed, "gz2": lambda g: g.share("t08_odd_feature_a19_ring") >= 0.1},
    "colliding": {
        "efigi": perturbed_pair,
        "gz1": lambda g: g.label("merger"),
        "gz2": lambda g: g.share("t08_odd_feature_a24_merger") >= 0.2,
    },
}
PARTS_OF = {"efigi": ("efigi",), "gz1": ("gz1",), "gz2": ("gz2", "gz2_stripe82")}


# --- drawings: lines in the pad's units, which reaches from -1.2 to 1.2 -----------------------------------------


def oval(x: float, y: float, a: float, b: float, turn: float = 0.0, turns: float = 1.03) -> Line:
    """An ellipse in one go, a little more than closed."""
    angles = np.linspace(0, 2 * math.pi * turns, 40)
    c, s = math.cos(turn), math.sin(turn)
    return [
        (x + a * math.cos(t) * c - b * math.sin(t) * s, y + a * math.cos(t) * s + b * math.sin(t) * c) for t in angles
    ]


def blob(x: float, y: float, a: float, b: float | None = None, turn: float = 0.0) -> Line:
    """An area filled by scribbling to and fro."""
    b = a if b is None else b
    c, s = math.cos(turn), math.sin(turn)
    lines = max(3, round(2 * b / 0.06))
    points = []
    for k in range(lines + 1):
        v = -b + 2 * b * k / lines
        u = a * math.sqrt(max(0.0, 1 - (v / b) ** 2)) * (1 if k % 2 else -1)
        points.append((x + u * c - v * s, y + u * s + v * c))
    return points


def arm(start: float, end: float, sweep: float, begin: float) -> Line:
    """A spiral arm from radius to radius."""
    t = np.linspace(0, 1, 30)
    radius = start * (end / start) ** t
    return [(r * math.cos(begin + sweep * u), r * math.sin(begin + sweep * u)) for r, u in zip(radius, t, strict=True)]


def arms(start: float, end: float, sweep: float, begin: float) -> list[Line]:
    """Two arms, opposite each other."""
    return [arm(start, end, sweep, begin), arm(start, end, sweep, begin + math.pi)]


def bent(x: float, y: float, length: float, begin: float, curl: float) -> Line:
    """A tail."""
    line, angle = [(x, y)], begin
    for _ in range(16):
        x, y, angle = x + length / 16 * math.cos(angle), y + length / 16 * math.sin(angle), angle + curl / 16
        line.append((x, y))
    return line


PEN: dict[str, list[list[Line]]] = {
    "edge-on": [
        [oval(0, 0, 0.9, 0.1, -0.4), blob(0, 0, 0.16)],
        [[(-0.8, 0.1), (0.8, -0.1)], [(-0.7, 0.06), (0.75, -0.12)], oval(0, 0, 0.2, 0.15)],
        [oval(0.05, 0, 0.7, 0.09, 1.1)],
    ],
    "two-armed": [
        [blob(0, 0, 0.17), *arms(0.2, 0.85, 2.6, 0.3)],
        [oval(0, 0, 0.2, 0.2), *arms(0.22, 0.75, 3.4, 2.0)],
        [[*reversed(arm(0.03, 0.8, -2.8, 1.0)), *arm(0.03, 0.8, -2.8, 1.0 + math.pi)]],
    ],
    "ring": [
        [oval(0, 0, 0.75, 0.75)],
        [oval(0, 0, 0.8, 0.72), blob(0, 0, 0.17)],
        [oval(0.05, 0.05, 0.7, 0.45, 0.5), oval(0.05, 0.05, 0.14, 0.12)],
    ],
    "colliding": [
        [
            oval(-0.33, 0.05, 0.38, 0.25, 0.6),
            oval(0.3, -0.05, 0.36, 0.24, -0.5),
            blob(-0.33, 0.05, 0.1),
            blob(0.3, -0.05, 0.1),
        ],
        [
            blob(-0.25, 0.1, 0.2),
            blob(0.25, -0.1, 0.17),
            bent(-0.4, 0.2, 0.8, 2.4, 1.6),
            bent(0.4, -0.2, 0.8, -0.7, 1.6),
        ],
        [oval(-0.3, 0, 0.42, 0.3, 0.3), oval(0.35, 0.1, 0.3, 0.3), bent(0.6, 0.2, 0.7, 0.4, 1.8)],
    ],
}
# Stamps: name, and then how the sliders are set and whither it is dragged, where it is.
STAMPS: dict[str, list[list[tuple[str, dict[str, float], tuple[float, float] | None]]]] = {
    "edge-on": [
        [("edge-on disc", {}, None)],
        [("edge-on disc", {"turn": 60, "size": 0.8}, None)],
        [("disc", {"flat": 0.12, "turn": 20}, None), ("bulge", {"size": 0.8}, None)],
    ],
    "two-armed": [
        [("bulge", {}, None), ("arm", {}, None), ("arm", {}, None)],
        [("disc", {}, None), ("bulge", {"size": 0.8}, None), ("arm", {"turn": 70}, None), ("arm", {}, None)],
        [("bulge", {}, None), ("arm", {"flat": 0.7}, None), ("arm", {}, None), ("bar", {"size": 0.7}, None)],
    ],
    "ring": [
        [("ring", {}, None)],
        [("ring", {}, None), ("bulge", {}, None)],
        [("disc", {"flat": 0.7}, None), ("ring", {"flat": 0.7}, None), ("bulge", {"size": 0.8}, None)],
    ],
    "colliding": [
        [("second galaxy", {}, None), ("second galaxy", {}, None)],
        [("second galaxy", {"turn": -40}, None), ("second galaxy", {"size": 0.7}, (-0.3, 0.25))],
        [
            ("disc", {"size": 0.45, "flat": 0.7, "turn": 30}, (-0.3, 0.0)),
            ("disc", {"size": 0.4, "turn": -40}, (0.35, 0.1)),
        ],
    ],
}  # fmt: skip


def by_hand(lines: list[Line], rng: np.random.Generator) -> list[Line]:
    """Return lines as an unsteady hand draws them: somewhere, somewhat larger or smaller, turned, wavering."""
    size, turn = rng.uniform(0.7, 1.1), rng.uniform(-0.5, 0.5)
    shift = rng.uniform(-0.15, 0.15, 2)
    matrix = size * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    drawn = []
    for line in lines:
        points = np.array(line)
        # So that every line is followed closely, straight ones too.
        steps = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
        at = np.linspace(0, steps[-1], max(12, round(steps[-1] / 0.05)))
        points = np.stack([np.interp(at, steps, points[:, axis]) for axis in (0, 1)], axis=1)
        waver = sum(
            rng.normal(0, 0.012 / k, 2) * np.sin(2 * math.pi * k * at[:, None] / 1.5 + rng.uniform(0, 6.28, 2))
            for k in (1, 2, 4)
        )
        points = (points + waver + rng.normal(0, 0.015, 2)) @ matrix.T + shift
        drawn.append([(float(x), float(y)) for x, y in points.clip(-1.15, 1.15)])
    return drawn


# --- the page ----------------------------------------------------------------------------------------------------


class Drawer:
    """Somebody at the page, with a mouse."""

    def __init__(self, page: Page, sources: list[str]) -> None:
        self.page, self.sources = page, sources

    def draw(self, lines: list[Line] | None, stamps: list[Any] | None, rng: np.random.Generator) -> dict[str, Any]:
        """Draw, search, and return the drawing and the first ten of each catalogue."""
        page = self.page
        page.click("#draw")
        page.wait_for_selector(".pad")
        page.click("#sketch .actions button:has-text('Clear')")
        for line in lines or []:
            page.mouse.move(*self._at(line[0]))
            # Shift: a line may begin on another one.
            page.keyboard.down("Shift")
            page.mouse.down()
            for point in line[1:]:
                page.mouse.move(*self._at(point))
            page.mouse.up()
            page.keyboard.up("Shift")
        for name, sliders, whither in stamps or []:
            page.click(f".stamps button:has-text('{name}')" if name != "disc" else ".stamps button:text-is('disc')")
            for slider, value in sliders.items():
                worth = value + (rng.normal(0, 6) if slider == "turn" else rng.normal(0, 0.04))
                page.fill(f"#sketch-{slider}", str(round(min(max(worth, -180), 360), 2 if slider != "turn" else 0)))
            if whither is not None:
                x, y = page.locator(".pad .shape").last.bounding_box(), self._at(whither)
                assert x is not None
                page.mouse.move(x["x"] + x["width"] / 2, x["y"] + x["height"] / 2)
                page.mouse.down()
                page.mouse.move(*y, steps=8)
                page.mouse.up()
        with page.expect_response(lambda r: r.url.endswith("/api/v1/search")) as answered:
            page.click("text=Search with this")
        svg = answered.value.request.post_data_json["parts"][0]["value"]
        found = {source: self._where(source) for source in self.sources}
        page.click(".chip button[aria-label^='Leave out']")
        return {"svg": svg, "found": found}

    def _where(self, source: str) -> list[str]:
        with self.page.expect_response(lambda r: r.url.endswith("/api/v1/search")) as answered:
            self.page.fill("#where", f"source = '{source}'")
            self.page.press("#where", "Enter")
        return [hit["id_str"] for hit in answered.value.json()["hits"][:10]]

    def _at(self, point: tuple[float, float]) -> tuple[float, float]:
        box = self.page.locator(".pad").bounding_box()
        assert box is not None
        return tuple(
            box[k] + (v / 2.4 + 0.5) * box[s] for k, v, s in zip("xy", point, ("width", "height"), strict=True)
        )


@contextmanager
def served(embeddings: Path) -> Iterator[str]:
    """Serve the page of some embeddings; gives its address."""
    app = create_app(open_gallery(embeddings), Settings(costly_per_minute=100_000), chart="pca", start=False)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def embedded(data: Path, work: Path, part: str) -> tuple[Path, dict[str, dict[str, set[str]]], dict[str, int]]:
    """Return embeddings of one part of all catalogues, which galaxies are right, and how many there are."""
    tables = []
    right: dict[str, dict[str, set[str]]] = {shape: {} for shape in SHAPES}
    sizes: dict[str, int] = {}
    for source, names in PARTS_OF.items():
        for name in names:
            gallery = Gallery(data, name, part)
            table = gallery.catalog.table[["id_str", "file_loc"]].copy()
            table["file_loc"] = [str(data / name / place) for place in table["file_loc"]]
            # Catalogues share names of galaxies.
            table["id_str"] = [f"{name}:{one}" for one in table["id_str"]]
            table["source"] = source
            tables.append(table)
            sizes[source] = sizes.get(source, 0) + len(table)
            for shape in SHAPES:
                if source in RIGHT[shape]:
                    chosen = set(table["id_str"][RIGHT[shape][source](gallery)])
                    right[shape].setdefault(source, set()).update(chosen)
    out = work / f"{part}.parquet"
    if not out.is_file():
        pd.concat(tables).to_csv(work / f"{part}.csv", index=False)
        embed(catalog=work / f"{part}.csv", out=out, device="cpu")
    return out, right, sizes


def drawn_in_the_page(embeddings: Path, chromium: str, hands: int) -> list[dict[str, Any]]:
    """Draw everything with the mouse; return the way, the shape, the drawing and what came back."""
    sources = list(PARTS_OF)
    entries = []
    arguments = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    arguments += ["--disable-component-update", "--disable-sync", "--enable-unsafe-swiftshader"]
    with served(embeddings) as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(60_000)
        # Neither the map nor pictures of galaxies are looked at here, and both take time to draw.
        for unseen in ("**/api/v1/map", "**/api/v1/cutout/**"):
            page.route(unseen, lambda route: route.abort())
        page.goto(address)
        page.wait_for_selector(".tile")
        drawer = Drawer(page, sources)
        for place, shape in enumerate(SHAPES):
            for way, manners in (("stamps", STAMPS[shape]), ("pen", PEN[shape])):
                for manner, marks in enumerate(manners):
                    for hand in range(hands):
                        rng = np.random.default_rng([place, manner, hand])
                        lines = by_hand(marks, rng) if way == "pen" else None
                        answer = drawer.draw(lines, marks if way == "stamps" else None, rng)
                        entries.append({"way": way, "shape": shape, "manner": manner, "hand": hand, **answer})
                print(way, shape, manner, flush=True)
        browser.close()
    return entries


def first_ten(gallery: Any, kind: Kind, value: str) -> dict[str, list[str]]:
    """Return what comes back of each catalogue."""
    part = Part(kind=kind, value=value)
    return {name: gallery.search(Query(parts=[part], k=10, where=f"source = '{name}'")).ids for name in PARTS_OF}


def read_again(embeddings: Path, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what comes back now for drawings that were made in the page before."""
    gallery = open_gallery(embeddings)
    drawn = [entry for entry in entries if entry["way"] in ("stamps", "pen")]
    return [entry | {"found": first_ten(gallery, "sketch", entry["svg"])} for entry in drawn]


def asked_directly(embeddings: Path) -> list[dict[str, Any]]:
    """Return what comes back for symbols of the renderer, and for words."""
    gallery = open_gallery(embeddings)
    entries = []
    for place, shape in enumerate(SHAPES):
        drawings = [render_svg(MORPHOLOGIES[shape], size=256)]
        drawings += [
            render_svg(MORPHOLOGIES[shape], size=256, rng=np.random.default_rng([place, k])) for k in range(12)
        ]
        asked: list[tuple[str, Kind, str]] = [
            ("symbol" if k == 0 else "unsteady symbol", "sketch", svg) for k, svg in enumerate(drawings)
        ]
        for way, kind, value in [*asked, ("text", "text", WORDS[shape])]:
            entry = {"way": way, "shape": shape, "found": first_ten(gallery, kind, value)}
            entries.append(entry | ({"svg": value} if kind == "sketch" else {}))
    return entries


def told(entries: list[dict[str, Any]], right: dict[str, dict[str, set[str]]], sizes: dict[str, int]) -> dict[str, Any]:
    """Return precision@10 by shape, catalogue and way: the mean over drawings, and the lowest and highest."""
    report: dict[str, Any] = {}
    for shape in SHAPES:
        for source, wanted in right[shape].items():
            figures: dict[str, Any] = {"right": len(wanted), "of": sizes[source]}
            for way in dict.fromkeys(entry["way"] for entry in entries):
                values = [
                    sum(one in wanted for one in entry["found"][source]) / 10
                    for entry in entries
                    if (entry["way"], entry["shape"]) == (way, shape)
                ]
                figures[way] = {"mean": float(np.mean(values)), "low": min(values), "high": max(values)}
            report[f"{shape}, {source}"] = figures
    ways = dict.fromkeys(entry["way"] for entry in entries)
    report["mean"] = {
        way: float(np.mean([figures[way]["mean"] for figures in report.values() if way in figures])) for way in ways
    }
    return report


def main() -> None:
    """Draw, count, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--part", default="test", choices=("test", "validation"))
    parser.add_argument("--name", default="page", help="which version of the page")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--hands", type=int, default=2)
    parser.add_argument("--drawings", help="NAME of an earlier run whose drawings are read again, not drawn anew")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    work, part = arguments.work, arguments.part
    work.mkdir(parents=True, exist_ok=True)
    embeddings, right, sizes = embedded(arguments.data, work, part)
    print(len(read_table(embeddings)), "galaxies")
    if arguments.drawings is not None:
        entries = read_again(embeddings, json.loads((work / f"{arguments.drawings}_{part}.json").read_text()))
    else:
        entries = drawn_in_the_page(embeddings, arguments.chromium, arguments.hands)
    entries += asked_directly(embeddings)
    (work / f"{arguments.name}_{part}.json").write_text(json.dumps(entries))
    report = told(entries, right, sizes)
    arguments.out.mkdir(parents=True, exist_ok=True)
    out = arguments.out / f"sketch_search_{arguments.name}_{part}.json"
    out.write_text(json.dumps(report, indent=1) + "\n")
    ways = list(report["mean"])
    print("| sketch | right of | " + " | ".join(ways) + " |\n|---" * 1 + "|---" * (len(ways) + 1) + "|")
    for name, figures in report.items():
        if name != "mean":
            cells = " | ".join(f"{figures[way]['mean']:.2f}" for way in ways)
            print(f"| {name} | {figures['right']} of {figures['of']} | {cells} |")
    print("| mean | | " + " | ".join(f"{report['mean'][way]:.2f}" for way in ways) + " |")


if __name__ == "__main__":
    main()
