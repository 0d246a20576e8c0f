"""Embedding texts: the request to one model, the vectors of one reply, and the result of a call."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field, PlainSerializer, SkipValidation

from .media import Made
from .message import Value
from .usage import Usage

InputType: TypeAlias = Literal["query", "document", "classification", "clustering", "similarity"]
"""What the texts are for; vendors that care embed a question and its answers differently."""

if TYPE_CHECKING:
    Vector: TypeAlias = "array[Any]"
else:  # nothing that pydantic has a schema for, and not subscriptable before Python 3.12
    Vector = Any
"""Numbers as they came: doubles of JSON, floats of base64, or whole numbers of int8: eight, four or one byte each."""


class EmbedRequest(Value):
    """Texts of one request, within the vendor's limits. What is None is not sent; `options` goes into the body last."""

    texts: tuple[str, ...]
    dimensions: Annotated[int | None, Field(ge=1, le=65_536)] = None
    """Numbers of a vector; the longest that vendors give have 12,288."""
    input_type: InputType | None = None
    truncate: bool | None = None
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(slots=True)
class Vectors:
    """What one reply holds, in the order of the texts."""

    vectors: list[Vector]
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    id: str | None = None


class Embedded(Made):
    """Vectors in the order of the texts, all of one length and of one model."""

    embeddings: Annotated[
        list[Vector], SkipValidation, PlainSerializer(lambda vectors: [vector.tolist() for vector in vectors])
    ] = Field(repr=False)
    """An array of numbers for each text."""
    count: int
    """How many vectors."""
    dimensions: int
    """Numbers of each."""

    def lean(self) -> dict[str, Any]:
        """Without the numbers."""
        return Made.lean(self.model_copy(update={"embeddings": []}))


def numbers(values: Any, code: Literal["d", "f", "b"] = "d") -> Vector:
    """A vector of JSON numbers or of packed bytes. Raises TypeError for anything else, ValueError for no numbers."""
    vector = array(code, values)
    if not vector:
        raise ValueError("a vector without numbers")
    return vector
