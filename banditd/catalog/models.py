"""The catalogue: an immutable table of models."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Final

from banditd.domain.model import ModelSpec

# A decision stores its candidates as uint16 slots; slots are never used again.
SLOT_MAX: Final = 2**16 - 1
MODELS_MAX: Final = 256


@dataclass(frozen=True)
class Catalog:
    """All models, in order of creation.

    Attributes:
        models: The models.
        names: Names by slot, those of removed models included.
    """

    models: tuple[ModelSpec, ...] = ()
    names: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[ModelSpec]:
        return iter(self.models)

    def __len__(self) -> int:
        return len(self.models)

    @cached_property
    def by_id(self) -> Mapping[str, ModelSpec]:
        """Models by their name."""
        return MappingProxyType({model.model_id: model for model in self.models})

    @cached_property
    def by_slot(self) -> Mapping[int, ModelSpec]:
        """Models by their slot."""
        return MappingProxyType({model.slot: model for model in self.models})

    def get(self, model_id: str) -> ModelSpec | None:
        """Return the model of that name, or None."""
        return self.by_id.get(model_id)

    def with_model(self, model: ModelSpec) -> "Catalog":
        """Return the catalogue with *model* added, or put in the place of the one of its name."""
        if model.model_id in self.by_id:
            return Catalog(tuple(model if old.slot == model.slot else old for old in self.models), self.names)
        assert model.slot == len(self.names)
        return Catalog((*self.models, model), (*self.names, model.model_id))

    def without_model(self, model_id: str) -> "Catalog":
        """Return the catalogue without the model of that name; its slot stays used."""
        return Catalog(tuple(model for model in self.models if model.model_id != model_id), self.names)
