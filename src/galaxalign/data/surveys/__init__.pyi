from .convert import (
    convert_survey as convert_survey,
)
from .hugging_face import (
    convert_hugging_face as convert_hugging_face,
)
from .surveys import (
    MUCH as MUCH,
    Survey as Survey,
    fetch_survey as fetch_survey,
    find_survey as find_survey,
    size_text as size_text,
    surveys as surveys,
)
