"""How well a linear probe tells simulated galaxies from real ones (EFIGI, Galaxy Zoo 1), and both side by side.

    python benchmarks/simulated_vs_real.py [--shared ../shared] [--out DIR] [--n 400] [--name now] [--survey DIR]

An AUC of 0.5 would be perfect simulations; at 1 each is recognised. The probe is a logistic regression on the
frozen image tower of `lite` (EfficientNet-Lite0, ImageNet), cross-validated in five folds; the interval is that
of a bootstrap over galaxies. Half of the galaxies are of EFIGI, half of Galaxy Zoo 1 (its middle 40 %), the
same number of each label in real and simulated, at 128 px in JPEG of the same quality.

To compare versions of the simulator, make the surveys DIR/efigi and DIR/galaxy_zoo_1 with another version and
give them as --survey with a --name: every name has its entry in results/simulated_vs_real.json.
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

from galaxalign.data import Catalog, read_catalog
from galaxalign.data.images import Preprocessing, load_images
from galaxalign.models import load_encoder
from galaxalign.morphology import load_taxonomy
from galaxalign.verbs import simulate

HERE = Path(__file__).parent
SIZE = 128
QUALITY = 92
# The folder of the real galaxies and their crop, by the taxonomy of their labels.
SOURCES = {"efigi": ("efigi", 1.0), "galaxy_zoo_1": ("gz1", 0.4)}


def balanced(catalog: Catalog, taxonomy: str, n: int, rng: np.random.Generator) -> Catalog:
    """Return about n galaxies, equally many of each class."""
    scheme = load_taxonomy(taxonomy)
    codes = scheme.encode(catalog.texts("label"))
    rows = [rng.permutation(np.flatnonzero(codes == code))[: n // len(scheme)] for code in range(len(scheme))]
    return catalog.select(np.sort(np.concatenate(rows)))


def pictures(catalog: Catalog, crop: float) -> NDArray[np.uint8]:
    """Return the readable images, as JPEG once more, so that the quality of a file tells nothing."""
    images, status = load_images(catalog.paths(), Preprocessing(crop=crop, size=SIZE))
    result = []
    for image in images[[s == "ok" for s in status]]:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=QUALITY)
        result.append(np.asarray(Image.open(buffer)))
    return np.stack(result)


def sheet(images: NDArray[np.uint8], path: Path, columns: int = 12, most: int = 96) -> None:
    """Write the first images as a contact sheet."""
    rows = min(len(images), most) // columns
    cells = np.pad(images[: rows * columns], ((0, 0), (1, 1), (1, 1), (0, 0)))
    side = cells.shape[1]
    grid = cells.reshape(rows, columns, side, side, 3).swapaxes(1, 2).reshape(rows * side, columns * side, 3)
    Image.fromarray(grid).save(path)


def interval(real: NDArray[np.bool_], score: NDArray[np.float64], seed: int) -> dict[str, float]:
    """Return the AUC and its 95 % bootstrap interval."""
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(real), (1000, len(real)))
    low, high = np.percentile([roc_auc_score(real[d], score[d]) for d in draws], [2.5, 97.5])
    return {
        "auc": round(float(roc_auc_score(real, score)), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }


def main() -> None:
    """Measure, print, save the result and write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", type=Path, default=HERE.parent.parent / "shared")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "simulated_vs_real")
    parser.add_argument("--n", type=int, default=400, help="galaxies of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="now", help="entry of the results")
    parser.add_argument("--survey", type=Path, help="simulated surveys made before")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    half = options.n // 2
    images, real, source = [], [], []
    for number, (taxonomy, (folder, crop)) in enumerate(SOURCES.items()):
        if options.survey:
            survey = options.survey / taxonomy / "catalog.csv"
        else:
            # Another seed for each: galaxies of the same number would have the same field and noise.
            seed = options.seed * len(SOURCES) + number
            survey = simulate(taxonomy=taxonomy, n=half, out=options.out / taxonomy, size=SIZE, seed=seed)
        sky = balanced(read_catalog(options.shared / "data" / folder / "catalog.csv"), taxonomy, half, rng)
        for catalog, frame, is_real in ((sky, crop, True), (read_catalog(survey), 1.0, False)):
            images.append(pictures(catalog, frame))
            real += [is_real] * len(images[-1])
            source += [taxonomy] * len(images[-1])
    everything, truth, sources = np.concatenate(images), np.array(real), np.array(source)
    encoder = load_encoder("lite", words=False)
    starts = range(0, len(everything), 50)
    features = np.concatenate([encoder.encode_images(everything[i : i + 50]).cpu().numpy() for i in starts])

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    folds = StratifiedKFold(5, shuffle=True, random_state=options.seed)
    score = cross_val_predict(model, features, truth, cv=folds, method="predict_proba")[:, 1]
    for kind, mask in (("real", truth), ("simulated", ~truth)):
        chosen = np.flatnonzero(mask)
        sheet(everything[rng.permutation(chosen)], options.out / f"{kind}.png")
        order = chosen[np.argsort(score[chosen])]
        sheet(everything[order[:48]], options.out / f"{kind}_looks_simulated.png")
        sheet(everything[order[::-1][:48]], options.out / f"{kind}_looks_real.png")

    record = {
        "question": "real or simulated, five-fold logistic regression on frozen features",
        "encoder": encoder.name,
        "dimension": int(features.shape[1]),
        "n_real": int(truth.sum()),
        "n_simulated": int((~truth).sum()),
        "size": SIZE,
        "seed": options.seed,
        "all": interval(truth, score, options.seed),
        **{name: interval(truth[sources == name], score[sources == name], options.seed) for name in SOURCES},
    }
    target = HERE / "results" / "simulated_vs_real.json"
    target.parent.mkdir(exist_ok=True)
    results = json.loads(target.read_text()) if target.exists() else {}
    target.write_text(json.dumps({**results, options.name: record}, indent=2) + "\n")
    for name in ("all", *SOURCES):
        part = record[name]
        print(f"{name}: AUC {part['auc']:.4f} [{part['low']:.4f}, {part['high']:.4f}]")
    print(f"sheets in {options.out}")


if __name__ == "__main__":
    main()
