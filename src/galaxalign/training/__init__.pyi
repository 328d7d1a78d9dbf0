from .batch import (
    TrainingData as TrainingData,
    drawn_per_epoch as drawn_per_epoch,
)
from .chooser import (
    Chooser as Chooser,
    by_words as by_words,
    symbol_vectors as symbol_vectors,
)
from .job import (
    CHECKPOINT as CHECKPOINT,
    Job as Job,
    check_leaks as check_leaks,
    choose_rows as choose_rows,
    divide as divide,
    look_as_stores as look_as_stores,
    open_job as open_job,
    prepare as prepare,
    save as save,
    saved_settings as saved_settings,
    split_fingerprint as split_fingerprint,
    train_tower as train_tower,
)
from .loop import (
    fit as fit,
)
from .model_card import (
    training_card as training_card,
    transfer_card as transfer_card,
)
from .provenance import (
    provenance as provenance,
)
from .recipe import (
    Recipe as Recipe,
    load_recipe as load_recipe,
    recipe_names as recipe_names,
)
from .recipe_check import (
    check_recipe as check_recipe,
)
from .sources import (
    Source as Source,
    catalog_labels as catalog_labels,
    open_source as open_source,
    open_sources as open_sources,
    prepare_source as prepare_source,
    unlabelled_source as unlabelled_source,
)
from .trained_on import (
    read_trained_on as read_trained_on,
    seen_rows as seen_rows,
    write_trained_on as write_trained_on,
)
from .transfer_job import (
    METHODS as METHODS,
    FineTuning as FineTuning,
    mixing_share as mixing_share,
    transfer_recipe as transfer_recipe,
)
