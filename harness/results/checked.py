"""The base of everything stored: immutable, and checked when it is made, not first when somebody reads it."""

from __future__ import annotations

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0)]
"""A share of something; of CPU in cores, so it may be above 1."""


class Checked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record whose fields are checked against their types whenever one is made, by code or from a file.

    Raises msgspec.ValidationError, a ValueError, naming the field.
    """

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(type(self)):
            try:
                msgspec.convert(getattr(self, field.name), field.type)
            except msgspec.ValidationError as error:
                raise msgspec.ValidationError(f"{type(self).__name__}.{field.name}: {error}") from error
