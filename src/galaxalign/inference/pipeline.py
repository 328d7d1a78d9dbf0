"""Images, words and symbols through an encoder; a catalogue is decoded by threads beside the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from galaxalign.data.catalogs import Catalog, Pictures, iter_pictures
from galaxalign.data.images import is_read
from galaxalign.models import Encoder, Pixels, eight_views, prototypes, to_tensor
from galaxalign.morphology import Taxonomy, class_prompts, symbol_bank

_BATCH = 64


def encode_views(encoder: Encoder, images: Pixels, *, mirror: bool) -> np.ndarray:
    """Return unit vectors (N, D), averaged over the turns and, with `mirror`, mirror images of each picture."""
    views = eight_views(to_tensor(images, "cpu"), mirror=mirror)
    total = torch.stack([encoder.encode_images(view).float().cpu() for view in views]).mean(0)
    return F.normalize(total, dim=-1).numpy()


def encode_array(encoder: Encoder, images: np.ndarray | Pictures, *, mirror: bool) -> np.ndarray:
    """Return unit vectors (N, D) of framed pictures uint8 (N, S, S, 3), over all views."""
    if not len(images):
        return np.zeros((0, encoder.dimension), np.float32)
    starts = range(0, len(images), _BATCH)
    return np.concatenate([encode_views(encoder, images[i : i + _BATCH], mirror=mirror) for i in starts])


def encode_catalog(
    encoder: Encoder, catalog: Catalog, *, mirror: bool
) -> Iterator[tuple[slice, np.ndarray, list[str]]]:
    """Stream the pictures of a catalogue through the encoder with bounded memory.

    Parameters
    ----------
    encoder : Encoder
    catalog : Catalog
    mirror : bool
        Average over mirror images too: for classes without handedness.

    Yields
    ------
    rows : slice
    vectors : ndarray (n, D), float32
        Unit vectors; zeros where the picture could not be read.
    statuses : list of str
    """
    for rows, batch, statuses in iter_pictures(catalog, encoder.preprocessing, batch_size=_BATCH):
        vectors = np.zeros((len(statuses), encoder.dimension), np.float32)
        good = is_read(statuses)
        if good.any():
            vectors[good] = encode_views(encoder, batch[good], mirror=mirror)
        yield rows, vectors, statuses


def encode_whole(
    encoder: Encoder, catalog: Catalog, done: Callable[[int], None], *, mirror: bool
) -> tuple[np.ndarray, list[str]]:
    """Return the vectors (N, D) and statuses of a whole catalogue; `done` takes the number of images just encoded."""
    vectors = np.zeros((len(catalog), encoder.dimension), np.float32)
    statuses: list[str] = []
    for rows, part, part_statuses in encode_catalog(encoder, catalog, mirror=mirror):
        vectors[rows] = part
        statuses += part_statuses
        done(len(part_statuses))
    return vectors, statuses


def prompt_prototypes(encoder: Encoder, taxonomy: Taxonomy) -> np.ndarray:
    """Return one unit vector per class (K, D): the mean of its ensemble of prompts."""
    ensembles = [class_prompts(galaxy_class) for galaxy_class in taxonomy.classes]
    vectors = encoder.encode_texts([text for prompts in ensembles for text in prompts]).cpu().numpy()
    ends = np.cumsum([len(prompts) for prompts in ensembles])
    return prototypes(np.split(vectors, ends[:-1]))


def symbol_prototypes(
    encoder: Encoder, taxonomy: Taxonomy, *, variants: int = 16, drawings: Path | None = None
) -> np.ndarray:
    """Return one unit vector per class (K, D): the mean over variants of its symbol."""
    bank = symbol_bank(taxonomy, variants=variants, size=encoder.preprocessing.size, drawings=drawings)
    flat = bank.reshape(-1, *bank.shape[2:])
    vectors = [encoder.encode_symbols(flat[i : i + _BATCH]).cpu().numpy() for i in range(0, len(flat), _BATCH)]
    return prototypes(np.split(np.concatenate(vectors), len(taxonomy)))
