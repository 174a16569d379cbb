"""Record a run, ask it questions, draw it."""

from awaitsee.observe.observation import (
    Block,
    Facts,
    Lag,
    Lane,
    Observation,
    Outcome,
    Step,
    Superstep,
    TaskRecord,
    ThreadCall,
)
from awaitsee.observe.recorder import observe

__all__ = [
    "Block",
    "Facts",
    "Lag",
    "Lane",
    "Observation",
    "Outcome",
    "Step",
    "Superstep",
    "TaskRecord",
    "ThreadCall",
    "observe",
]
