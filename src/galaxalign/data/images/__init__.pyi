from .augmentation import (
    Augmentation as Augmentation,
    augment as augment,
)
from .decode import (
    decode as decode,
    prepare as prepare,
)
from .formats import (
    FLUX_SUFFIXES as FLUX_SUFFIXES,
    IMAGE_SUFFIXES as IMAGE_SUFFIXES,
)
from .frame import (
    frame as frame,
)
from .hdf5 import (
    hdf5_columns as hdf5_columns,
)
from .locations import (
    Location as Location,
    is_remote as is_remote,
    local_copy as local_copy,
    locate as locate,
    located as located,
    pattern_rows as pattern_rows,
    resolved as resolved,
    without_suffix as without_suffix,
)
from .preprocessing import (
    ImageOptions as ImageOptions,
    Preprocessing as Preprocessing,
    parse_bands as parse_bands,
)
from .status import (
    OK as OK,
    is_read as is_read,
)
from .stream import (
    iter_images as iter_images,
    load_images as load_images,
)
from .stretch import (
    Stretch as Stretch,
)
