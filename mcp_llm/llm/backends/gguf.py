"""Models in this process: GGUF files run by llama.cpp, without a server, a network or a key (extra `local`).

A file is loaded when it is first asked and let go of after a while without calls. llama.cpp speaks the compatible chat
dialect, so what is sent and what comes back goes through that wire; here are only files, threads and memory.
"""

from __future__ import annotations

import json
import threading
from contextlib import aclosing
from importlib.util import find_spec
from math import inf
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from mcp_llm.errors import ConfigError, NotFound, Overloaded, Unsupported
from mcp_llm.store.sqlite import scheduler
from mcp_llm.types.message import Origin
from mcp_llm.wires import handoff
from mcp_llm.wires.base import HttpReply, ModelInfo
from mcp_llm.wires.chat import openai as wire
from mcp_llm.wires.embed import openai as embed_wire
from mcp_llm.wires.reply import Reply
from mcp_llm.wires.whole import decoded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
    from pathlib import Path

    from mcp_llm.settings import Gguf as Settings
    from mcp_llm.types.chat import ChatRequest, Chunk
    from mcp_llm.types.embed import EmbedRequest, Vectors

EXTRA: Final = "pip install 'mcp-llm[local]'"
QUIRKS: Final = wire.Quirks(
    max_tokens_field="max_tokens",
    null_content=False,
    files="none",
    top_k=True,
    strict="omit",
    json_schema="plain",
    think_tags=True,
    remote_images=False,
    parallel_tool_calls=False,
    effort_field=None,
    thinking_off={"chat_template_kwargs": {"enable_thinking": False}},
)
"""What llama.cpp's chat completions want differently, as its server's documentation has it."""


class Gguf:
    """The backend. `folders` are looked through for `*.gguf` files, whose names without the ending are the models."""

    def __init__(self, folders: Sequence[Path], settings: Settings) -> None:
        self._folders = folders
        self._settings = settings
        self._engines: dict[tuple[str, bool], Engine] = {}
        self._lock = threading.Lock()

    def files(self) -> dict[str, Path]:
        """Model -> its file; parts of one that is split count as the first part, projectors are no models."""
        found: dict[str, Path] = {}
        for folder in self._folders:
            for path in sorted(folder.glob("*.gguf")) if folder.is_dir() else ():
                head, split, number = path.stem.rpartition("-of-")
                first = not split or not number.isdigit() or head.endswith("-00001")
                if first and not path.name.lower().startswith("mmproj"):
                    found.setdefault(path.stem, path)
        return found

    def models(self) -> list[ModelInfo]:
        """What can be asked; empty where llama.cpp is not installed."""
        if find_spec("xllamacpp") is None:
            return []
        return [
            ModelInfo(id=name, context=self._settings.context, can=("streaming", "tools", "json"), reads=())
            for name in self.files()
        ]

    def lacking(self) -> str:
        """What has to be done before a model can be asked."""
        if find_spec("xllamacpp") is None:
            return f"{EXTRA}, which brings llama.cpp"
        return "put a .gguf file into the models folder: `mcp-llm models pull REPOSITORY/FILE` fetches one"

    async def stream(self, request: ChatRequest, model: str) -> AsyncIterator[Chunk]:
        """The answer as it is made. Raises NotFound for a file that is not there, ConfigError for one that is none."""
        engine = await anyio.to_thread.run_sync(self._engine, model, False)
        origin = Origin(provider="gguf", model=model, wire="code")
        request = request.model_copy(update={"messages": handoff.fit(request.messages, origin)})
        body = {**(wire.encode(request, model, QUIRKS).json or {}), "stream": True}
        reply = Reply(wire, QUIRKS)
        async with aclosing(engine.chat(body)) as pieces:
            async for piece in pieces:
                piece["model"] = model  # the engine says its path
                for chunk in reply.feed(b"data: " + json.dumps(piece).encode() + b"\n\n"):
                    yield chunk
        for chunk in reply.close():
            yield chunk

    async def embed(self, request: EmbedRequest, model: str) -> Vectors:
        """Vectors of the texts, by an engine of the file that does nothing else. Raises as `stream` does."""
        if request.dimensions is not None:
            raise Unsupported(f"{model} has vectors of one length: leave `dimensions` out")
        engine = await anyio.to_thread.run_sync(self._engine, model, True)
        given = await anyio.to_thread.run_sync(engine.embed, {"input": list(request.texts)}, abandon_on_cancel=True)
        reply = HttpReply(200, {}, json.dumps(given).encode())
        found = decoded(lambda: embed_wire.decode(reply, request, embed_wire.Quirks()))
        found.model = model
        return found

    async def aclose(self) -> None:
        """Give all memory back."""
        with self._lock:
            engines, self._engines = list(self._engines.values()), {}
        for engine in engines:
            engine.close()

    def _engine(self, model: str, embedding: bool) -> Engine:
        with self._lock:  # held while loading: two that want one file wait for one load
            key = (model, embedding)
            engine = self._engines.get(key)
            if engine is None or engine.closed:
                path = self.files().get(model)
                if path is None:
                    have = ", ".join(self.files()) or "none"
                    raise NotFound(f"there is no file {model[:80]}.gguf in the models folder; there are: {have}")
                engine = self._engines[key] = Engine(path, self._settings, embedding=embedding)
            return engine


class Engine:
    """One loaded file. Several calls at once share it; after `keep_s` seconds without one it is closed."""

    def __init__(self, path: Path, settings: Settings, *, embedding: bool = False) -> None:
        self._server: Any = _load(path, settings, embedding=embedding)
        self._room = threading.Semaphore(settings.parallel)
        self._keep = settings.keep_s
        self._calls = 0
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._rest()

    @property
    def closed(self) -> bool:
        """Whether its memory was given back."""
        return self._server is None

    async def chat(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The pieces of the reply. Whoever stops reading stops the engine at its next token."""
        send, receive = anyio.create_memory_object_stream[dict[str, Any] | BaseException | None](inf)
        call, stopped = scheduler(), threading.Event()

        def put(piece: dict[str, Any] | BaseException | None) -> None:
            if not stopped.is_set():  # one that was on its way when the reader left has nobody to go to
                send.send_nowait(piece)

        def pass_on(piece: dict[str, Any] | BaseException | None) -> bool:
            """From the engine's thread to the loop's; true when nobody waits for more."""
            if stopped.is_set():
                return True
            try:
                call(put, piece)
            except RuntimeError:  # the loop that asked has ended
                return True
            return False

        threading.Thread(target=self._answer, args=(body, pass_on, stopped), daemon=True).start()
        with send, receive:
            try:
                while (piece := await receive.receive()) is not None:
                    if isinstance(piece, BaseException):
                        raise piece
                    yield piece
            finally:
                stopped.set()  # before the ends are closed

    def embed(self, body: dict[str, Any]) -> Any:
        """The reply as the compatible dialect has it; blocks. Raises ConfigError for what the engine refuses."""
        with self._room:
            server = self._begin()
            try:
                given = server.handle_embeddings(body)
            except Exception as exc:
                raise ConfigError(f"llama.cpp refused it: {str(exc)[:300]}") from None
            finally:
                self._rest()
        if isinstance(given, dict) and given.get("error"):
            raise ConfigError(f"llama.cpp refused it: {str(given['error'].get('message'))[:300]}")
        return given

    def _answer(
        self,
        body: dict[str, Any],
        pass_on: Callable[[dict[str, Any] | BaseException | None], bool],
        stopped: threading.Event,
    ) -> None:
        last: BaseException | None = None
        try:
            with self._room:
                if stopped.is_set():
                    return
                server = self._begin()
                try:
                    server.handle_chat_completions(body, pass_on)
                finally:
                    self._rest()
        except Exception as exc:
            last = exc if isinstance(exc, Overloaded) else ConfigError(f"llama.cpp refused it: {str(exc)[:300]}")
        pass_on(last)

    def _begin(self) -> Any:
        with self._lock:
            if self._server is None:
                raise Overloaded("the model was just unloaded: ask again")
            if self._timer is not None:
                self._timer.cancel()
            self._calls += 1
            return self._server

    def _rest(self) -> None:
        with self._lock:
            self._calls = max(0, self._calls - 1)
            if self._calls == 0 and self._server is not None:
                self._timer = threading.Timer(self._keep, self._unload)
                self._timer.daemon = True
                self._timer.start()

    def _unload(self) -> None:
        with self._lock:
            if self._calls == 0:
                self._server = None

    def close(self) -> None:
        """Give the memory back as soon as no call needs it."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._server = None


def _load(path: Path, settings: Settings, *, embedding: bool) -> Any:
    try:
        import xllamacpp  # type: ignore[import-untyped,unused-ignore]  # it has no types, and may not be there
    except ImportError:
        raise ConfigError(f"llama.cpp is not installed: {EXTRA}") from None
    import secrets

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = settings.context
    parameters.n_parallel = settings.parallel
    parameters.embedding = embedding
    if embedding:
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    parameters.kv_unified = True  # one long call may use what the others do not
    parameters.n_gpu_layers = settings.gpu_layers
    if settings.threads is not None:
        parameters.cpuparams.n_threads = settings.threads
    # It opens a port on loopback in any case: nobody who does not hold a key made now may use it.
    parameters.api_keys = [secrets.token_hex(32)]
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.verbosity = 0
    try:
        return xllamacpp.Server(parameters)
    except Exception as exc:
        raise ConfigError(f"{path.name} cannot be loaded: {str(exc)[:200] or type(exc).__name__}") from None
