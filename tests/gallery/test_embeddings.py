"""The embeddings file keeps ids, vectors and provenance, and a wrong file is named as such."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxalign.errors import InputError
from galaxalign.gallery.embeddings import Embeddings, EmbeddingWriter

IDS = ["587722981742084144", "1237648720693690487", "0007", "PGC0000212"]


def some_embeddings() -> Embeddings:
    vectors = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[2] = 0
    return Embeddings(
        IDS,
        vectors,
        ["ok", "ok", "truncated JPEG", "ok"],
        {"model": "lite", "fingerprint": "abc", "taxonomy": {"classes": ["elliptical"]}},
        {"label": np.array(["elliptical", "spiral", None, "spiral"], dtype=object)},
    )


@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-7), ("float16", 1e-3)])
def test_a_file_gives_back_what_was_written(tmp_path: Path, dtype: str, error: float) -> None:
    before = some_embeddings()
    path = before.write(tmp_path / "embeddings.parquet", dtype=dtype)  # type: ignore[arg-type]
    after = Embeddings.read(path)
    assert after.ids == IDS
    assert after.status == before.status
    assert after.metadata == before.metadata
    assert after.columns["label"].tolist() == ["elliptical", "spiral", None, "spiral"]
    np.testing.assert_allclose(after.vectors, before.vectors, atol=error)
    np.testing.assert_allclose(np.linalg.norm(after.vectors[after.ok], axis=1), 1, atol=1e-6)
    assert after.vectors.dtype == np.float32


def test_other_programs_see_null_where_an_image_was_broken(tmp_path: Path) -> None:
    path = some_embeddings().write(tmp_path / "embeddings.parquet")
    column = pq.read_table(path).column("embedding")
    assert column.is_valid().to_pylist() == [True, True, False, True]
    assert column.type == pa.list_(pa.float32(), 6)


def test_pieces_make_the_same_file_as_a_whole(tmp_path: Path) -> None:
    whole = some_embeddings()
    path = tmp_path / "pieces.parquet"
    with EmbeddingWriter(path, dimension=6, metadata=whole.metadata) as writer:
        for part in (slice(0, 1), slice(1, 4)):
            columns = {"label": whole.columns["label"][part]}
            writer.write(IDS[part], whole.vectors[part], whole.status[part], columns)
            assert not path.exists()
    assert writer.rows == 4
    read = Embeddings.read(path)
    np.testing.assert_array_equal(read.vectors, Embeddings.read(whole.write(tmp_path / "w.parquet")).vectors)
    assert read.columns["label"].tolist() == whole.columns["label"].tolist()
    # Small pieces gather, lest the footer of a large file fill memory.
    assert pq.ParquetFile(path).num_row_groups == 1


def test_a_stopped_run_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = some_embeddings().write(tmp_path / "embeddings.parquet")
    before = path.read_bytes()

    def interrupted() -> None:
        with EmbeddingWriter(path, dimension=6, metadata={}) as writer:
            writer.write(["x"], np.eye(6)[:1])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_no_galaxies_make_an_empty_file(tmp_path: Path) -> None:
    with EmbeddingWriter(tmp_path / "none.parquet", dimension=3, metadata={"model": "m"}):
        pass
    read = Embeddings.read(tmp_path / "none.parquet")
    assert (len(read), read.dimension, read.metadata) == (0, 3, {"model": "m"})


def test_an_unwritable_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*absent.*choose another path"):
        some_embeddings().write(tmp_path / "absent" / "embeddings.parquet")


def test_vectors_that_were_never_normalised_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="unit vectors"),
        EmbeddingWriter(tmp_path / "e.parquet", dimension=2, metadata={}) as writer,
    ):
        writer.write(["a"], np.array([[3.0, 4.0]]))
    with pytest.raises(ValueError, match="do not fit together"):
        Embeddings(["a"], np.zeros((2, 3)), ["ok", "ok"], {})


def wrong_files(folder: Path) -> dict[str, Path]:
    good = some_embeddings().write(folder / "good.parquet")
    paths = {name: folder / f"{name}.parquet" for name in ("text", "cut", "catalog", "foreign", "list", "long", "v9")}
    paths["text"].write_text("id_str,ra\n1,2\n")
    paths["cut"].write_bytes(good.read_bytes()[:-40])
    table = pq.read_table(good)
    pq.write_table(table.drop(["embedding"]), paths["catalog"])
    pq.write_table(table.replace_schema_metadata({}), paths["foreign"])
    lists = pa.array([[1.0]] * 4, pa.list_(pa.float32()))
    pq.write_table(
        table.set_column(1, "embedding", lists).replace_schema_metadata(table.schema.metadata), paths["list"]
    )
    long = pa.array([[2.0] * 6] * 4, pa.list_(pa.float32(), 6))
    pq.write_table(table.set_column(1, "embedding", long).replace_schema_metadata(table.schema.metadata), paths["long"])
    pq.write_table(table.replace_schema_metadata({"galaxalign": '{"format": 9}'}), paths["v9"])
    return paths | {"missing": folder / "missing.parquet"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "no embeddings file at"),
        ("text", "cannot be read as Parquet"),
        ("cut", "cannot be read as Parquet"),
        ("catalog", "has no column embedding"),
        ("foreign", "does not say which model made it"),
        ("list", "not a fixed-size list"),
        ("long", "3 embeddings that are not unit vectors, first in row 0"),
        ("v9", "embeddings format 9, this version reads 1"),
    ],
)
def test_a_wrong_file_gets_one_sentence(tmp_path: Path, name: str, message: str) -> None:
    path = wrong_files(tmp_path)[name]
    with pytest.raises(InputError, match=message) as caught:
        Embeddings.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_vector_of_an_id() -> None:
    embeddings = some_embeddings()
    np.testing.assert_array_equal(embeddings.vector("1237648720693690487"), embeddings.vectors[1])
    with pytest.raises(InputError, match=r"no galaxy has the id '42'.*such as 587722981742084144"):
        embeddings.vector("42")
    with pytest.raises(InputError, match="truncated JPEG"):
        embeddings.vector("0007")
