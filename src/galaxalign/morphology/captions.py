"""Words for galaxies: prompts of a class, a sentence for a Morphology or for graded attributes.

Captions leave out what is unknown or not visible (the arms of an edge-on disc) and hedge what is uncertain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galaxalign.morphology.attribute_values import IN_DISC_PLANE, AttributeValue, read_attributes
from galaxalign.morphology.decision_tree import Answer
from galaxalign.morphology.grammar import join_noun_phrases, sentence, with_article
from galaxalign.morphology.morphology import Morphology
from galaxalign.morphology.taxonomy import GalaxyClass, Taxonomy

_PROMPTS = (
    "A picture of {}",
    "An image of {}",
    "A telescope image of {}",
    "A colour picture of {} from a sky survey",
)

# Shares of attributes that a varied caption mentions; absences are many and carry little information.
_MENTIONED = {"present": 0.75, "absent": 0.3}

# A field is not called absent if the class has one of these.
_IMPLIED_BY = {"disturbance": ("irregularity", "merger")}


def class_caption(galaxy_class: GalaxyClass) -> str:
    """Return "A picture of a/an {class name}", the caption of GalaxAlign (arXiv 2411.19475).

    The readable class name is the first of the class's phrases.
    """
    return _PROMPTS[0].format(with_article(galaxy_class.phrases[0]))


def class_prompts(galaxy_class: GalaxyClass) -> tuple[str, ...]:
    """Return every phrase of a class in every template; the first is `class_caption`."""
    return _prompts(galaxy_class.phrases)


def answer_prompts(answer: Answer) -> tuple[str, ...]:
    """Return every phrase of an answer of a decision tree in every template."""
    return _prompts(answer.phrases)


def _prompts(phrases: Sequence[str]) -> tuple[str, ...]:
    return tuple(template.format(with_article(phrase)) for phrase in phrases for template in _PROMPTS)


def _graded(absent: str, noun: str, *adjectives: str) -> tuple[str, ...]:
    return (absent, *(noun.format(adjective) for adjective in adjectives))


_DEGREES = ("slightly", "moderately", "strongly", "very strongly")
_STRENGTHS = ("weak", "moderately strong", "strong", "very strong")
_RINGS = ("faint", "distinct", "strong", "very strong")
_ARM_STRENGTH = ("", *_STRENGTHS)
_WINDING = ("wide open", "loosely wound", "moderately wound", "tightly wound", "very tightly wound")
_CONCENTRATION = ("diffuse light", *(f"{word} concentrated light" for word in ("weakly", *_DEGREES[1:])))
_BULGE = _graded("no bulge", "a {} bulge", "small", "medium-sized", "large", "dominant")
_NUMBERS = ("no", "one", "two", "three", "four", "five or more")
_GRADES = {
    "bar": ("no bar", "a weak bar", "a bar of moderate length", "a long bar", "a very long bar"),
    "inner_ring": _graded("no inner ring", "a {} inner ring", *_RINGS),
    "outer_ring": _graded("no outer ring", "a {} outer ring", *_RINGS),
    "disturbance": _graded("no distortion", "a {} distorted shape", *_DEGREES),
    "dust": _graded("no dust features", "{} dust features", "weak", "moderate", "strong", "very strong"),
    "flocculence": _graded("no flocculent structure", "a {} flocculent structure", *_DEGREES),
}


def describe(morphology: Morphology) -> str:
    """Return one sentence with the known fields of a Morphology, always the same for the same Morphology."""
    if morphology.form == "artifact":
        return "An image artefact instead of a galaxy."
    smooth, edge_on = morphology.form == "smooth", _is_edge_on(morphology)
    subject = _subject(morphology)
    clauses = [_view(morphology), "" if smooth or edge_on else _arms(morphology), _bulge(morphology)]
    for field, words in _GRADES.items():
        value = getattr(morphology, field)
        if value is None or (field in IN_DISC_PLANE and (smooth or edge_on)):
            continue
        if smooth and field == "flocculence":
            continue
        absent = value < 0.05
        if absent and ((subject.startswith("unbarred ") and field == "bar") or _asserted(morphology, field)):
            continue
        clauses.append(_grade(value, words))
    return sentence(subject, [words for words in clauses if words])


def field_words(field: str, value: Any) -> str:
    """Return the words of `describe` for one graded field, such as "a faint inner ring", or ""."""
    if field in _GRADES:
        return _grade(value, _GRADES[field])
    if field == "bulge":
        return _grade(value, _BULGE)
    if field == "bulge_shape":
        return "no bulge" if value == "none" else f"a {value} bulge"
    return ""


def _subject(morphology: Morphology) -> str:
    """Return the noun phrase for a galaxy."""
    if morphology.merger:
        return "pair of merging galaxies"
    if morphology.form == "smooth":
        ratio = morphology.axis_ratio
        if ratio is None:
            return "smooth galaxy"
        shapes = ("round", "moderately elliptical", "very elongated, cigar-shaped")
        return f"{shapes[sum(ratio < limit for limit in (0.85, 0.45))]} smooth galaxy"
    if (morphology.irregularity or 0) >= 0.5:
        return "irregular galaxy"
    if _is_edge_on(morphology):
        return "disc galaxy"
    if _has_arms(morphology):
        bar = morphology.bar
        kind = "" if bar is None else "barred " if bar >= 0.5 else "unbarred " if bar < 0.05 else ""
        return f"{kind}spiral galaxy"
    return "disc galaxy" if morphology.form == "featured" else "galaxy"


def _view(morphology: Morphology) -> str:
    """Return the inclination of a disc in words, "" if unknown."""
    if _is_edge_on(morphology):
        return "seen edge-on"
    if morphology.axis_ratio is None or morphology.form != "featured" or morphology.merger:
        return ""
    views = ("face-on", "at a low inclination", "at a moderate inclination", "at a high inclination")
    return "seen " + views[sum(morphology.axis_ratio < limit for limit in (0.83, 0.65, 0.45))]


def _arms(morphology: Morphology) -> str:
    """Return the words on the spiral arms, "" if unknown."""
    if morphology.arms == 0 or (morphology.arm_strength is not None and morphology.arm_strength < 0.05):
        return "no spiral arms"
    if not _has_arms(morphology):
        return ""
    adjectives = []
    if morphology.arm_strength is not None:
        adjectives.append(_ARM_STRENGTH[max(1, round(4 * morphology.arm_strength))])
    if morphology.winding is not None:
        adjectives.append(_grade(morphology.winding, _WINDING))
    if morphology.handedness is not None:
        adjectives.append(morphology.handedness)
    number = "" if morphology.arms is None else _NUMBERS[morphology.arms]
    noun = "spiral arm" if morphology.arms == 1 else "spiral arms"
    return " ".join(part for part in (number, ", ".join(adjectives), noun) if part)


def _bulge(morphology: Morphology) -> str:
    """Return the words on the bulge of a disc or the concentration of a spheroid, "" if unknown."""
    if morphology.form == "smooth":
        return "" if morphology.bulge is None else _grade(morphology.bulge, _CONCENTRATION)
    shape = morphology.bulge_shape
    if shape == "none" or (morphology.bulge is not None and morphology.bulge < 0.05):
        return "no bulge"
    size = "" if morphology.bulge is None else _grade(morphology.bulge, _BULGE)
    if shape is None:
        return size
    return size.replace(" bulge", f" {shape} bulge") if size else f"a {shape} bulge"


def _has_arms(morphology: Morphology) -> bool:
    if morphology.arms == 0:
        return False
    if morphology.arm_strength is not None:
        return morphology.arm_strength >= 0.05
    return any(value is not None for value in (morphology.arms, morphology.winding, morphology.handedness))


def _is_edge_on(morphology: Morphology) -> bool:
    return bool(morphology.edge_on) and morphology.form != "smooth" and not morphology.merger


def _asserted(morphology: Morphology, field: str) -> bool:
    """Return whether a Morphology clearly has a field, or one that implies it."""
    values = (getattr(morphology, name) for name in (field, *_IMPLIED_BY.get(field, ())))
    return any(isinstance(value, int | float) and value >= 0.3 for value in values)


def _grade(value: float, words: Sequence[str]) -> str:
    """Return the words for a fraction: the first for (almost) nothing, the others by the nearest quarter."""
    step = round(4 * value)
    return words[max(1, step) if words[0].startswith("no ") and value >= 0.05 else step]


def attribute_caption(taxonomy: Taxonomy, row: Mapping[str, Any], rng: np.random.Generator | None = None) -> str:
    """Return a sentence on one galaxy from its graded attributes.

    The bounds decide the hedge: "possibly a weak bar" if the lower bound is zero, "a weak bar" if it is not; "no bar"
    only if the upper bound is zero, "no clear bar" if it is one level above, nothing beyond. Undefined attributes and
    contradictions are left out. Baillard et al. 2011 (A&A 532, A74) define the attributes of EFIGI.

    Parameters
    ----------
    taxonomy : Taxonomy
        Its attributes name the columns.
    row : mapping
        ``<attribute>``, ``<attribute>_inf`` and ``<attribute>_sup`` by column, in any case; negative, NaN
        or absent is undefined. A ``label`` names the galaxy in the sentence; leave it out to hide the class.
    rng : numpy.random.Generator, optional
        Varies what is mentioned, the order and the wording; without it everything is mentioned.

    Raises
    ------
    InputError
        If a value is not a number, or the label is unknown.
    """
    label = next((value for key, value in row.items() if str(key).lower() == "label"), None)
    (index,) = taxonomy.encode([label])
    galaxy_class = None if index < 0 else taxonomy.classes[index]
    base = Morphology() if galaxy_class is None else galaxy_class.morphology
    subjects = _names(galaxy_class)
    subject = subjects[0] if rng is None else subjects[rng.integers(len(subjects))]
    return sentence(subject, _clauses(read_attributes(taxonomy, row, base), base, rng), rng)


def _names(galaxy_class: GalaxyClass | None) -> list[str]:
    """Return the phrases that only name the class; those with details may not fit this galaxy."""
    if galaxy_class is None:
        return ["galaxy"]
    first, *others = galaxy_class.phrases
    return [first, *(phrase for phrase in others if phrase.endswith("galaxy"))]


def _clauses(values: list[AttributeValue], base: Morphology, rng: np.random.Generator | None) -> list[str]:
    """Return the words of the values without contradictions; a dependent joins what it qualifies."""
    present = {field for graded in values if not graded.is_absent for field in graded.fields}
    spoken: dict[str, str] = {}
    for graded in values:
        contradicts = graded.fields & present or any(_asserted(base, field) for field in graded.fields)
        if graded.is_absent and contradicts:
            continue
        share = _MENTIONED["absent" if graded.is_absent else "present"]
        words = graded.words()
        if not words or (rng is not None and rng.random() >= share):
            continue
        attribute = graded.attribute
        key = attribute.needs or attribute.field or attribute.name
        spoken[key] = join_noun_phrases(spoken[key], words) if key in spoken else words
    clauses = list(spoken.values())
    if rng is not None:
        rng.shuffle(clauses)
    return clauses
