"""A server on this machine that stands in for the outside world, and the handle to it."""

from .handle import PracticeServer, PracticeServerError, ProviderError, RealProvider, practice_server
from .local_model import LocalModel, LocalModelError, local_model
from .settings import Fault, Settings

__all__ = [
    "Fault",
    "LocalModel",
    "LocalModelError",
    "PracticeServer",
    "PracticeServerError",
    "ProviderError",
    "RealProvider",
    "Settings",
    "local_model",
    "practice_server",
]
