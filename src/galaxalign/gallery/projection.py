"""Embeddings in two dimensions: t-SNE, UMAP or PCA, as a scatter plot or as a grid of galaxy images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxalign.errors import InputError
from galaxalign.evaluation import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METHODS = ("tsne", "umap", "pca")

_MINIMUM = 4
# t-SNE and UMAP look for neighbours; beyond 50 principal components there is only noise and waiting.
_COMPONENTS = 50
_PERPLEXITY = 30
_NEIGHBOURS = 15

# Okabe & Ito (2008) without black and with a yellow dark enough for white paper, then three that
# differ from them in lightness too. Markers change as well, so that no class rests on its hue alone.
_COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#C7B800",
    "#332288",
    "#882255",
    "#7F7F7F",
)
# Marker and the factor that makes its area look like that of a disc.
_MARKERS = {
    "o": 1.0,
    "s": 0.85,
    "^": 1.15,
    "D": 0.65,
    "v": 1.15,
    "P": 1.15,
    "X": 1.15,
    "<": 1.15,
    ">": 1.15,
    "*": 1.7,
    "p": 1.1,
}
_UNLABELLED = "#C8C8C8"


def project(vectors: np.ndarray, *, method: str = "tsne", seed: int = 0, workers: int = 1) -> np.ndarray:
    """Return positions in the plane for unit embeddings.

    Parameters
    ----------
    vectors : array_like, shape (N, D)
        Embeddings; at least four, rows that failed left out.
    method : {"tsne", "umap", "pca"}
        t-SNE (openTSNE, perplexity 30, started from PCA), UMAP (15 neighbours), or the first two principal
        components. Perplexity and neighbours shrink for fewer than about 100 galaxies. Distances
        between far groups mean something in PCA only.
    seed : int
        Same seed, same map (with one worker).
    workers : int
        Threads of t-SNE.

    Returns
    -------
    ndarray, shape (N, 2), float32

    Raises
    ------
    InputError
        An unknown method, too few galaxies, or a vector that is not finite.
    """
    matrix = np.asarray(vectors, dtype=np.float32)
    if method not in METHODS:
        raise InputError(f"unknown projection {method!r}; known are {', '.join(METHODS)}")
    if matrix.ndim != 2:
        raise ValueError(f"embeddings have shape {matrix.shape}; expected (N, D)")
    if len(matrix) < _MINIMUM:
        raise InputError(f"a map needs at least {_MINIMUM} galaxies with an embedding; there are {len(matrix)}")
    if not np.isfinite(matrix).all():
        raise InputError("some embeddings are not finite; leave out galaxies whose image could not be read")
    if method == "pca":
        return _principal(matrix, 2, seed)
    reduced = _principal(matrix, _COMPONENTS, seed)
    return _tsne(reduced, seed, workers) if method == "tsne" else _umap(reduced, seed)


def _principal(matrix: np.ndarray, components: int, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    count = min(components, *matrix.shape)
    found = PCA(count, random_state=seed).fit_transform(matrix).astype(np.float32)
    return np.pad(found, ((0, 0), (0, max(0, 2 - count))))


def _tsne(matrix: np.ndarray, seed: int, workers: int) -> np.ndarray:
    from openTSNE import TSNE

    perplexity = min(_PERPLEXITY, (len(matrix) - 1) / 3)
    model = TSNE(perplexity=perplexity, initialization="pca", random_state=seed, n_jobs=workers)
    return np.asarray(model.fit(matrix), dtype=np.float32)


def _umap(matrix: np.ndarray, seed: int) -> np.ndarray:
    from umap import UMAP

    # UMAP's spectral start needs more points than dimensions it asks for; few galaxies start at random.
    start = "spectral" if len(matrix) > 10 * _MINIMUM else "random"
    neighbours = min(_NEIGHBOURS, len(matrix) - 1)
    model = UMAP(n_neighbors=neighbours, init=start, random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(matrix), dtype=np.float32)


def snap_to_grid(xy: np.ndarray, *, side: int = 20, seed: int = 0) -> np.ndarray:
    """Move a sample of galaxies to the cells of a square grid, each to a cell near its place in the map.

    Positions are replaced by their ranks along each axis first, so that a dense middle gets the room it
    needs; then the sum of squared moves is minimised (linear assignment).

    Parameters
    ----------
    xy : array_like, shape (N, 2)
        Positions; finite.
    side : int
        Cells along one side; fewer where there are fewer than side² galaxies.
    seed : int
        Seed of the sample.

    Returns
    -------
    ndarray of int, shape (side, side)
        The galaxy (row of ``xy``) in each cell; x grows to the right, y upwards (row 0 on top).
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist
    from scipy.stats import rankdata

    points = np.asarray(xy, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"positions have shape {points.shape}; expected (N, 2) with N of at least 1")
    side = min(side, int(np.sqrt(len(points))))
    sample = np.random.default_rng(seed).permutation(len(points))[: side**2]
    ranks = np.stack([rankdata(points[sample, axis]) for axis in (0, 1)], axis=1) / (side**2 + 1)
    across, down = np.meshgrid(np.arange(side), np.arange(side))
    centres = np.stack([across.ravel() + 0.5, side - 0.5 - down.ravel()], axis=1) / side
    chosen, cells = linear_sum_assignment(cdist(ranks, centres, "sqeuclidean"))
    grid = np.empty(side**2, dtype=np.int64)
    grid[cells] = sample[chosen]
    return grid.reshape(side, side)


def class_styles(count: int) -> list[tuple[str, str]]:
    """Return (colour, marker) for each of ``count`` classes; pairs differ for up to 110 classes."""
    markers = tuple(_MARKERS)
    return [(_COLOURS[k % len(_COLOURS)], markers[k % len(markers)]) for k in range(count)]


def map_figure(
    xy: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    out: str | Path,
    *,
    axes: tuple[str, str] | None = None,
    title: str | None = None,
) -> Path:
    """Draw the map of a catalogue, coloured by class.

    Parameters
    ----------
    xy : array_like, shape (N, 2)
        Positions from `project`.
    labels : array_like of int, shape (N,)
        Class indices; -1 (no label) is drawn in grey underneath.
    class_names : sequence of str
        Names for the legend; underscores become spaces.
    out : path-like
        Image file; the suffix (.png, .svg, .pdf) says which kind.
    axes : (str, str), optional
        Axis labels, where the axes mean something (PCA).
    title : str, optional
        Text above the map.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    from matplotlib.figure import Figure

    points, classes = np.asarray(xy), np.asarray(labels)
    if points.shape != (len(classes), 2):
        raise ValueError(f"positions of shape {points.shape} for {len(classes)} labels")
    # Two columns of names fit below the map unless one of them is long.
    columns = 2 if max(map(len, class_names), default=0) <= 20 else 1
    figure = Figure(figsize=(6, 5.6 + 0.25 * len(class_names) / columns), layout="constrained")
    panel = figure.add_subplot()
    size = float(np.clip(14_000 / max(1, len(points)), 4, 40))
    none = classes < 0
    if none.any():
        x, y = points[none].T
        panel.scatter(x, y, s=size, c=_UNLABELLED, linewidths=0, label="no label")
    # Rare classes last, on top of the common ones.
    styles = class_styles(len(class_names))
    counts = np.bincount(classes[~none], minlength=len(class_names))
    titles = [f"{name.replace('_', ' ')} ({count})" for name, count in zip(class_names, counts, strict=True)]
    for k in np.argsort(-counts, kind="stable"):
        colour, marker = styles[k]
        if counts[k]:
            x, y = points[classes == k].T
            panel.scatter(
                x,
                y,
                s=size * _MARKERS[marker],
                c=colour,
                marker=marker,
                alpha=0.8,
                linewidths=0,
                label=titles[k],
            )
    _legend(figure, panel, order=[*titles, "no label"], columns=columns, size=size)
    panel.set_aspect("equal", adjustable="datalim")
    if axes is None:
        panel.set(xticks=[], yticks=[])
    else:
        panel.set_xlabel(axes[0], fontsize=12)
        panel.set_ylabel(axes[1], fontsize=12)
    if title:
        panel.set_title(title, fontsize=13)
    return save_figure(figure, out, dpi=160)


def _legend(figure: Figure, panel: Axes, *, order: Sequence[str], columns: int, size: float) -> None:
    """Draw the legend below the map, in the order of the taxonomy, which is a sequence in many schemes."""
    handles = dict(zip(*reversed(panel.get_legend_handles_labels()), strict=True))
    shown = [name for name in order if name in handles]
    figure.legend(
        [handles[name] for name in shown],
        shown,
        loc="outside lower center",
        ncols=columns,
        handletextpad=0.2,
        columnspacing=1.0,
        frameon=False,
        fontsize=12,
        scatterpoints=1,
        markerscale=float(np.sqrt(60 / size)),
    )


def grid_figure(
    images: np.ndarray,
    xy: np.ndarray,
    out: str | Path,
    *,
    side: int = 20,
    seed: int = 0,
    axes: tuple[str, str] = ("first principal component", "second principal component"),
) -> Path:
    """Draw galaxies on a regular grid that keeps their neighbourhoods in the map (see `snap_to_grid`).

    Parameters
    ----------
    images : ndarray, shape (N, H, W, 3), uint8
        RGB images, row 0 on top.
    xy : array_like, shape (N, 2)
        Positions from `project`, usually PCA's.
    out : path-like
        Image file.
    side, seed
        As for `snap_to_grid`.
    axes : (str, str)
        What grows to the right and upwards.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    from matplotlib.figure import Figure

    if images.ndim != 4 or len(images) != len(xy):
        raise ValueError(f"images of shape {images.shape} for {len(xy)} positions")
    grid = snap_to_grid(xy, side=side, seed=seed)
    tiles = images[grid]
    rows, columns, height, width, _ = tiles.shape
    mosaic = tiles.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)
    figure = Figure(figsize=(8, 8), layout="constrained")
    panel = figure.add_subplot()
    panel.imshow(mosaic, interpolation="antialiased")
    panel.set(xticks=[], yticks=[])
    panel.spines[:].set_visible(False)
    panel.set_xlabel(f"{axes[0]} (rank) →", fontsize=14)
    panel.set_ylabel(f"{axes[1]} (rank) →", fontsize=14)
    return save_figure(figure, out, dpi=200)
