"""A server on this machine that stands in for the outside world, and the handle to it."""

from .handle import PracticeServer, PracticeServerError, ProviderError, RealProvider, practice_server
from .settings import Fault, Settings

__all__ = [
    "Fault",
    "PracticeServer",
    "PracticeServerError",
    "ProviderError",
    "RealProvider",
    "Settings",
    "practice_server",
]
