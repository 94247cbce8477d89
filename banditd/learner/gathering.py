"""Gathering: the lessons of a rebuild, learnt many at a time."""

from typing import Final

from banditd.domain.context import Context
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson
from banditd.features.encode import encode_rows
from banditd.features.spec import FeatureSpec
from banditd.policies.base import GatheringBelief

# More are no faster, and take memory.
_LESSONS_MAX: Final = 1024


class Gathering:
    """Lessons that a belief has yet to learn; it is as it should be after `flush`. The writer's thread only.

    Args:
        belief: Who learns.
        features: How contexts are encoded.
    """

    def __init__(self, belief: GatheringBelief, features: FeatureSpec) -> None:
        self._belief = belief
        self._features = features
        self._contexts: list[Context] = []
        self._models: list[ModelSpec] = []
        self._lessons: list[Lesson] = []
        # Index of each lesson's context.
        self._of_context: list[int] = []

    def add(self, model: ModelSpec, context: Context, lesson: Lesson) -> None:
        """Take in the next lesson."""
        # An example teaches several models of one prompt.
        if not self._contexts or self._contexts[-1] is not context:
            self._contexts.append(context)
        self._models.append(model)
        self._lessons.append(lesson)
        self._of_context.append(len(self._contexts) - 1)
        if len(self._lessons) == _LESSONS_MAX:
            self.flush()

    def flush(self) -> None:
        """Have everything learnt."""
        if not self._lessons:
            return
        rows = encode_rows(self._features, self._contexts)
        self._belief.learn_rows(self._models, rows[self._of_context], self._lessons)
        self._contexts, self._models, self._lessons, self._of_context = [], [], [], []
