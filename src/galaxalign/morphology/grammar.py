"""English grammar of captions: articles, lists, one sentence, and the mirrored sentence."""

from __future__ import annotations

import re

import numpy as np

_OPENINGS = ("{}", "a picture of {}", "an image of {}")

PARTICIPLES = ("seen ", "merging ", "crossed ")
"""Words that begin like this follow the subject without "with"."""

# Words that begin with the sound of a vowel: an unbarred, an S0, an S-shaped; but a unique, a one-armed.
_VOWEL_SOUND = re.compile(r"(?!(?i:uni(?![dmn])|eu|one\b|us[eu])|U\b)[AEIOUaeiou]|[FHLMNRSX](?![A-Za-z])")

_TURN = re.compile(
    r"\b(?:(?P<article>an?)(?P<space>\s+))?(?P<word>(?:(?:anti|counter)-?)?clockwise|[SZ]-shaped)\b",
    re.IGNORECASE,
)


def with_article(phrase: str) -> str:
    """Return "a spiral galaxy" or "an elliptical galaxy"."""
    return f"{'an' if _VOWEL_SOUND.match(phrase) else 'a'} {phrase}"


def join_noun_phrases(words: str, more: str) -> str:
    """Join two noun phrases that end alike: weak spiral arms + open spiral arms = weak, open spiral arms."""
    left, right = words.split(), more.split()
    shared = 0
    while shared < min(len(left), len(right)) - 1 and left[-1 - shared] == right[-1 - shared]:
        shared += 1
    if shared == 0:
        return f"{words} and {more}"
    return f"{' '.join(left[:-shared])}, {' '.join(right[:-shared])} {' '.join(left[-shared:])}"


def sentence(subject: str, clauses: list[str], rng: np.random.Generator | None = None) -> str:
    """Return "A <subject> seen <how>, with <what it has>, but <what it lacks>."."""
    seen = [words for words in clauses if words.removeprefix("possibly ").startswith(PARTICIPLES)]
    lacks = [words for words in clauses if words.startswith("no ")]
    has = [words for words in clauses if words not in seen and words not in lacks]
    opening = _OPENINGS[0] if rng is None else _OPENINGS[rng.integers(len(_OPENINGS))]
    text = opening.format(with_article(subject))
    if seen:
        text += f"{',' if ' that ' in subject else ''} {listed(seen, 'and')}"
    # "Seen at a low inclination that has" would give the inclination a bar.
    verb = ", with" if seen or " that " in subject else " with" if rng is None or rng.random() < 0.6 else " that has"
    if has:
        text += f"{verb} {listed(has, 'and')}"
    if lacks:
        text += f"{', but' if has else verb} {_absences(lacks)}"
    return text[0].upper() + text[1:] + "."


def flip_caption(text: str) -> str:
    """Return the caption of the mirrored image: swaps clockwise and anticlockwise and adapts articles."""

    def flipped(match: re.Match[str]) -> str:
        word = match["word"]
        if word.lower().endswith("-shaped"):
            other = ("Z" if word[0] in "Ss" else "S") + word[1:]
        else:
            other = "anticlockwise" if word.lower() == "clockwise" else "clockwise"
            other = other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other
        if match["article"] is None:
            return other
        article = match["article"][0] + ("n" if with_article(other).startswith("an ") else "")
        return f"{article}{match['space']}{other}"

    return _TURN.sub(flipped, text)


def _absences(lacks: list[str]) -> str:
    """Return "no bar or inner ring and no clear dust features"."""
    clear = [words.removeprefix("no clear ") for words in lacks if words.startswith("no clear ")]
    plain = [words.removeprefix("no ") for words in lacks if not words.startswith("no clear ")]
    groups = [(plain, "no "), (clear, "no clear ")]
    return " and ".join(start + listed(items, "or") for items, start in groups if items)


def listed(items: list[str], conjunction: str) -> str:
    """Return "a, b and c"."""
    return f"{', '.join(items[:-1])} {conjunction} {items[-1]}" if len(items) > 1 else items[0]
