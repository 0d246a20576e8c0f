"""One provider as an object, for code that is written against providers: `get_provider("anthropic")`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp_llm import api
from mcp_llm.background import background, opened
from mcp_llm.errors import InvalidInput

if TYPE_CHECKING:
    from mcp_llm.llm.health import ProviderHealth
    from mcp_llm.streaming import Stream
    from mcp_llm.types.result import Generated
    from mcp_llm.wires.base import ModelInfo

METHODS: Final = ("llm/chat", "llm/generate")
"""The methods of the protocol; each is understood without its prefix too."""


@dataclass(frozen=True, slots=True)
class ProviderHandle:
    """A provider by id; every call goes through the same retries, ledger and budgets as any other."""

    provider_id: str
    default: str = "balanced"
    """The model or tier that is asked when none is named."""

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

    async def health_check(self) -> ProviderHealth:
        """One cheap call, remembered for a minute."""
        return await (await opened.get()).models.health(self.provider_id)

    async def list_models(self) -> list[ModelInfo]:
        """The provider's own list, remembered for an hour."""
        return await (await opened.get()).models.of(self.provider_id)

    def get_supported_methods(self) -> list[str]:
        """What `handle_request` understands."""
        return list(METHODS)

    async def handle_request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """`llm/generate` with `prompt`, or `llm/chat` with `messages`; the result, with `content` and `tokens_used`.

        Raises InvalidInput for any other method.
        """
        name = method if "/" in method else f"llm/{method}"
        if name not in METHODS:
            raise InvalidInput(f"Unsupported method: {method}; there are {', '.join(METHODS)}")
        params = dict(params)
        files = [params.pop(key) for key in ("file_path", "image_path") if params.get(key)]
        contents = [*params.pop("messages", []), *([params.pop("prompt")] if "prompt" in params else [])]
        result = await self.agenerate_result(contents, params.pop("model", None), files=files, **params)
        data = result.model_dump(mode="json")
        return data | {
            "content": result.response,
            "model": result.model_used,
            "provider_id": self.provider_id,
            "tokens_used": result.usage.total,
            "metadata": {"run_id": result.run_id, "cost": data["cost"], "finish_reason": result.finish_reason},
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
