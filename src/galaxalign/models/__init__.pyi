from .base import (
    Encoder as Encoder,
    Pixels as Pixels,
    eight_views as eight_views,
    to_tensor as to_tensor,
)
from .by_name import (
    chain_for_store as chain_for_store,
    default_device as default_device,
    load_encoder as load_encoder,
)
from .classifier_choice import (
    ClassVectors as ClassVectors,
    compare_classifiers as compare_classifiers,
)
from .classifiers import (
    ClassifierChoice as ClassifierChoice,
    prototypes as prototypes,
    zero_shot as zero_shot,
)
from .clip import (
    ClipEncoder as ClipEncoder,
)
from .cpu import (
    bf16_is_fast as bf16_is_fast,
)
from .model_folder import (
    BOX as BOX,
    Model as Model,
    Task as Task,
    load_model as load_model,
    model_folder as model_folder,
    model_name as model_name,
    save_model as save_model,
    saved_preprocessing as saved_preprocessing,
    starting_folder as starting_folder,
)
from .vision import (
    VisionEncoder as VisionEncoder,
)
from .vote_head import (
    VoteHead as VoteHead,
    fit_vote_head as fit_vote_head,
    vote_columns as vote_columns,
    zero_shot_votes as zero_shot_votes,
)
from .vote_likelihood import (
    concentrations as concentrations,
    constant_outputs as constant_outputs,
    dirichlet_multinomial_loss as dirichlet_multinomial_loss,
    question_loss as question_loss,
    vote_log_likelihood as vote_log_likelihood,
)
