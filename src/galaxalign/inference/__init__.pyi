from .pipeline import (
    encode_array as encode_array,
    encode_catalog as encode_catalog,
    encode_whole as encode_whole,
    prompt_prototypes as prompt_prototypes,
    symbol_prototypes as symbol_prototypes,
)
