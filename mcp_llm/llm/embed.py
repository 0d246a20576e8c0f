"""Embedding texts, as every surface offers it: any number of them, in as many requests as the vendor's limits need.

All vectors of a call come from one model, so there is no falling back to another. What was paid for is not asked for
twice: only the request that failed is tried again, and when it stays failed, the vectors that came are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Unpack

import anyio
import anyio.to_thread
from pydantic import ValidationError
from pydantic_core import to_json

from mcp_llm.errors import BudgetExceeded, Error, Garbled, InvalidInput, ProviderError, TooLarge
from mcp_llm.types.embed import Embedded, EmbedRequest
from mcp_llm.types.text import unbroken
from mcp_llm.types.usage import Usage

from . import bound, kept_vectors
from .doing import doing, unusable
from .exchange import blame
from .operation import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcp_llm.types.embed import InputType, Vector, Vectors
    from mcp_llm.types.media import File

    from .doing import Call, Doing
    from .operation import Called
    from .service import Service

MOST: Final = 100_000
"""Texts of one call."""
FILE: Final = 20 * 1024 * 1024
"""Bytes of one file of vectors, about."""
AT_ONCE: Final = 4
"""Requests under way together."""
_FRAME: Final = 8
"""Tokens that a vendor puts around a text, at most."""


def _counted(request: EmbedRequest) -> Usage:
    return Usage(input=sum(len(text) for text in request.texts) // 4 + len(request.texts), output=0)


def _worst(request: EmbedRequest) -> Usage:
    return Usage(input=sum(bound.text(text) + _FRAME for text in request.texts), output=0)


EMBED: Final[Operation[EmbedRequest, Vectors]] = Operation(
    "embed", counted=_counted, worst=_worst, soft=frozenset({"input_type", "truncate"})
)


async def embed(  # noqa: D417 - whoever calls the public form gives no `service`
    service: Service,
    input: str | Sequence[str],
    *,
    dimensions: int | None = None,
    input_type: InputType | None = None,
    truncate: bool | None = None,
    continue_from: str | None = None,
    keep: bool = False,
    **call: Unpack[Call],
) -> Embedded:
    """Vectors of texts, in their order: `.embeddings` are arrays of numbers, all of one length.

    Args:
        input: One text or several.
        dimensions: How long the vectors shall be, where the model leaves the choice.
        input_type: What they are for: `query`, `document`, `classification`, `clustering` or `similarity`.
        truncate: False refuses texts that are too long for the model instead of cutting them.
        continue_from: What the error of a call with the same arguments named, when it failed on the way.
        keep: Write the vectors to a file of JSON, too.
        call: `model`, `context`, `budget_usd` (dollars), `timeout_s` (seconds), `options` (fields of the provider's own
            request body), as in `agenerate_result`.

    Raises:
        Error: One of `mcp_llm.errors`.
    """
    try:
        request = EmbedRequest(
            texts=_texts(input),
            dimensions=dimensions,
            input_type=input_type,
            truncate=truncate,
            options=call.get("options") or {},
        )
    except ValidationError as exc:
        raise unusable(exc) from None
    async with doing(service, EMBED.name, call) as this:
        work = _Work(this, request)
        if continue_from is not None:
            work.vectors = await kept_vectors.load(service, continue_from, work.key, this.job.principal)
        await work.do()
        ordered = [work.vectors[index] for index in range(len(request.texts))]
        many, size = len(ordered), len(ordered[0])
        made = Embedded(
            response=f"{many:,} vector{'s' if many > 1 else ''} of {size:,} dimensions",
            embeddings=ordered,
            count=many,
            dimensions=size,
            files=await _files(this, ordered) if keep else (),
            **this.fields(work.calls),
        )
        this.finish(made)
        return made


@dataclass(slots=True)
class _Work:
    """The requests of one call, and what has come of them."""

    this: Doing
    request: EmbedRequest
    vectors: dict[int, Vector] = field(default_factory=dict)
    calls: list[Called[EmbedRequest, Vectors]] = field(default_factory=list)
    failed: Error | None = None

    @property
    def key(self) -> str:
        """What has to be the same for vectors to be worth keeping."""
        return f"{self.this.plan.targets[0].name} {self.request.model_dump_json()}"

    async def do(self) -> None:
        """All of it, some at once. After the first failure nothing new is begun; what is under way is awaited."""
        self.this.plan.targets = self.this.plan.targets[:1]
        todo = _batches(self.request.texts, self.vectors, self.this.plan.targets[0].quirks)
        slots = anyio.Semaphore(AT_ONCE)
        async with anyio.create_task_group() as tasks:
            for indexes in todo:
                await slots.acquire()
                if self.failed is not None:
                    slots.release()
                    break
                tasks.start_soon(self._one, indexes, slots)
        if self.failed is not None:
            raise await self._kept(self.failed)
        if len({len(vector) for vector in self.vectors.values()}) > 1:
            raise ProviderError(
                "the vectors of one call have different lengths", provider=self.this.plan.targets[0].provider_id
            )

    async def _one(self, indexes: list[int], slots: anyio.Semaphore) -> None:
        this, texts = self.this, self.request.texts
        request = self.request.model_copy(update={"texts": tuple(texts[index] for index in indexes)})
        try:
            called = await this.service.llm.call(EMBED, request, this.plan, this.part())
            self.calls.append(called)
            if (came := len(called.given.vectors)) != len(indexes):  # code of somebody's own is checked by no wire
                raise blame(Garbled(f"{came:,} vectors came for {len(indexes):,} texts"), called.begun.target)
            self.vectors.update(zip(indexes, called.given.vectors, strict=True))
            this.progress.tell(f"{len(self.vectors):,} of {len(texts):,}")
        except Error as exc:
            self.failed = self.failed or exc
        finally:
            slots.release()

    async def _kept(self, error: Error) -> Error:
        """The error; where vectors had come before it, it says where they are."""
        if self.vectors and self.calls and isinstance(error, ProviderError | BudgetExceeded):
            sha256 = await kept_vectors.save(self.this.service, self.vectors, self.key, self.this.job.principal)
            said = error.message if isinstance(error, ProviderError) else str(error)
            words = (
                f"{said.rstrip('.')}. {len(self.vectors):,} of {len(self.request.texts):,} vectors had come and are "
                f"kept: the same call with continue_from={sha256!r} asks only for the others"
            )
            if isinstance(error, ProviderError):
                error.message = words
            else:
                error.args = (words,)
        return error


async def _files(this: Doing, vectors: list[Vector]) -> tuple[File, ...]:
    """The vectors as JSON, in files that a host can read whole; `first` is the index of a file's first one."""
    each = len(to_json(vectors[0].tolist())) * 5 // 4  # some are written longer than the first
    size = max(1, FILE // each)
    made: list[File] = []
    for start in range(0, len(vectors), size):
        some = vectors[start : start + size]
        data = await anyio.to_thread.run_sync(_json, some, start)
        name = "embeddings.json" if len(vectors) <= size else f"embeddings-{start // size + 1}.json"
        made.append(await this.file(data, "application/json", name))
    # What is on disk need not be kept in memory as text, too.
    return tuple(one.model_copy(update={"data": b""}) for one in made)


def _json(vectors: list[Vector], first: int) -> bytes:
    return to_json({"first": first, "embeddings": [vector.tolist() for vector in vectors]})


def _texts(given: str | Sequence[str]) -> tuple[str, ...]:
    texts: tuple[Any, ...] = (given,) if isinstance(given, str) else tuple(given)
    if not texts:
        raise InvalidInput("there is nothing to embed: give at least one text")
    if len(texts) > MOST:
        raise TooLarge(f"{len(texts):,} texts are too many for one call; give at most {MOST:,} at a time")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInput(f"text {index} is a {type(text).__name__}; only text can be embedded")
        if not text.strip():
            raise InvalidInput(f"text {index} is empty; leave it out, there is no meaning in it to embed")
    return tuple(unbroken(text) for text in texts)


def _batches(texts: Sequence[str], done: dict[int, Vector], quirks: Any) -> Iterator[list[int]]:
    """Indexes of the texts that go into one request each, in order, within the vendor's limits."""
    most = getattr(quirks, "max_inputs", 1000)
    characters = getattr(quirks, "max_characters", None)
    batch: list[int] = []
    size = 0
    for index, text in enumerate(texts):
        if index in done:
            continue
        if batch and (len(batch) >= most or (characters is not None and size + len(text) > characters)):
            yield batch
            batch, size = [], 0
        batch.append(index)
        size += len(text)
    if batch:
        yield batch
