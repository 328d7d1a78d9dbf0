"""Options of the verbs: type and help, each written once.

A verb's signature names them: ``def embed(*, catalog: Catalog, out: EmbeddingsOut, quiet: Quiet = False)``. The
command line, the docstring and the reference page come from that signature. The command line reads the first type of
a union.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from galaxalign.signature import Option

if TYPE_CHECKING:
    from galaxalign.gallery import Cone, Query


def read_columns(text: str) -> dict[str, str]:
    """Read "id_str=objid,ra=RA"; ValueError if it is not of that form."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    columns = {new.strip(): old.strip() for new, _, old in pairs}
    if not all(columns) or not all(columns.values()) or len(columns) < len(pairs):
        raise ValueError(f"{text!r} is not of the form NEW=OLD,NEW=OLD, as id_str=objid,ra=RA")
    return columns


# Tables that go in

Catalog = Annotated[
    str | Path,
    Option(
        "CSV, Parquet, FITS, VOTable (also s3://, https://), HATS; folder or glob of images; or a store.",
        metavar="CATALOG",
        argument=True,
    ),
]
Catalogs = Annotated[Sequence[str | Path], Option("One or several catalogues.", metavar="CATALOG...", argument=True)]
TrainingCatalogs = Annotated[
    Sequence[str | Path] | str | Path,
    Option(
        "Catalogue with images and labels or votes; several learn together.",
        "It has `id_str`, `file_loc` and `label`, or the votes of the taxonomy's decision tree in place of labels. "
        "Each step takes pictures of all catalogues, and compares words and symbols within each.",
    ),
]
Columns = Annotated[
    Mapping[str, str] | None,
    Option(
        "Rename columns, new name first: id_str=objid,ra=RA.",
        'In Python a mapping: ``{"id_str": "objid"}``.',
        metavar="NEW=OLD,...",
        read=read_columns,
    ),
]
Against = Annotated[str | Path | None, Option("Another catalogue to compare with, such as a benchmark.")]
EmbeddingsFile = Annotated[Path | str, Option("File made by galaxalign embed.", metavar="EMBEDDINGS", argument=True)]
EmbeddingsOrIndex = Annotated[
    str | Path, Option("Made by galaxalign embed or galaxalign index.", metavar="EMBEDDINGS|INDEX", argument=True)
]

# Models and classes

Model = Annotated[str | Path, Option("Model folder, as made by galaxalign train, or a model in the box.")]
StartModel = Annotated[str | Path, Option("Model folder to start from, of any taxonomy, or a model in the box.")]
QueryModel = Annotated[
    str | Path | None,
    Option("Model that made the embeddings; by default the one that they name.", "Queries by id need none."),
]
AuditModel = Annotated[str | Path | None, Option("Model folder; list the labels that it finds improbable.")]
StoreModel = Annotated[str | Path | None, Option("Prepare as this model was trained.")]
Encoder = Annotated[
    str, Option("lite, galaxy-lite, local-dir:MODEL, open_clip or timm name.", "See `galaxalign.load_encoder`.")
]
Taxonomy = Annotated[str | Path, Option("Name or TOML file of the classes.")]
TaxonomyArgument = Annotated[str | Path, Option("Name or TOML file.", metavar="TAXONOMY", argument=True)]
TrainingTaxonomies = Annotated[
    Sequence[str | Path] | str | Path,
    Option("Name or TOML file of the classes, for all or each catalogue.", "The first is the model's own."),
]
OtherTaxonomy = Annotated[
    str | Path | None,
    Option(
        "Name or TOML file; the model's own by default.",
        "Other classes are classified by words alone, without calibration.",
    ),
]
VoteTaxonomy = Annotated[str | Path | None, Option("Decision tree, name or TOML file; the model's own by default.")]
Recipe = Annotated[
    str | Path,
    Option(
        "galaxalign, galaxalign-pair, image-text, clip-gmc, galaxy-lite, supervised, demo, the ablations "
        "galaxalign-v1 galaxalign-v2 galaxalign-v3; or a TOML file.",
        metavar="[RECIPE]",
        argument=True,
    ),
]
OtherRecipe = Annotated[str | Path | None, Option("Train the tower by this recipe, not the method's own.")]
Symbols = Annotated[Path | str | None, Option("Folder of your own drawings, CLASS.svg or CLASS.png.")]

# How to look at a picture

Crop = Annotated[
    str | float | None,
    Option(
        "Centred square to look at: 0.5 of the frame, 64px or 30arcsec.",
        "By default that of the model or store, else the whole picture. A model remembers it.",
    ),
]
Stretch = Annotated[
    str | None,
    Option(
        "For FITS and arrays: lupton, asinh:softening=0.1, log, linear, percentile.",
        "How flux becomes a picture, see `galaxalign.data.images.Stretch`. Without it only pictures are read.",
    ),
]
Bands = Annotated[
    str | Sequence[str] | None,
    Option("Bands for red, green and blue, such as z,r,g or 3,2,1.", "By default chosen by the number of bands."),
]
PixelScale = Annotated[
    str | float | None,
    Option(
        "For a crop in arcsec: wcs, column, or arcsec per pixel.",
        '"wcs" is the default; "column" reads the column pixel_scale or pxscale.',
    ),
]
Size = Annotated[int | None, Option("Side in pixels that the network sees; that of its weights by default.")]
StoreSize = Annotated[int | None, Option("Pixels along each side. [128]")]
PictureSize = Annotated[int, Option("Pixels along each side.")]
ForTraining = Annotated[
    bool, Option("Keep what lies around the crop, to turn and shift pictures.", "A store without a crop needs none.")
]

# Splits, and what guards against leaks

Split = Annotated[
    Path | str | None, Option("Saved split; made and kept if left out.", "70, 10 and 20 % of the galaxies.")
]
EvaluationSplit = Annotated[
    Path | str | None, Option("Saved split. By default all galaxies that the model was not trained or chosen on.")
]
VoteSplit = Annotated[Path | str | None, Option("Saved split; that of the model, or a new one, if left out.")]
AuditSplit = Annotated[Path | str | None, Option("Saved split to look for leaks in.")]
SplitPart = Annotated[str, Option("Part of the split: train, validation or test.")]
Fractions = Annotated[Sequence[float], Option("Shares of train, validation, test.", kind=tuple[float, float, float])]
Folds = Annotated[
    int | None,
    Option("Make this many splits, OUT-1.parquet ..., instead of --fractions.", "Each has another test part."),
]
Group = Annotated[str | None, Option("Column whose equal values stay together.")]
Radius = Annotated[
    str | float,
    Option("Galaxies closer on the sky stay in one part; 0arcsec ignores positions.", "A number is in arcsec."),
]
Exclude = Annotated[
    Sequence[str | Path],
    Option("Benchmark whose galaxies must take no part; can be repeated.", "They are found by id or position."),
]
ExcludeRadius = Annotated[
    str | float | None, Option("How close to a galaxy of --exclude is the same one; --radius by default.")
]
AllowLeaks = Annotated[
    bool, Option("Continue although the split has a galaxy in two parts, or the model knows test galaxies.")
]
ByAppearance = Annotated[
    bool,
    Option(
        "Also find one galaxy in pictures of another frame or pixel scale (slow).",
        "For catalogues with neither positions nor ids in common.",
    ),
]
Images = Annotated[bool, Option("Look at the pictures.")]

# How to learn

Share = Annotated[
    float,
    Option(
        "Percent of the training labels to learn from.",
        "Chosen by class, at least one galaxy of each. With one seed the smaller set lies within the larger.",
    ),
]
Weight = Annotated[
    Sequence[float] | float,
    Option("How often a galaxy is seen in an epoch, for all or each catalogue.", "1 by default."),
]
View = Annotated[
    Sequence[str] | str,
    Option(
        "Share of the picture to show in training, as 0.4-1 (above 1: with sky), for all or each catalogue.",
        "By default the recipe's.",
    ),
]
Method = Annotated[
    str,
    Option(
        "zero-shot, linear, fine-tune, lp-ft, lora, flyp or flyp-symbols.",
        '"zero-shot" uses the words of the classes and no label. "linear" keeps the tower and chooses a classifier. '
        '"fine-tune" trains the tower with cross-entropy; "lp-ft" starts that from the linear head; "lora" trains '
        'low-rank adapters instead. "flyp" brings galaxies to the words of their classes, "flyp-symbols" also to '
        "their symbols.",
    ),
]
WiseFt = Annotated[
    str | float | None,
    Option(
        "Share of the fine-tuned weights in a mix with those before, 0 to 1, or auto.",
        '"auto" takes the share that is best on validation data. The checkpoint is kept: another value mixes again '
        "without training.",
    ),
]
Steps = Annotated[
    int, Option("Train at least this many steps, however few the labels.", "The recipe's epochs are multiplied.")
]
ValidationShare = Annotated[float, Option("Percent of the validation part to choose and calibrate on.")]
Voters = Annotated[float | None, Option("Volunteers per galaxy, where the catalogue does not say.")]

# Answers

VotesToo = Annotated[
    bool,
    Option(
        "Also the fraction of volunteers expected to give each answer.",
        "By the model's head for the decision tree, or by words alone where it has none.",
    ),
]
MapMethod = Annotated[str, Option("tsne, umap or pca.")]
Figure = Annotated[Path | str | None, Option("Picture of the map; beside the table by default.")]
ExactBelow = Annotated[int, Option("Compare galaxies one by one up to this number; build a vector index above it.")]
Text = Annotated[Sequence[str] | str, Option("What it looks like, in words.")]
Not = Annotated[Sequence[str] | str, Option("What it should not look like.")]
Image = Annotated[Sequence[str | Path] | str | Path, Option("A picture of a galaxy.")]
Symbol = Annotated[Sequence[str] | str, Option("A class of the taxonomy, or a drawing (SVG, PNG, JPEG).")]
Id = Annotated[Sequence[str] | str, Option("A galaxy of the file.", "It is not among the answers.")]
WholeQuery = Annotated[
    "Path | str | Query | None", Option("A whole query instead, as JSON.", "Its own k counts.", metavar="FILE.json")
]
Where = Annotated[str | None, Option('Only such galaxies: "redshift < 0.1".', metavar="SQL")]
ConeText = Annotated["str | Cone | None", Option("Only within a circle, degrees.", metavar="RA,DEC,RADIUS")]
Moc = Annotated[str | None, Option("Only within a part of the sky: a MOC file, or a MOC as text.")]
Floor = Annotated[float | None, Option("Leave out what scores less.")]
Collapse = Annotated[bool, Option("Show several entries of one galaxy as one.")]
TrueLabel = Annotated[str | None, Option("What right answers are called in the column label; estimates precision.")]
Marks = Annotated[Path | str | None, Option("Table of id_str and mark (good or bad) that refines the query.")]
Answers = Annotated[int, Option("How many galaxies.", flags=("-k",))]

# Where it goes

RunFolder = Annotated[Path | str, Option("Run folder; it becomes the model folder.")]
VoteModelOut = Annotated[Path | str, Option("Folder of the model with the head; may be that of --model.")]
EmbeddingsOut = Annotated[
    Path | str,
    Option(
        "Embeddings file (.parquet).",
        "Columns `id_str`, `embedding`, `status`, `image_path`, and those of the catalogue with one value per row.",
    ),
]
PredictionsOut = Annotated[
    Path | str | None,
    Option(
        "Table of predictions (.parquet .csv .fits .vot); else CSV to a pipe.",
        "It is written piece by piece, in constant memory. In Python a DataFrame is returned without it.",
    ),
]
MetricsOut = Annotated[Path | str | None, Option("metrics.json with per-class figures.")]
IndexOut = Annotated[str | Path, Option("Folder of the index, or s3://...; galaxies are added to an existing one.")]
MapOut = Annotated[Path | str, Option("Table of positions (.parquet .csv .fits .vot).")]
Form = Annotated[Literal["table", "csv", "json"], Option("How to print the answers.", flags=("--format",))]
AnswersOut = Annotated[Path | str | None, Option("Write a table instead of printing.")]
SheetOut = Annotated[Path | str, Option("The sheet (.png .svg .pdf).")]
SurveyOut = Annotated[Path | str, Option("Folder for catalog.csv and the images.")]
SplitOut = Annotated[Path | str, Option("The split (.parquet).")]
FindingsOut = Annotated[Path | str | None, Option("Folder for audit.html and findings.csv; or a table.")]
DemoOut = Annotated[Path | str, Option("Folder for everything it makes.")]
StoreOut = Annotated[Path | str, Option("Folder of the store.")]
DownloadOut = Annotated[Path | str | None, Option("Folder; the name of the data set by default.")]
ConvertOut = Annotated[Path | str, Option("Folder for catalog.parquet and unpacked pictures.")]
BenchmarkOut = Annotated[Path | str, Option("Folder of the cells and the report.")]

# Benchmark

Config = Annotated[
    Path | str, Option("TOML: data sets, encoders, trainings, shares, seeds.", metavar="CONFIG", argument=True)
]
DataFolder = Annotated[Path | str | None, Option("What {data} in the configuration stands for.")]
Shard = Annotated[str | None, Option("Only every N-th cell, from the K-th; no report.", metavar="K/N")]
Jobs = Annotated[int, Option("Processes that run cells; with GPUs one for each.")]
DryRun = Annotated[bool, Option("Print the cells and an estimate; run nothing.")]
ReportOnly = Annotated[bool, Option("Write the report of what is finished; run nothing.")]
KeepModels = Annotated[bool, Option("Keep the model folder of each cell.")]

# The explorer

MapOrMethod = Annotated[
    str | Path | None,
    Option("Table made by galaxalign project; or tsne, umap, pca.", "Default: t-SNE up to 20,000 galaxies, else PCA."),
]
LabelsFile = Annotated[Path | str | None, Option("CSV that keeps the labels given in the page.")]
LabelNames = Annotated[
    Sequence[str], Option("What galaxies can be labelled as; the classes by default.", flags=("--label",))
]
Host = Annotated[str, Option("Address to listen on; others than this machine require a token.")]
Port = Annotated[int, Option("0 for a free one.")]
Token = Annotated[
    str | None, Option("What a visitor must show; made where one is needed and not given.", env="GALAXALIGN_TOKEN")
]
ServerNames = Annotated[
    Sequence[str], Option("Another name of this server, such as that of a proxy.", flags=("--name",))
]
OpenBrowser = Annotated[bool, Option("Show the page in the browser.", flags=("--open",))]
Height = Annotated[int, Option("Height of the frame in pixels.")]

# Known data sets

DataSet = Annotated[
    str, Option("A data set of galaxalign data list; for convert also huggingface.", metavar="NAME", argument=True)
]
Everything = Annotated[bool, Option("Also the large files that few need.", flags=("--all",))]
Yes = Annotated[bool, Option("Do not ask before gigabytes.", flags=("--yes", "-y"))]
Mirror = Annotated[str | None, Option("Address of a folder with the same files.")]
PublishedFiles = Annotated[
    Sequence[str | Path] | str | Path,
    Option("A published file, or a folder of them; repeatable.", "Archives need not be unpacked."),
]

# How to run

Number = Annotated[int, Option("Number of galaxies.")]
Seed = Annotated[int, Option("Same seed, same result.")]
Processes = Annotated[int | None, Option("Processes; one per core by default.")]
Threads = Annotated[int | None, Option("Threads; one per core by default.")]
Device = Annotated[str | None, Option("cpu, cuda, cuda:1 …; the fastest by default.")]
Quiet = Annotated[bool, Option("No progress bars.", flags=("--quiet", "-q"))]
