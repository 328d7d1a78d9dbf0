"""How well a linear probe tells simulated galaxies from real ones (EFIGI), and both side by side.

    python benchmarks/simulated_vs_real.py [--shared ../shared] [--out DIR] [--n 300]

0.5 would be perfect simulations, 1 is told apart without fail. The probe is a logistic regression on the
frozen image tower of `lite`, cross-validated in five folds; the interval is that of a bootstrap over galaxies.
The same number of galaxies of each label is drawn from both; images at 128 px, JPEG of the same quality.
The contact sheets hold real galaxies: they go to --out, by default a temporary folder, not into the repository.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from galaxalign.data.catalog import Catalog, read_catalog
from galaxalign.data.images import Framing, load_images
from galaxalign.encoders.load import load_encoder
from galaxalign.simulate import simulate

HERE = Path(__file__).parent
SIZE = 128
QUALITY = 92


def balanced(catalog: Catalog, n: int, rng: np.random.Generator) -> Catalog:
    """Return about n galaxies, equally many of each label."""
    labels = np.array(catalog.texts("label"))
    names = np.unique(labels)
    rows = [rng.permutation(np.flatnonzero(labels == name))[: n // len(names)] for name in names]
    return catalog.select(np.sort(np.concatenate(rows)))


def recompressed(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Save and read the images as JPEG once more, so that the quality of a file tells nothing."""
    result = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=QUALITY)
        result.append(np.asarray(Image.open(buffer)))
    return np.stack(result)


def sheet(images: NDArray[np.uint8], path: Path, columns: int = 12) -> None:
    """Write the first images as a contact sheet."""
    rows = len(images) // columns
    cells = np.pad(images[: rows * columns], ((0, 0), (1, 1), (1, 1), (0, 0)))
    side = cells.shape[1]
    grid = cells.reshape(rows, columns, side, side, 3).swapaxes(1, 2).reshape(rows * side, columns * side, 3)
    Image.fromarray(grid).save(path)


def probe(
    features: NDArray[np.float32], real: NDArray[np.bool_], seed: int = 0
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Return the held-out probability of being real, and the AUC with its 95 % interval."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    score = cross_val_predict(model, features, real, cv=folds, method="predict_proba")[:, 1]
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(real), (1000, len(real)))
    low, high = np.percentile([roc_auc_score(real[d], score[d]) for d in draws], [2.5, 97.5])
    return score, {"auc": float(roc_auc_score(real, score)), "low": float(low), "high": float(high)}


def main() -> None:
    """Measure, print, save the result and write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=HERE.parent.parent / "shared")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "simulated_vs_real")
    parser.add_argument("--n", type=int, default=300, help="galaxies of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    survey = simulate(taxonomy="efigi", n=options.n, out=options.out / "survey", size=SIZE, seed=options.seed)
    catalogs = [
        balanced(read_catalog(options.shared / "data" / "efigi" / "catalog.csv"), options.n, rng),
        read_catalog(survey),
    ]
    pictures = []
    for catalog in catalogs:
        images, status = load_images(catalog.paths(), Framing(size=SIZE))
        pictures.append(recompressed(images[[s == "ok" for s in status]]))
    encoder = load_encoder("lite", words=False)
    features = np.concatenate(
        [encoder.encode_images(p[i : i + 50]).cpu().numpy() for p in pictures for i in range(0, len(p), 50)]
    )
    real = np.repeat([True, False], [len(p) for p in pictures])
    score, result = probe(features, real)
    statistics = {
        kind: {
            "sky": np.median(p[:, :8].reshape(-1, 3), axis=0).tolist(),
            "centre": np.median(p[:, 60:68, 60:68].mean((1, 2)), axis=0).round(1).tolist(),
        }
        for kind, p in zip(("real", "simulated"), pictures, strict=True)
    }
    everything = np.concatenate(pictures)
    for kind, mask in (("real", real), ("simulated", ~real)):
        chosen = np.flatnonzero(mask)
        sheet(everything[rng.permutation(chosen)], options.out / f"{kind}.png")
        order = chosen[np.argsort(score[chosen])]
        sheet(everything[order[:48]], options.out / f"{kind}_looks_simulated.png")
        sheet(everything[order[::-1][:48]], options.out / f"{kind}_looks_real.png")
    record = {
        "question": "real (EFIGI) or simulated, five-fold logistic regression on frozen features",
        "encoder": encoder.name,
        "n_real": int(real.sum()),
        "n_simulated": int((~real).sum()),
        "size": SIZE,
        "seed": options.seed,
        **result,
        "median_pixels": statistics,
    }
    target = HERE / "results" / "simulated_vs_real.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(record, indent=2) + "\n")
    print(f"AUC {result['auc']:.3f} [{result['low']:.3f}, {result['high']:.3f}]; sheets in {options.out}")


if __name__ == "__main__":
    main()
