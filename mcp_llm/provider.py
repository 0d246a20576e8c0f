"""One provider as an object, for code that is written against providers: `get_provider("anthropic")`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_llm import api, media
from mcp_llm.background import background, opened
from mcp_llm.toolsets.protocol import reply, spelled

if TYPE_CHECKING:
    from mcp_llm.streaming import Stream
    from mcp_llm.types.embed import Embedded
    from mcp_llm.types.result import Generated
    from mcp_llm.wires.base import ModelInfo

METHODS: Final = ("llm/chat", "llm/generate", "llm/vision", "llm/embed")
"""The methods of the protocol; each is understood without its prefix too."""


@dataclass(frozen=True, slots=True)
class ProviderHandle:
    """A provider by its `provider_id`; every call goes through the same retries, ledger and budgets as any other.

    `default` is the model or tier that is asked when none is named, `protocol_id` what `handle_request` speaks.
    """

    provider_id: str
    default: str = "balanced"
    protocol_id: str = "llm/v1"

    def generate(self, contents: Any, model: str | None = None, **arguments: Any) -> str:
        """The answer's text; `model` is this provider's model or tier, its balanced one when left out.

        A provider in code is asked for the model `default` then.
        """
        return api.generate(contents, self._model(model), **arguments)

    async def agenerate(self, contents: Any, model: str | None = None, **arguments: Any) -> str:
        """The same, async."""
        return await api.agenerate(contents, self._model(model), **arguments)

    async def agenerate_result(self, contents: Any, model: str | None = None, **arguments: Any) -> Generated:
        """The whole result, async."""
        return await api.agenerate_result(contents, self._model(model), **arguments)

    def stream(self, contents: Any, model: str | None = None, **arguments: Any) -> Stream:
        """The answer in pieces, sync or async."""
        return api.stream(contents, self._model(model), **arguments)

    def is_available(self) -> bool:
        """Whether a call could be tried: its key is set, or it needs none. Asks nobody."""

        async def look() -> bool:
            service = await opened.get()
            return service.access.reachable(self.provider_id, service.catalog.provider(self.provider_id))

        return background.call(look)

    async def health_check(self) -> dict[str, Any]:
        """One cheap call, remembered for a minute: `{status: healthy | degraded | unhealthy, details}` and more.

        What was found is there too: `provider_id`, `available`, `latency_ms`, `models_available`, `last_checked`.
        `degraded` is what cannot be told without a real call.
        """
        found = await (await opened.get()).models.health(self.provider_id)
        status = {True: "healthy", False: "unhealthy", None: "degraded"}[found.available]
        data = found.model_dump(mode="json")
        return {"status": status, "details": data.pop("detail") or "", **data}

    async def list_models(self) -> list[ModelInfo]:
        """The provider's own list, remembered for an hour."""
        return await (await opened.get()).models.of(self.provider_id)

    @property
    def name(self) -> str:
        """What it is called."""
        return self.provider_id

    @property
    def description(self) -> str:
        """Whose models these are."""
        return f"models of {self.provider_id}"

    def get_supported_methods(self) -> list[str]:
        """What `handle_request` understands."""
        return list(METHODS)

    async def handle_request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """What `method` gives for `params`: `content`, `model`, `provider_id`, `tokens_used`, `metadata`.

        `llm/generate` takes `prompt`, `llm/chat` `messages`, `llm/vision` either with `image_path`; `llm/embed` takes
        `input` (or `text`) and gives `embedding`, `model`, `dimensions`. `file_path` and `image_path` are read beneath
        the allowed folders. Raises UnsupportedMethod, which is a ValueError too, for any other method.
        """
        name = spelled(self, method)
        params = dict(params)
        model = params.pop("model", None)
        if name == "llm/embed":
            texts = params.pop("input", None) or params.pop("text", None) or params.pop("prompt", "")
            return self._embedded(await media.aembed(texts, model=self._model(model), **params))
        files = [params.pop(key) for key in ("file_path", "image_path") if params.get(key)]
        contents = [*params.pop("messages", []), *([params.pop("prompt")] if "prompt" in params else [])]
        result = await self.agenerate_result(contents, model, files=files, **params)
        return {**dict.fromkeys(type(result).model_fields), **reply(result), "provider_id": self.provider_id}

    def _embedded(self, made: Embedded) -> dict[str, Any]:
        vectors = [vector.tolist() for vector in made.embeddings]
        return made.lean() | {
            "embedding": vectors[0],
            "embeddings": vectors,
            "model": made.model_used,
            "provider_id": self.provider_id,
            "tokens_used": made.usage.total,
            "dimensions": made.dimensions,
        }

    async def initialize(self) -> None:
        """Open what a call needs. Never needed: the first call does it."""
        await opened.get()

    async def shutdown(self) -> None:
        """Close what the running event loop has open; the next call opens it again."""
        await opened.close()

    def _model(self, model: str | None) -> str:
        if model is None:
            return f"{self.provider_id}:{self.default}"
        return model if model.startswith(f"{self.provider_id}:") else f"{self.provider_id}:{model}"


def get_provider(provider_id: str) -> ProviderHandle:
    """The provider of this id. Raises UnknownProvider with near misses."""

    async def look() -> ProviderHandle:
        service = await opened.get()
        known = service.id_of(provider_id)
        in_code = service.catalog.provider(known).wires.get("chat") == "code"
        return ProviderHandle(known, "default" if in_code else "balanced")

    return background.call(look)
