from .api import (
    create_app as create_app,
)
from .settings import (
    Settings as Settings,
    is_loopback as is_loopback,
)
