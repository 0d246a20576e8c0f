"""Making films: a job at the provider and a run here, from before it is submitted to the file.

What is on disk before the order leaves says that it may have left; nothing is ordered twice. A run whose process has
gone is taken up by the next one, which asks for the same job.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Unpack

import anyio
from pydantic import ValidationError

from mcp_llm.errors import AuthError, ConfigError, Error, InvalidInput, ProviderError, Timeout, Unsupported
from mcp_llm.files import sniff
from mcp_llm.llm import urls
from mcp_llm.llm.answer import Begun
from mcp_llm.llm.answer import Job as Call_
from mcp_llm.llm.doing import keep, plan, receipt, unusable
from mcp_llm.llm.exchange import blame, whole
from mcp_llm.llm.generate import check_options, positive
from mcp_llm.llm.operation import Called, filled
from mcp_llm.llm.progress import Progress
from mcp_llm.runs import outside
from mcp_llm.runs.ending import guarded
from mcp_llm.store.artifacts import LOCAL
from mcp_llm.types.events import Finish, JobEvent, Resumed, Start
from mcp_llm.types.message import Media, Value
from mcp_llm.types.usage import Usage
from mcp_llm.types.video import Filmed, Job, VideoRequest
from mcp_llm.wires import video as wires

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcp_llm.catalog.find import Target
    from mcp_llm.llm.answer import Hold
    from mcp_llm.llm.doing import Call
    from mcp_llm.llm.service import Service
    from mcp_llm.runs.journal import Journal
    from mcp_llm.runs.store import RunInfo, RunStore
    from mcp_llm.wires.base import HttpReply, HttpRequest
    from mcp_llm.wires.video import JobWire

KIND: Final = "video"
SOON: Final = 5.0
LONGEST: Final = 20.0
"""Seconds between looks: at first, and after a while."""
HOURS: Final = 2.0
"""How long a job is asked for where the caller names no limit."""
PATIENCE: Final = 4.0
"""Seconds that calling a job off may take."""
CAP: Final = 512 * 1024 * 1024
"""Bytes of a film."""


class Order(Value):
    """What a run of this kind keeps: what was ordered of whom, so that any process can see it through."""

    model: str
    asked: str
    request: VideoRequest
    context: str | None = None
    timeout_s: float | None = None


@dataclass(slots=True)
class Films:
    """Makes films, and sees them through; a Resumer for their runs."""

    service: Service
    runs: RunStore
    automatic: bool = True

    async def make(
        self,
        prompt: str,
        *,
        image: Any = None,
        references: Sequence[Any] = (),
        seconds: int | None = None,
        ratio: str | None = None,
        resolution: str | None = None,
        begun: Callable[[], None] = lambda: None,
        stays: Callable[[], bool] = lambda: False,
        **call: Unpack[Call],
    ) -> Filmed:
        """A short film, in `.files[0]`; takes minutes. It is a run: when this process ends, another can go on with it.

        Args:
            prompt: What happens.
            image: Its first picture.
            references: Pictures of who or what occurs.
            seconds: How long it shall be.
            ratio: Its shape, `16:9`.
            resolution: `720p` and its like.
            begun: Called once there is a run.
            stays: Asked when the call is cancelled: True leaves the job standing, for whoever resumes the run.
            call: `model`, `context`, `budget_usd` (dollars), `timeout_s` (seconds: how long the job is asked for) and
                `options`, as in `agenerate_result`.

        Raises:
            Error: One of `mcp_llm.errors`.
        """
        request = await self._request(prompt, image, references, seconds, ratio, resolution, call)
        positive("timeout_s", call.get("timeout_s"))
        positive("budget_usd", call.get("budget_usd"))
        progress = call.get("progress") or Progress()
        context, principal = call.get("context"), call.get("principal", "local")
        chosen = await plan(self.service, KIND, call.get("model"), context)
        target = chosen.targets[0]
        if target.quirks is None:
            raise Unsupported(f"{target.provider_id} makes no films: name a provider's model")
        wire = wires.wire(target.wire)
        http = wire.submit(request, target.model_id, target.quirks)
        order = Order(
            model=target.name,
            asked=chosen.asked,
            request=request.model_copy(update={"image": None, "references": ()}),  # sent once, never again
            context=context,
            timeout_s=call.get("timeout_s"),
        )
        journal = await self.runs.create(
            KIND, order.model_dump(mode="json"), principal, run_id=call.get("run_id"), model=chosen.asked
        )
        begun()
        part = Call_(journal.run_id, context, operation=KIND, principal=principal, budget_usd=call.get("budget_usd"))
        progress.who = target.name

        async def work() -> Filmed:
            start = Start(prompt=prompt, kind=KIND, provider=target.provider_id, model=target.model_id)
            await journal.append(start)
            worst = Usage(seconds=None if seconds is None else float(seconds))
            hold = await self.service.purse.set_aside(worst, request.options, target, part)
            try:
                job = await self._submit(journal, target, wire, http, part, hold, order)
                return await self._see(journal, order, target, job, part, hold, progress, list(chosen.warnings))
            except anyio.get_cancelled_exc_class():
                if journal.cancel_requested or not stays():
                    await self._off(journal, target)
                    self._spent(hold, target, part, "cancelled")
                raise
            except Error as exc:
                self._spent(hold, target, part, exc.kind)
                raise

        return await guarded(journal, work, stays)

    async def check(self, info: RunInfo, again: bool) -> None:
        """Raise InvalidInput for a run of which nobody knows whether its order has left, and for one that rests."""
        stood = await self._stood(info.id)
        if not again:
            outside.refuse_resting(info.id, stood)

    async def drive(self, journal: Journal) -> dict[str, Any]:
        """Go on asking for the job that was submitted; never submits.

        A process that may not ask, for want of a key or of the provider, leaves it to one that may.
        """
        order = Order.model_validate(journal.request)
        stood = await self._stood(journal.run_id)
        try:
            target = self.service.catalog.find(order.model, KIND)
            part = Call_(journal.run_id, order.context, operation=KIND, principal=journal.principal)
            await journal.append(Resumed(after=journal.seq, attempt=journal.attempts))
            made = await self._see(journal, order, target, str(stood[-1].job_id), part, None, Progress(), [])
        except (AuthError, ConfigError) as error:
            await outside.rest(journal, stood[-1], error)
            raise
        except anyio.get_cancelled_exc_class():
            if journal.cancel_requested:
                await self._off(journal, target)
            raise
        return made.lean()

    async def call_off(self, info: RunInfo) -> str | None:
        """End a film that is being made; words where it is made and billed all the same.

        Raises ProviderError where the provider cannot be told: the run stays as it is.
        """
        words = None
        if not info.live and (stood := await outside.known(self.runs, info.id)):
            target = self.service.catalog.find(Order.model_validate(info.request).model, KIND)
            http = wires.wire(target.wire).cancel(str(stood[-1].job_id), target.quirks)
            words = f"{target.provider_id} makes the film all the same, and bills it"
            try:
                with anyio.fail_after(outside.TELLING):
                    if http is not None:
                        await self._ask(target, http, lambda reply: reply)
                        words = None
            except (Error, TimeoutError) as error:
                if not outside.refused(error):
                    raise outside.untold(info.id, target.provider_id, error) from error
                words = f"{words}: {str(error)[:500]}"
        await self.runs.request_cancel(info.id, info.principal)
        return words

    async def _request(
        self,
        prompt: str,
        image: Any,
        references: Sequence[Any],
        seconds: int | None,
        ratio: str | None,
        resolution: str | None,
        call: Call,
    ) -> VideoRequest:
        if not prompt.strip():
            raise InvalidInput("`prompt` is empty: say what the film shall show")
        if seconds is not None and not 1 <= seconds <= 600:
            raise InvalidInput(f"`seconds` is {seconds}; films have 1 to 600, most models make up to 15")
        options = call.get("options") or {}
        check_options(options)
        sources = [*([] if image is None else [image]), *references]
        parts, _ = await self.service.attachments(sources, principal=call.get("principal", LOCAL))
        pictures = [part for part in parts if isinstance(part, Media) and part.modality == "image"]
        if len(pictures) != len(sources):
            raise InvalidInput("`image` and `references` have to be pictures: PNG, JPEG or WebP")
        try:
            return VideoRequest(
                prompt=prompt,
                image=pictures[0] if image is not None else None,
                references=tuple(pictures[0 if image is None else 1 :]),
                seconds=seconds,
                ratio=ratio,
                resolution=resolution,
                options=options,
            )
        except ValidationError as exc:
            raise unusable(exc) from None

    async def _submit(
        self,
        journal: Journal,
        target: Target,
        wire: JobWire,
        http: HttpRequest,
        part: Call_,
        hold: Hold | None,
        order: Order,
    ) -> str:
        asked = time.monotonic()
        await journal.append(_event(target, "submitting"))
        try:
            job: str = await self._ask(target, http, wire.submitted)
        except BaseException as exc:
            self.service.purse.failed(hold, target, part, order.asked, exc, asked, sent=True)
            raise
        await journal.append(_event(target, "submitted", job_id=job))
        return job

    def _spent(self, hold: Hold | None, target: Target, part: Call_, outcome: str) -> None:
        """What an order may cost that is not asked for any more stays spent, not held while this process lives."""
        if hold is not None and not hold.reservation.settled:
            purse = self.service.purse
            purse.ledger.commit(hold.reservation, purse.attempted(part, target, outcome))

    async def _see(
        self,
        journal: Journal,
        order: Order,
        target: Target,
        job: str,
        part: Call_,
        hold: Hold | None,
        progress: Progress,
        warnings: list[str],
    ) -> Filmed:
        """Ask until it has ended, fetch the film, write the end."""
        started = time.monotonic()
        state = await self._ended(journal, order, target, job, progress)
        state.id = job
        await journal.append(_event(target, state.status, job_id=job, message=state.message))
        begun = Begun(target, order.request, state, warnings, [], started, started, time.monotonic(), hold)
        counted = Usage(seconds=None if order.request.seconds is None else float(order.request.seconds))
        if state.status != "ended":
            error = ProviderError(
                state.message or f"the job {state.status}", provider=target.provider_id, model=target.model_id
            )
            self.service.purse.failed(hold, target, part, order.asked, error, started, sent=True)
            raise error
        usage = filled(state.usage, counted)
        cost = self.service.purse.paid(begun, usage, (state.model, job), part, order.asked)
        data, mime = await self._film(state, target)
        words = "-".join("".join(c if c.isalnum() else " " for c in order.request.prompt).split()[:5]).lower()[:48]
        with anyio.CancelScope(shield=True):
            file = await keep(self.service, data, mime, f"{words or 'film'}.{mime[6:]}", journal.principal)
            made = Filmed(
                response="1 film" + (f", {usage.seconds:g} s" if usage.seconds is not None else ""),
                job_id=job,
                seconds=usage.seconds,
                files=(file,),
                **receipt([Called(begun, usage, cost)], order.asked, journal.run_id),
            )
            await journal.finish(Finish(result=made.lean(), usage=made.usage, cost=made.cost))
        return made

    async def _film(self, state: Job, target: Target) -> tuple[bytes, str]:
        """(bytes, MIME type). It is paid for: an error says where it lies."""
        there = f"; the film is made, and for a while it is at {state.url}" if state.url else ""
        try:
            data = await urls.data(self.service, state.data, state.url, target, CAP)
        except Error as exc:
            raise ProviderError(
                f"the film cannot be fetched ({exc}){there}", provider=target.provider_id, retry=False
            ) from None
        mime = sniff.media(data[:64], "video/mp4") or ""
        if not mime.startswith("video/"):
            raise ProviderError(f"what came is no film but {sniff.what(data)}{there}", provider=target.provider_id)
        return data, mime

    async def _ended(self, journal: Journal, order: Order, target: Target, job: str, progress: Progress) -> Job:
        wire = wires.wire(target.wire)
        deadline = time.monotonic() + (order.timeout_s or HOURS * 3600)
        pause, seen = SOON, -1
        while True:
            try:
                state: Job = await self._ask(target, wire.poll(job, target.quirks), wire.state)
            except ProviderError as error:
                if not error.may_retry and error.kind != "timeout":
                    raise
                progress.tell(f"{error.kind}, asking again")
            else:
                if state.status != "running":
                    return state
                if state.percent is not None and state.percent != seen:
                    seen = state.percent
                    await journal.append(_event(target, "running", job_id=job, done=seen, total=100))
                progress.tell("being made" if state.percent is None else f"{state.percent} %")
            if time.monotonic() + pause > deadline:
                raise Timeout(
                    f"job {job} was not done in time; it may still be, and be billed: its provider's console shows it",
                    provider=target.provider_id,
                    retry=False,
                )
            await self.service.llm.sleep(pause)
            pause = min(pause * 1.3, LONGEST)

    async def _ask(self, target: Target, http: HttpRequest, decode: Callable[[HttpReply], Any]) -> Any:
        llm = self.service.llm
        deadlines = llm.deadlines(target, 300.0)
        try:
            return await whole(
                http, target, self.service.access, llm.transport(), deadlines, cap=2 * CAP, decode=decode
            )
        except ProviderError as exc:
            raise blame(exc, target) from None

    async def _stood(self, run_id: str) -> list[JobEvent]:
        if not (stood := await outside.known(self.runs, run_id)):
            raise InvalidInput(
                f"run {run_id} was cut off while its film was ordered: the order may have left or not, and is not made "
                "again by itself. The provider's console shows it; to order it anew, make the call again"
            )
        return stood

    async def _off(self, journal: Journal, target: Target) -> None:
        """Call the job off at the provider, where that is possible and there is one."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(PATIENCE):
            try:
                http = wires.wire(target.wire).cancel(
                    str((await self._stood(journal.run_id))[-1].job_id), target.quirks
                )
                if http is not None:
                    await self._ask(target, http, lambda reply: reply)
            except Error:
                return  # it was not ordered yet, or the provider does not answer: the run ends all the same


def _event(target: Target, state: Any, **more: Any) -> JobEvent:
    return JobEvent(state=state, provider=target.provider_id, model=target.model_id, **more)
