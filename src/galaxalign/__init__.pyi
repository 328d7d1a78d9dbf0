from .data.catalogs import (
    read_catalog as read_catalog,
    sky_pairs as sky_pairs,
)
from .data.splits import (
    read_split as read_split,
)
from .errors import (
    InputError as InputError,
)
from .gallery import (
    Cone as Cone,
    Embeddings as Embeddings,
    Gallery as Gallery,
    Part as Part,
    Query as Query,
    Result as Result,
    Results as Results,
    open_gallery as open_gallery,
)
from .models import (
    load_encoder as load_encoder,
    load_model as load_model,
)
from .morphology import (
    Morphology as Morphology,
    Taxonomy as Taxonomy,
    load_taxonomy as load_taxonomy,
    taxonomy_names as taxonomy_names,
)
from .training import (
    load_recipe as load_recipe,
    recipe_names as recipe_names,
)
from .verbs import (
    audit as audit,
    benchmark as benchmark,
    classify as classify,
    convert as convert,
    data_sets as data_sets,
    demo as demo,
    embed as embed,
    evaluate as evaluate,
    explore as explore,
    fetch as fetch,
    fit_votes as fit_votes,
    index as index,
    prepare as prepare,
    project as project,
    search as search,
    serve as serve,
    simulate as simulate,
    split as split,
    symbols as symbols,
    train as train,
    transfer as transfer,
)

__version__: str
