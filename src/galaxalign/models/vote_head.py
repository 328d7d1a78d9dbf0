"""Embeddings to the fractions of volunteers expected to give each answer: by words, or by a head fitted on votes.

Both are linear in the unit embedding v of a galaxy, outputs = W v + b. A fitted head makes Dirichlet concentrations of
them (`galaxalign.models.vote_likelihood`); words make fractions by a softmax over the answers of each question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from torch import Tensor

from galaxalign.errors import InputError
from galaxalign.models.classifiers import prototypes
from galaxalign.models.vote_likelihood import START, concentrations, dirichlet_multinomial_loss
from galaxalign.morphology import QUESTION_KEYS, DecisionTree, Votes, answer_prompts
from galaxalign.strict_toml import TomlTable

_FITTED, _WORDS = "dirichlet", "prompts"
_SAVED = ("name", "temperature", "settings", "validation", "n_train", "n_validation")
# On 669 galaxies the best on validation data lies in the middle of these.
_PENALTIES = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
_TEMPERATURES = (1e-3, 1e3)
_STEPS, _ROUNDS = 20, 10


@dataclass(frozen=True)
class VoteHead:
    """What says of an embedding how volunteers would answer each question of a tree.

    Parameters
    ----------
    name : {"dirichlet", "prompts"}
        Fitted on votes, or by words alone.
    tree : DecisionTree
        With A answers to Q questions.
    weights : ndarray, shape (A, D), float32
        W of outputs = W v + b.
    bias : ndarray, shape (A,), float32
    temperature : float
        What the outputs are divided by; 1 for a fitted head and for words that were not calibrated.
    settings : dict
        ``penalty`` of the weights, or ``logit_scale`` of the words.
    validation : dict
        Negative log likelihood per galaxy (nats) by penalty.
    n_train, n_validation : int
        Galaxies with votes that it was fitted and chosen on.
    """

    name: str
    tree: DecisionTree
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float = 1.0
    settings: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)
    n_train: int = 0
    n_validation: int = 0

    @property
    def about(self) -> str:
        """How the fractions are made, in a few words."""
        if self.name == _FITTED:
            return f"head fitted on the votes on {self.n_train} galaxies"
        return "words alone, not calibrated" if self.temperature == 1 else "words alone, calibrated"

    def outputs(self, embeddings: NDArray[Any]) -> NDArray[np.float32]:
        """Return W v + b, shape (N, A), of unit embeddings (N, D).

        Raises
        ------
        InputError
            The embeddings are those of another model.
        """
        vectors = np.asarray(embeddings, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.weights.shape[1]:
            raise InputError(
                f"the head for votes takes embeddings of {self.weights.shape[1]} dimensions and was given "
                f"shape {vectors.shape}; use the model it was fitted with"
            )
        return vectors @ self.weights.T + self.bias

    def concentrations(self, embeddings: NDArray[Any]) -> NDArray[np.float32]:
        """Return the Dirichlet concentrations of the answers, shape (N, A), between 1 and 101.

        Raises
        ------
        InputError
            Words alone say nothing of how sure they are.
        """
        if self.name != _FITTED:
            raise InputError("words alone give fractions without a spread; fit a head on votes first")
        return concentrations(torch.from_numpy(self.outputs(embeddings))).numpy()

    def fractions(self, embeddings: NDArray[Any]) -> NDArray[np.float32]:
        """Return the fraction of those asked who are expected to give each answer, shape (N, A).

        They sum to 1 over a question. Every question has them, whether it is asked of this galaxy or not:
        `DecisionTree.asked` tells how many come to it.
        """
        if self.name == _FITTED:
            values = self.concentrations(embeddings)
            parts = [values[:, part] / values[:, part].sum(1, keepdims=True) for part in self.tree.slices]
        else:
            outputs = self.outputs(embeddings) / self.temperature
            parts = [softmax(outputs[:, part], axis=1) for part in self.tree.slices]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the arrays, JSON-able."""
        return {key: getattr(self, key) for key in _SAVED} | {"questions": self.tree.to_list()}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays for a safetensors file."""
        return {"weights": np.ascontiguousarray(self.weights), "bias": np.ascontiguousarray(self.bias)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> VoteHead:
        """Restore what `to_dict` and `arrays` gave.

        Raises
        ------
        InputError
            Something is missing, or the arrays do not fit the questions.
        """
        try:
            questions = TomlTable({"questions": values["questions"]}, "the saved head for votes", ("questions",))
            head = cls(
                tree=DecisionTree.from_tables(questions.tables("questions", QUESTION_KEYS)),
                weights=np.asarray(arrays["weights"], dtype=np.float32),
                bias=np.asarray(arrays["bias"], dtype=np.float32),
                **{key: values[key] for key in _SAVED},
            )
        except KeyError as error:
            raise InputError(
                f"the saved head for votes lacks {error.args[0]!r}; the model folder is damaged, copy it again"
            ) from error
        count = len(head.tree.stems)
        if head.weights.shape[:1] != (count,) or head.bias.shape != (count,):
            raise InputError(
                f"the saved head for votes has {count} answers but arrays of shape {head.weights.shape} and "
                f"{head.bias.shape}; the model folder is damaged, copy it again"
            )
        return head


def fit_vote_head(
    train: tuple[NDArray[Any], Votes],
    validation: tuple[NDArray[Any], Votes],
    *,
    voters: float | None = None,
    penalties: Sequence[float] = _PENALTIES,
) -> VoteHead:
    """Fit a linear head on frozen embeddings by the likelihood of the votes (Walmsley et al. 2022, section 4).

    All galaxies in each step of L-BFGS, from the strongest penalty of the weights to the weakest; the step and the
    penalty with the highest likelihood of the validation votes are kept. Nothing in it is drawn at random. A hidden
    layer of 64 gave no better likelihood on the validation part of Galaxy Zoo 2, so there is none.

    Parameters
    ----------
    train, validation : (ndarray (N, D), Votes)
        Unit embeddings and the votes on the same galaxies; galaxies without votes are left out.
    voters : float, optional
        How many volunteers saw a galaxy where the votes do not say.
    penalties : sequence of float
        Of the squares of the weights on centred embeddings of unit variance, to be tried.

    Raises
    ------
    InputError
        No votes in one of the parts, another tree, or votes that do not say how many volunteers there were.
    """
    tree = train[1].tree
    if validation[1].tree.stems != tree.stems:
        raise InputError("the votes for training and validation are those of two trees; give votes of one")
    vectors, counts = _with_votes(*train, voters, "training")
    others, checks = _with_votes(*validation, voters, "validation")
    centre = vectors.mean(0)
    scale = float((vectors - centre).pow(2).mean().sqrt()) or 1.0
    inputs, seen = (vectors - centre) / scale, (others - centre) / scale
    weights = torch.zeros(counts.shape[1], inputs.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.full((counts.shape[1],), START, dtype=torch.float64, requires_grad=True)

    def loss(x: Tensor, votes: Tensor) -> Tensor:
        return dirichlet_multinomial_loss(concentrations(x @ weights.T + bias), votes, tree.slices).mean()

    best, chosen, kept = float("inf"), 0.0, (weights.detach().clone(), bias.detach().clone())
    compared: dict[str, float] = {}
    for penalty in sorted(penalties, reverse=True):
        optimizer = torch.optim.LBFGS(
            [weights, bias], max_iter=_STEPS, history_size=_STEPS, line_search_fn="strong_wolfe"
        )

        def closure(optimizer: torch.optim.Optimizer = optimizer, penalty: float = penalty) -> Tensor:
            optimizer.zero_grad()
            value = loss(inputs, counts) + penalty * weights.pow(2).sum()
            value.backward()
            return value

        least = float("inf")
        for _ in range(_ROUNDS):
            optimizer.step(closure)
            with torch.no_grad():
                value = float(loss(seen, checks))
            if value >= least:
                break
            least = value
            if value < best:
                best, chosen, kept = value, penalty, (weights.detach().clone(), bias.detach().clone())
        compared[str(penalty)] = least
    slopes = kept[0] / scale
    return VoteHead(
        name=_FITTED,
        tree=tree,
        weights=slopes.numpy().astype(np.float32),
        bias=(kept[1] - slopes @ centre).numpy().astype(np.float32),
        settings={"penalty": chosen},
        validation=compared,
        n_train=len(counts),
        n_validation=len(checks),
    )


def zero_shot_votes(
    tree: DecisionTree, encode_texts: Callable[[Sequence[str]], Tensor], logit_scale: float
) -> VoteHead:
    """Return the head by words alone: of each question a softmax over the prompts of its answers.

    Its fractions are how well the words fit, not what volunteers were seen to say: without votes nothing is calibrated.

    Parameters
    ----------
    tree : DecisionTree
    encode_texts : callable
        Sentences to unit vectors (N, D), as `Encoder.encode_texts`.
    logit_scale : float
        What cosines are multiplied by: the model's learned inverse temperature.
    """
    ensembles = [answer_prompts(answer) for answer in tree.answers]
    vectors = encode_texts([text for prompts in ensembles for text in prompts]).cpu().numpy()
    words = prototypes(np.split(vectors, np.cumsum([len(prompts) for prompts in ensembles])[:-1]))
    return VoteHead(
        name=_WORDS,
        tree=tree,
        weights=(logit_scale * words).astype(np.float32),
        bias=np.zeros(len(words), np.float32),
        settings={"logit_scale": float(logit_scale)},
    )


def calibrate_votes(head: VoteHead, embeddings: NDArray[Any], votes: Votes, *, voters: float | None = None) -> VoteHead:
    """Return words with the one temperature that makes some votes most probable (multinomial likelihood)."""
    outputs = head.outputs(embeddings).astype(np.float64)
    counts = votes.counted(voters)

    def loss(log_temperature: float) -> float:
        scaled = outputs / np.exp(log_temperature)
        parts = [counts[:, part] * log_softmax(scaled[:, part], axis=1) for part in head.tree.slices]
        return -float(sum(part.sum() for part in parts)) / max(float(counts.sum()), 1.0)

    bounds = tuple(np.log(_TEMPERATURES))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return replace(head, temperature=float(np.exp(found.x)), n_validation=int(votes.known.sum()))


def vote_columns(tree: DecisionTree, fractions: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    """Return the columns of a table of expected votes, each of shape (N,).

    By question: ``<question>_asked``, the probability that a volunteer comes to it, and
    ``<question>_<answer>_fraction`` of those asked. No fraction is blanked: Galaxy Zoo DECaLS, too, publishes all of
    them beside the proportion of volunteers asked, and suggests to use a question where that is above 0.5.

    Parameters
    ----------
    tree : DecisionTree
    fractions : ndarray, shape (N, A)
        NaN in the rows of galaxies that could not be read.
    """
    unread = ~np.isfinite(fractions).all(1)
    asked = np.where(unread[:, None], np.nan, tree.asked(fractions)).astype(np.float32)
    columns: dict[str, NDArray[np.float32]] = {}
    for index, (question, part) in enumerate(zip(tree.questions, tree.slices, strict=True)):
        columns[f"{question.name}_asked"] = asked[:, index]
        for stem, values in zip(tree.stems[part], np.asarray(fractions, np.float32)[:, part].T, strict=True):
            columns[f"{stem}_fraction"] = values
    return columns


def _with_votes(embeddings: NDArray[Any], votes: Votes, voters: float | None, part: str) -> tuple[Tensor, Tensor]:
    """Return embeddings and counts of the galaxies that have votes, in double precision."""
    vectors = np.asarray(embeddings, dtype=np.float64)
    if len(vectors) != len(votes):
        raise ValueError(f"{len(vectors)} embeddings for the votes on {len(votes)} galaxies")
    known = np.flatnonzero(votes.known)
    if not known.size:
        raise InputError(f"no galaxy of the {part} part has votes; give a catalogue with votes, or another split")
    counts = votes.take(known).counted(voters)
    return torch.from_numpy(vectors[known]), torch.from_numpy(counts)
