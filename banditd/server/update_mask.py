"""Field masks of updates."""

from collections.abc import Iterable, Mapping

from banditd.errors import InvalidArgumentError, Reason


def masked_fields(paths: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the domain's names of the fields in a mask.

    Args:
        paths: Of the mask.
        names: Fields that can be changed, and the domain's names for them.

    Raises:
        InvalidArgumentError: The mask is empty or names another field.
    """
    fields = []
    for path in paths:
        if path not in names:
            shown = repr(path) if len(path) <= 64 and path.isprintable() else "another field"
            raise InvalidArgumentError(
                Reason.BAD_UPDATE_MASK, "update_mask", "fields among " + ", ".join(sorted(names)), shown
            )
        fields.append(names[path])
    if not fields:
        raise InvalidArgumentError(Reason.BAD_UPDATE_MASK, "update_mask", "at least one field", "none")
    return tuple(dict.fromkeys(fields))
