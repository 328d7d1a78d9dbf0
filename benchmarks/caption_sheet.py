"""Write 30 galaxies with their votes and sentences: a Markdown table with linked pictures, and a PNG to look at.

    python benchmarks/caption_sheet.py CATALOG --taxonomy galaxy_zoo_2 --sheet sheet.png \
        --into docs/explanation/captions.md

The galaxies are drawn in turn from each class by votes, then those whose kind divides the volunteers most and those
that fewest saw; the draw is fixed by `--seed`. The pictures of the table are links to SDSS SkyServer, those of the
sheet are the catalogue's own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from galaxalign.data import read_catalog
from galaxalign.morphology import Taxonomy, Votes, load_taxonomy, read_votes, vote_caption, vote_labels
from galaxalign.morphology.voted_answers import ENOUGH_REACH, ENOUGH_VOTERS

BEGIN, END = "<!-- galaxies -->", "<!-- end of galaxies -->"
CUTOUT = (
    "https://skyserver.sdss.org/dr17/SkyServerWS/ImgCutout/getjpeg?ra={:.5f}&dec={:.5f}&scale={}&width=120&height=120"
)


def chosen(taxonomy: Taxonomy, votes: Votes, number: int, seed: int) -> list[int]:
    """Return rows: each class in turn, with the six last places for divided votes and few volunteers."""
    rng = np.random.default_rng(seed)
    labels = vote_labels(taxonomy, votes)
    queues = [list(rng.permutation(np.flatnonzero(labels == index))) for index in range(len(taxonomy))]
    first = votes.tree.slices[0]
    divided = list(np.argsort(np.nanmax(votes.fractions[:, first], axis=1)))
    few = list(np.argsort(votes.voters[:, 0], kind="stable"))
    rows: list[int] = []
    while len(rows) < number - 6 and any(queues):
        rows += [queue.pop() for queue in queues if queue][: number - 6 - len(rows)]
    for queue in (divided, few):
        rows += [row for row in queue if row not in rows][:3]
    return [int(row) for row in rows]


def in_short(votes: Votes, row: int) -> str:
    """Return the answers of most with their fractions, where enough were asked."""
    tree, fractions, voters = votes.tree, votes.fractions[row], votes.voters[row]
    asked = tree.asked(fractions[None])[0]
    parts = []
    for column in tree.path(fractions):
        index = next(i for i, part in enumerate(tree.slices) if part.start <= column < part.stop)
        if asked[index] >= ENOUGH_REACH and not voters[index] < ENOUGH_VOTERS:
            parts.append(f"{tree.answers[column].title} {fractions[column]:.2f} ({voters[index]:.0f})")
    return ", ".join(parts)


def main() -> None:
    """Write the table and the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--taxonomy", default="galaxy_zoo_2")
    parser.add_argument("--into", type=Path, help="Markdown file whose table between the two markers is replaced")
    parser.add_argument("--sheet", type=Path, help="PNG with the pictures and sentences")
    parser.add_argument("--number", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=0.3, help="arcsec per pixel of the linked pictures")
    given = parser.parse_args()

    taxonomy = load_taxonomy(given.taxonomy)
    table = read_catalog(given.catalog).table
    votes = read_votes(table, taxonomy.tree, source=str(given.catalog))
    rng = np.random.default_rng(given.seed)
    rows = chosen(taxonomy, votes, given.number, given.seed)
    entries = []
    for row in rows:
        galaxy = (votes.fractions[row], votes.voters[row])
        sampled = [vote_caption(votes.tree, *galaxy, rng) for _ in range(2)]
        entries.append((row, in_short(votes, row), vote_caption(votes.tree, *galaxy), *sampled))

    lines = [
        BEGIN,
        "| picture | answers of most, fraction (volunteers) | sentence | two drawn for training |",
        "|---|---|---|---|",
    ]
    for row, short, text, one, two in entries:
        link = CUTOUT.format(float(table["ra"].iloc[row]), float(table["dec"].iloc[row]), given.scale)
        lines.append(f"| ![{table['id_str'].iloc[row]}]({link}) | {short} | **{text}** | {one}<br>{two} |")
    lines.append(END)
    if given.into:
        text = given.into.read_text()
        before, rest = text.split(BEGIN)
        given.into.write_text(before + "\n".join(lines) + rest.split(END)[1])
    else:
        print("\n".join(lines))
    if given.sheet:
        draw(given.catalog.parent, table, entries, given.sheet)


def draw(folder: Path, table: pd.DataFrame, entries: list[tuple[int, str, str, str, str]], out: Path) -> None:
    """Draw the galaxies with their sentences beside them, three to a row."""
    import textwrap

    import matplotlib.pyplot as plt
    from PIL import Image

    figure, axes = plt.subplots(-(-len(entries) // 3), 6, figsize=(21, 3 * -(-len(entries) // 3)))
    for axis in axes.flat:
        axis.axis("off")
    for place, (row, short, *texts) in enumerate(entries):
        picture, words = axes[place // 3, place % 3 * 2 : place % 3 * 2 + 2]
        picture.imshow(Image.open(folder / table["file_loc"].iloc[row]))
        filled = [textwrap.fill(text, 44) for text in (short, *texts)]
        words.text(0, 1, f"{place + 1}. " + "\n\n".join(filled), va="top", fontsize=8.5, transform=words.transAxes)
    figure.tight_layout()
    figure.savefig(out, dpi=70)


if __name__ == "__main__":
    main()
