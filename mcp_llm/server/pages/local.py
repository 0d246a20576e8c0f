"""The pages on loopback: documents without data for anybody who asks, data and changes for whoever has the token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mcp_llm.errors import Error, InvalidInput
from mcp_llm.runs.resume import drive
from mcp_llm.server.principal import LOCAL
from mcp_llm.server.resumable import register

from . import order, settings, usage, view
from .documents import LOCAL as PAGES
from .documents import document
from .door import CLOSED, Door, Keys

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from mcp_llm.app import App

PATIENCE: Final = 25.0
"""Seconds that a look waits for something new."""
MOST: Final = 256 * 1024
"""Bytes of a request's body."""


def local(app: App, keys: Keys, tasks: TaskGroup) -> ASGIApp:
    """The ASGI application; who may reach it at all (`Host`, `Origin`) is decided around it.

    `tasks` drives the runs that are gone on with here; they wait for another process when it ends.
    """
    register(app)

    async def enter(request: Request) -> Response:
        token = keys.enter((await _body(request)).get("code"))
        return JSONResponse({"error": CLOSED}, 401) if token is None else JSONResponse({"token": token})

    async def runs(request: Request) -> Response:
        asked = request.query_params
        return JSONResponse(await view.listed(app, LOCAL, status=asked.get("status") or None))

    async def run(request: Request) -> Response:
        asked = request.query_params
        seconds = min(PATIENCE, float(found)) if (found := asked.get("wait", "0")).isdecimal() else 0.0
        return JSONResponse(await view.looked(app, LOCAL, request.path_params["id"], asked.get("after", ""), seconds))

    async def compare(request: Request) -> Response:
        journal, resumer = await order.comparison(app, await _body(request))
        tasks.start_soon(drive, resumer, journal)
        return JSONResponse({"id": journal.run_id})

    async def cancel(request: Request) -> Response:
        name = request.path_params["id"]
        await _body(request)
        after, words = await app.resumers.cancel(app.journals, name, LOCAL, 5.0)
        return JSONResponse({"run": view.row(after), "words": words})

    async def resume(request: Request) -> Response:
        again = (await _body(request)).get("again") is True
        journal, resumer = await app.resumers.claim(app.journals, request.path_params["id"], LOCAL, again=again)
        tasks.start_soon(drive, resumer, journal)
        return JSONResponse({"run": view.row(await app.journals.get(journal.run_id, LOCAL))})

    async def answer(request: Request) -> Response:
        body = await _body(request)
        if "answer" not in body:
            raise InvalidInput("`answer` is missing")
        question = body.get("question")
        name = await app.journals.answer(request.path_params["id"], LOCAL, body["answer"], question)
        return JSONResponse({"question": name})

    async def spent(request: Request) -> Response:
        return JSONResponse(await usage.spent(app, request.query_params.get("since", "30d")))

    async def show(request: Request) -> Response:
        return JSONResponse(await settings.shown())

    async def save(request: Request) -> Response:
        return JSONResponse(await settings.saved(await _body(request)))

    async def key(request: Request) -> Response:
        return JSONResponse(await settings.key(await _body(request)))

    async def check(request: Request) -> Response:
        return JSONResponse(await settings.checked(await _body(request)))

    pages = [Route("/" if name == "runs" else f"/{name}", _page(name)) for name in PAGES]
    data = [
        Route("/api/enter", enter, methods=["POST"]),
        Route("/api/runs", runs),
        Route("/api/compare", compare, methods=["POST"]),
        Route("/api/runs/{id}", run),
        Route("/api/runs/{id}/cancel", cancel, methods=["POST"]),
        Route("/api/runs/{id}/resume", resume, methods=["POST"]),
        Route("/api/runs/{id}/answer", answer, methods=["POST"]),
        Route("/api/usage", spent),
        Route("/api/settings", show),
        Route("/api/settings", save, methods=["POST"]),
        Route("/api/keys", key, methods=["POST"]),
        Route("/api/check", check, methods=["POST"]),
    ]
    return Door(Starlette(routes=[*pages, *data], exception_handlers={Error: _told, Exception: _failed}), keys)


def _page(name: str) -> Any:
    async def page(request: Request) -> Response:
        found = document(name, "local")
        return Response(found.html, media_type="text/html", headers={"content-security-policy": found.policy})

    return page


async def _told(request: Request, error: Exception) -> Response:
    """An error of ours as the sentence that it is."""
    return JSONResponse({"error": str(error)}, 400)


async def _failed(request: Request, error: Exception) -> Response:
    """Whatever else fails is our fault; the server's log has where, the page has that."""
    return JSONResponse({"error": f"mcp-llm itself failed ({type(error).__name__}); its log on stderr says where"}, 500)


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object that was sent. Raises InvalidInput."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > MOST:
            raise InvalidInput(f"the request has over {MOST // 1024} KiB")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidInput("send a JSON object")
    return found
