"""Making and changing pictures, as every surface offers it: what came is kept as files before anybody is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Unpack

import anyio
from pydantic import ValidationError

from mcp_llm.errors import Error, Garbled, InvalidInput
from mcp_llm.files import sniff
from mcp_llm.store.artifacts import LOCAL
from mcp_llm.types.image import MIMES, ImageRequest, Painted
from mcp_llm.types.message import Media
from mcp_llm.types.usage import Usage

from . import urls
from .doing import doing, unusable
from .exchange import blame
from .operation import Operation
from .watching import Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mcp_llm.types.image import Background, Format, Picture, Pictures, Quality
    from mcp_llm.types.media import File

    from .doing import Call, Doing
    from .operation import Called
    from .service import Service

MOST: Final = 10
"""Pictures of one call."""
LONGEST: Final = 32_000
"""Characters of a prompt, the largest that a vendor takes."""
AT_ONCE: Final = 4


def _counted(request: ImageRequest) -> Usage:
    return Usage(images=request.n)


IMAGE: Final[Operation[ImageRequest, Pictures]] = Operation(
    "image",
    counted=_counted,
    worst=_counted,
    soft=frozenset({"quality", "background", "format", "partial"}),
    patience_s=300.0,
)


async def generate_image(  # noqa: D417 - whoever calls the public form gives no `service`
    service: Service,
    prompt: str,
    *,
    images: Sequence[Any] = (),
    mask: Any = None,
    n: int = 1,
    size: str | None = None,
    quality: Quality | None = None,
    background: Background | None = None,
    format: Format | None = None,
    partial: int | None = None,
    on_partial: Callable[[bytes], Awaitable[None]] | None = None,
    **call: Unpack[Call],
) -> Painted:
    """Pictures of the prompt, in `.files`: each has its `data` (bytes), `mime` and the `path` where it is kept.

    Args:
        prompt: What is to be seen.
        images: Pictures to change or combine: paths, URLs, data URIs, bytes, picture objects.
        mask: A picture whose transparent places say where.
        n: How many, 1 to 10.
        size: `1024x1024`, `16:9`, `2K` or `auto`.
        quality: `low`, `medium`, `high`, `xhigh`, `max` or `auto`, as far as the model knows it.
        background: `transparent`, `opaque` or `auto`.
        format: `png`, `jpeg`, `webp`, `gif` or `svg`.
        partial: How many unfinished states are wanted on the way, 1 to 3.
        on_partial: Awaited with the bytes of each of them.
        call: `model`, `context`, `budget_usd` (dollars), `timeout_s` (seconds) and `options`, as in `agenerate_result`.

    Raises:
        Error: One of `mcp_llm.errors`.
    """
    if not prompt.strip():
        raise InvalidInput("`prompt` is empty: say what the picture shall show")
    if len(prompt) > LONGEST:
        raise InvalidInput(f"the prompt has {len(prompt):,} characters; at most {LONGEST:,} are taken")
    if not 1 <= n <= MOST:
        raise InvalidInput(f"`n` is {n}; one call makes 1 to {MOST} pictures")
    principal = call.get("principal", LOCAL)
    try:
        request = ImageRequest(
            prompt=prompt,
            images=await _pictures(service, images, "images", principal),
            mask=next(iter(await _pictures(service, [] if mask is None else [mask], "mask", principal)), None),
            n=n,
            size=size,
            quality=quality,
            background=background,
            format=format,
            partial=partial,
            options=call.get("options") or {},
        )
    except ValidationError as exc:
        raise unusable(exc) from None
    async with doing(service, IMAGE.name, call) as this:
        calls = await _calls(this, request, on_partial)
        files: list[File] = []
        notes: list[str] = []
        bad: Error | None = None
        for one in calls:
            for picture in one.given.pictures:
                try:
                    data = await urls.data(service, picture.data, picture.url, one.begun.target, IMAGE.cap)
                except Error as exc:  # it is paid for: where it lies is more than nothing
                    notes.append(f"a picture could not be fetched ({exc}); for a while it is at {picture.url}")
                    continue
                try:
                    files.append(await this.file(data, _mime(data, request.format), _name(prompt, len(files), data)))
                except Garbled as exc:  # the others are paid for
                    bad = blame(exc, one.begun.target)
                    notes.append(f"a picture could not be used: {bad}")
        if bad is not None and not files:
            raise bad
        many = f"{len(files)} picture{'s' if len(files) != 1 else ''}"
        text = "\n".join(one.given.text for one in calls if one.given.text)
        made = Painted(
            response=f"{text}\n\n{many}" if text else many,
            revised_prompts=tuple(_revised(one.given.pictures) for one in calls if _revised(one.given.pictures)),
            text=text or None,
            files=tuple(files),
            **this.fields(calls, *notes),
        )
        this.finish(made)
        return made


async def _calls(
    this: Doing, request: ImageRequest, on_partial: Callable[[bytes], Awaitable[None]] | None
) -> list[Called[ImageRequest, Pictures]]:
    """One upstream call, or as many as it takes where one makes fewer pictures; those after the first side by side."""
    target = this.plan.targets[0]
    most = getattr(target.quirks, "max_n", MOST)
    watch = Watch(IMAGE.name, this, on_partial) if request.partial else None
    counts = [min(most, request.n - start) for start in range(0, request.n, most)]

    async def one(count: int) -> Called[ImageRequest, Pictures]:
        asked = request.model_copy(update={"n": count})
        return await this.service.llm.call(
            IMAGE, asked, this.plan, this.part(), on_data=watch.begin if watch and len(counts) == 1 else None
        )

    calls = [await one(counts[0])]
    failed: list[Error] = []
    this.plan.targets = [calls[0].begun.target]
    slots = anyio.Semaphore(AT_ONCE)

    async def another(count: int) -> None:
        async with slots:
            try:
                calls.append(await one(count))
            except Error as exc:
                failed.append(exc)

    async with anyio.create_task_group() as tasks:
        for count in counts[1:]:
            tasks.start_soon(another, count)
    if failed:  # the others are made and paid for
        calls[0].begun.warnings.append(f"{len(failed)} of {len(counts)} requests failed, the first with: {failed[0]}")
    return calls


async def _pictures(service: Service, sources: Sequence[Any], name: str, principal: str) -> tuple[Media, ...]:
    parts, _ = await service.attachments(sources, principal=principal)
    for number, part in enumerate(parts, 1):
        if not isinstance(part, Media) or part.modality != "image":
            raise InvalidInput(f"`{name}` {number} is no picture; pass the path, URL or bytes of a PNG, JPEG or WebP")
    return tuple(part for part in parts if isinstance(part, Media))


def _mime(data: bytes, wanted: str | None) -> str:
    """What the bytes are. Raises Garbled for what is no picture."""
    found = sniff.media(data[:64])
    if found is not None and found.startswith("image/"):
        return found
    if wanted == "svg" and data.lstrip()[:5] in {b"<svg ", b"<?xml"}:
        return MIMES["svg"]
    raise Garbled(f"what came is no picture but {sniff.what(data)}")


def _name(prompt: str, number: int, data: bytes) -> str:
    """A few words of the prompt, for people."""
    words = "-".join("".join(char if char.isalnum() else " " for char in prompt).split()[:5]).lower()[:48]
    ending = _mime(data, "svg").partition("/")[2].partition("+")[0].replace("jpeg", "jpg")
    return f"{words or 'picture'}{f'-{number + 1}' if number else ''}.{ending}"


def _revised(pictures: list[Picture]) -> str:
    return next((one.revised_prompt for one in pictures if one.revised_prompt), "")
