from .audit import (
    Audit as Audit,
    audit as audit,
)
from .benchmark import (
    benchmark as benchmark,
)
from .classify import (
    classify as classify,
)
from .convert import (
    convert as convert,
)
from .data_sets import (
    data_sets as data_sets,
)
from .demo import (
    demo as demo,
)
from .embed import (
    embed as embed,
)
from .evaluate import (
    evaluate as evaluate,
)
from .fetch import (
    fetch as fetch,
)
from .fit_votes import (
    fit_votes as fit_votes,
)
from .index import (
    index as index,
)
from .prepare import (
    prepare as prepare,
)
from .project import (
    project as project,
)
from .search import (
    search as search,
)
from .serve import (
    explore as explore,
    serve as serve,
)
from .simulate import (
    simulate as simulate,
)
from .split import (
    split as split,
)
from .symbols import (
    symbols as symbols,
)
from .train import (
    train as train,
)
from .transfer import (
    transfer as transfer,
)
