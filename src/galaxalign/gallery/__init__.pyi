from .database import (
    ABOUT as ABOUT,
    EXACT_BELOW as EXACT_BELOW,
    FORMAT as FORMAT,
    GALAXIES as GALAXIES,
    HEALPIX as HEALPIX,
    HEALPIX_ORDER as HEALPIX_ORDER,
    SAMPLE as SAMPLE,
    connect as connect,
    read_about as read_about,
    readable_errors as readable_errors,
    table_names as table_names,
)
from .embeddings import (
    Embeddings as Embeddings,
    EmbeddingWriter as EmbeddingWriter,
    read_metadata as read_metadata,
)
from .encode_query import (
    from_data_url as from_data_url,
)
from .feedback import (
    export_marks as export_marks,
    read_marks as read_marks,
    refine as refine,
)
from .filters import (
    in_cone as in_cone,
    in_moc as in_moc,
    read_moc as read_moc,
    real_positions as real_positions,
)
from .gallery import (
    Gallery as Gallery,
    open_gallery as open_gallery,
)
from .projection import (
    METHODS as METHODS,
    class_styles as class_styles,
    grid_figure as grid_figure,
    map_figure as map_figure,
    project as project,
)
from .query import (
    Cone as Cone,
    Kind as Kind,
    Part as Part,
    Query as Query,
    complaint as complaint,
    read_query as read_query,
)
from .results import (
    Result as Result,
    Results as Results,
)
