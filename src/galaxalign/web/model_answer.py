"""What the model says of one galaxy: classes, expected votes, a caption, the nearest symbols."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

from galaxalign.data.images import prepare
from galaxalign.inference import encode_array
from galaxalign.models import Model
from galaxalign.morphology import class_caption, vote_caption
from galaxalign.web.schemas import ClassScore, Reading, SymbolScore, VoteAnswer, VoteQuestion

_SYMBOLS = 5


class Reader:
    """Reads vectors with the classifier, the vote head and the symbols of a model.

    Parameters
    ----------
    model : Model
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._lock = threading.Lock()  # one picture at a time through the tower: the others would only slow it down

    @property
    def classes(self) -> dict[str, str]:
        """Name and title of each class."""
        return {one.name: one.title for one in self._model.taxonomy.classes}

    def vector_of(self, png: bytes) -> np.ndarray:
        """Return the unit vector (D,) of a picture."""
        encoder = self._model.encoder
        with tempfile.TemporaryDirectory(prefix="galaxalign-") as folder:
            path = Path(folder) / "upload.png"
            path.write_bytes(png)
            picture = prepare(path, encoder.preprocessing)
        with self._lock:
            return np.asarray(encode_array(encoder, picture[None], mirror=not self._model.taxonomy.handed)[0])

    def read(self, vector: np.ndarray) -> Reading:
        """Return all that the model says of a unit vector (D,)."""
        questions, caption = self._votes(vector)
        classes = self._classes(vector)
        if not caption and classes:
            best = next(one for one in self._model.taxonomy.classes if one.name == classes[0].name)
            caption = f"{class_caption(best)}."
        return Reading(classes=classes, votes=questions, caption=caption, symbols=self._nearest_symbols(vector))

    def _classes(self, vector: np.ndarray) -> list[ClassScore]:
        probabilities = self._model.classifier.predict_proba(vector[None])[0]
        titles = self.classes
        found = [
            ClassScore(name=name, title=titles.get(name, name), probability=float(probability))
            for name, probability in zip(self._model.classifier.class_names, probabilities, strict=True)
        ]
        return sorted(found, key=lambda one: -one.probability)

    def _votes(self, vector: np.ndarray) -> tuple[list[VoteQuestion], str]:
        """Return the expected votes of each question, and their sentence; nothing without a head for votes."""
        head = self._model.votes
        if head is None:
            return [], ""
        fractions = head.fractions(vector[None])
        asked = head.tree.asked(fractions)[0]
        questions = []
        for index, (question, part) in enumerate(zip(head.tree.questions, head.tree.slices, strict=True)):
            answers = [
                VoteAnswer(name=answer.name, fraction=float(fraction))
                for answer, fraction in zip(question.answers, fractions[0, part], strict=True)
            ]
            questions.append(VoteQuestion(name=question.name, asked=float(asked[index]), answers=answers))
        # As if forty had looked: the heads are fitted to galaxies with about as many.
        return questions, vote_caption(head.tree, fractions[0], 40 * asked)

    def _nearest_symbols(self, vector: np.ndarray) -> list[SymbolScore]:
        scores: list[SymbolScore] = []
        tasks: list[Any] = [self._model.task(), *self._model.also.values()]
        for task in tasks:
            if task is None or task.symbols is None:
                continue
            for one, cosine in zip(task.taxonomy.classes, task.symbols @ vector, strict=True):
                scores.append(
                    SymbolScore(name=one.name, title=one.title, taxonomy=task.taxonomy.name, cosine=float(cosine))
                )
        return sorted(scores, key=lambda one: -one.cosine)[:_SYMBOLS]
