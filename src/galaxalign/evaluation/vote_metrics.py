"""How well expected votes fit those that were given: error of the fractions and likelihood, question by question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from galaxalign.evaluation.bootstrap import percentiles, resampled_sums
from galaxalign.models import vote_log_likelihood
from galaxalign.morphology import DecisionTree, Votes

# Summands of a galaxy and a question.
_ERROR, _VOTES, _LIKELIHOOD, _ASKED, _NOISE = range(5)
_METRICS = ("rmse", "log_likelihood")


@dataclass(frozen=True)
class VoteScores:
    """What every galaxy adds to the figures of every question.

    Parameters
    ----------
    tree : DecisionTree
        With Q questions.
    summands : ndarray, shape (N, Q, 5)
        Votes times mean squared error of the answers' fractions; votes; log likelihood; 1 where anybody was asked;
        votes times the part of the squared error that is due to the small number of volunteers.
    groups : ndarray, shape (N,), optional
        Rows of one value are the same galaxy and are resampled together.
    """

    tree: DecisionTree
    summands: NDArray[np.float64]
    groups: NDArray[Any] | None = None

    def summary(self, *, n: int = 1000, seed: int = 0) -> dict[str, dict[str, Any]]:
        """Return the figures by question asked, and of "all", with 95 % bootstrap intervals over galaxies.

        ``rmse``: of the fractions of the answers, galaxies weighted by how many volunteers were asked. ``noise``: what
        the RMSE of the true fractions would be, because few volunteers are asked (as of a multinomial distribution).
        ``log_likelihood``: mean over the galaxies of which anybody was asked, in nats; of "all" the sum over the
        questions. ``galaxies``, ``votes``: how many.
        """
        sums = self.summands.sum(axis=0)[None]
        values, draws = _values(sums), _values(self._draws(n, seed))
        found = {}
        for index, name in self._asked():
            total = self.summands if name == "all" else self.summands[:, [index]]
            entry: dict[str, Any] = {
                "galaxies": int((total[..., _ASKED].sum(1) > 0).sum()),
                "votes": float(total[..., _VOTES].sum()),
                "noise": float(np.sqrt(total[..., _NOISE].sum() / max(total[..., _VOTES].sum(), 1e-9))),
            }
            for metric in _METRICS:
                entry[metric] = float(values[metric][0, index])
                entry[f"{metric}_ci"] = list(percentiles(draws[metric][:, index]))
            found[name] = entry
        return found

    def minus(self, other: VoteScores, *, n: int = 1000, seed: int = 0) -> dict[str, dict[str, list[float]]]:
        """Return the difference to another, by question and metric, with its 95 % interval on the same draws."""
        if not np.array_equal(self.summands[..., _VOTES], other.summands[..., _VOTES]):
            raise ValueError("the scores are of other votes; score both on the same galaxies")
        points = [_values(scores.summands.sum(axis=0)[None]) for scores in (self, other)]
        draws = [_values(scores._draws(n, seed)) for scores in (self, other)]
        return {
            name: {
                metric: [
                    float(points[0][metric][0, index] - points[1][metric][0, index]),
                    *percentiles(draws[0][metric][:, index] - draws[1][metric][:, index]),
                ]
                for metric in _METRICS
            }
            for index, name in self._asked()
        }

    def _asked(self) -> list[tuple[int, str]]:
        """Return index and name of the questions that anybody was asked, and of all together."""
        names = [question.name for question in self.tree.questions]
        found = [(k, name) for k, name in enumerate(names) if self.summands[:, k, _VOTES].any()]
        return [*found, (len(names), "all")]

    def _draws(self, n: int, seed: int) -> NDArray[np.float64]:
        flat = self.summands.reshape(len(self.summands), -1)
        return resampled_sums(flat, self.groups, n, seed).reshape(n, *self.summands.shape[1:])


def score_votes(
    votes: Votes,
    fractions: NDArray[Any],
    concentrations: NDArray[Any],
    *,
    groups: NDArray[Any] | None = None,
) -> VoteScores:
    """Return how well expected fractions and concentrations, both (N, A), fit the votes on N galaxies."""
    tree, counts = votes.tree, votes.counts().astype(np.float64)
    if np.shape(fractions) != counts.shape:
        raise ValueError(f"fractions of shape {np.shape(fractions)} for votes of shape {counts.shape}")
    alpha = torch.from_numpy(np.asarray(concentrations, np.float64))
    likelihood = vote_log_likelihood(alpha, torch.from_numpy(counts), tree.slices).numpy()
    summands = np.zeros((*likelihood.shape, 5))
    for question, part in enumerate(tree.slices):
        asked = counts[:, part].sum(1)
        seen = np.nan_to_num(votes.fractions[:, part].astype(np.float64))
        summands[:, question, _ERROR] = asked * ((np.asarray(fractions)[:, part] - seen) ** 2).mean(1)
        summands[:, question, _VOTES] = asked
        summands[:, question, _ASKED] = asked > 0
        # f (1 - f) / (n - 1) is the unbiased variance of a fraction; of one volunteer it is unknown, so the fractions
        # of all those galaxies are taken as they are, which makes the noise a little too small.
        summands[:, question, _NOISE] = (seen * (1 - seen)).mean(1) * asked / np.maximum(asked - 1, 1)
    summands[..., _LIKELIHOOD] = likelihood
    return VoteScores(tree, summands, groups)


def _values(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return each metric, shape (n, Q + 1), of sums (n, Q, 5); the last column is of all questions."""
    error, asked, likelihood, galaxies = (sums[..., k] for k in (_ERROR, _VOTES, _LIKELIHOOD, _ASKED))
    # The first question is put to everybody, so its number is that of the galaxies.
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = np.concatenate([error / asked, (error.sum(1) / asked.sum(1))[:, None]], axis=1)
        means = np.concatenate([likelihood / galaxies, (likelihood.sum(1) / galaxies[:, 0])[:, None]], axis=1)
    return {"rmse": np.sqrt(squares), "log_likelihood": means}
