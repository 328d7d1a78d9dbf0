from .captions import (
    answer_prompts as answer_prompts,
    attribute_caption as attribute_caption,
    class_caption as class_caption,
    class_prompts as class_prompts,
    describe as describe,
)
from .decision_tree import (
    QUESTION_KEYS as QUESTION_KEYS,
    DecisionTree as DecisionTree,
)
from .fill_in import (
    complete as complete,
    scatter as scatter,
)
from .grammar import (
    flip_caption as flip_caption,
    with_article as with_article,
)
from .morphology import (
    Morphology as Morphology,
)
from .simulate import draw_galaxy as draw_galaxy
from .symbols import (
    DRAWING_SUFFIXES as DRAWING_SUFFIXES,
    load_drawing as load_drawing,
    morphology_bank as morphology_bank,
    render as render,
    render_svg as render_svg,
    symbol_bank as symbol_bank,
    symbol_sheet as symbol_sheet,
)
from .taxonomy import (
    Taxonomy as Taxonomy,
    load_taxonomy as load_taxonomy,
    taxonomy_names as taxonomy_names,
)
from .vote_captions import vote_caption as vote_caption
from .voted_answers import (
    vote_morphology as vote_morphology,
)
from .votes import (
    Votes as Votes,
    has_votes as has_votes,
    read_votes as read_votes,
    vote_labels as vote_labels,
)
