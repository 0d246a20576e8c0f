"""Hosts hear of changes in both eras: of lists when files change, of runs that they follow, and of nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.client.subscriptions import PromptsListChanged, ResourcesListChanged, ResourceUpdated
from mcp.types import (
    InitializedNotification,
    PromptListChangedNotification,
    ResourceListChangedNotification,
    ResourceUpdatedNotification,
)
from server.principals import acting_as

from mcp_llm.server.build import build
from mcp_llm.server.changes import Changes
from mcp_llm.server.life import Heart

if TYPE_CHECKING:
    from pathlib import Path

    from mcp_llm.app import App
    from mcp_llm.config import Config

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning"),  # what the handshake era calls subscribing
]
PROMPT = '+++\ntitle = "Mine"\n+++\nSay it.\n'


@pytest.fixture
def server(config: Config, opened: Any) -> Any:
    return build(config, opened, Heart(first=0.01, beat=0.01), Changes(marks=0.01, lists=0.01))


@pytest.fixture
def folder(config: Config) -> Path:
    place = config.folder / "prompts"
    place.mkdir(parents=True)
    return place


class Told:
    """What a client of the handshake era was told."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self._news = anyio.Event()

    async def __call__(self, message: Any) -> None:
        self.messages.append(message)
        self._news.set()
        self._news = anyio.Event()

    async def until(self, kind: type, uri: str | None = None) -> Any:
        with anyio.fail_after(30):
            while True:
                news = self._news
                for message in self.messages:
                    if isinstance(message, kind) and (uri is None or str(message.params.uri) == uri):  # type: ignore[attr-defined]
                        return message
                await news.wait()


def capabilities(client: Client) -> tuple[Any, ...]:
    told = client.server_capabilities
    assert told is not None
    assert told.tools is not None
    assert told.prompts is not None
    assert told.resources is not None
    changing = (told.tools.list_changed, told.prompts.list_changed, told.resources.list_changed)
    return (*changing, told.resources.subscribe, told.completions is not None, told.logging)


async def test_both_eras_are_told_what_can_change(server: Any, mode: Any) -> None:
    async with Client(server, mode=mode) as client:
        assert capabilities(client) == (True, True, True, True, True, None)


async def test_a_new_prompt_file_is_told_to_a_host_of_the_handshake_era(server: Any, folder: Path) -> None:
    told = Told()
    async with Client(server, mode="legacy", message_handler=told) as client:
        await client.list_prompts()
        (folder / "mine.md").write_text(PROMPT)
        await told.until(PromptListChangedNotification)
        await told.until(ResourceListChangedNotification)
        assert "mine" in [one.name for one in (await client.list_prompts(cache_mode="refresh")).prompts]


async def test_a_host_that_has_called_nothing_hears_of_a_new_prompt_file(config: Config, folder: Path) -> None:
    told = Told()
    server = build(config, None, Heart(), Changes(lists=0.01))
    async with Client(server, mode="legacy", message_handler=told):
        with anyio.fail_after(30):  # nobody says when the server begins to look: each look finds another file
            while not any(isinstance(message, PromptListChangedNotification) for message in told.messages):
                (folder / f"mine-{anyio.current_time()}.md").write_text(PROMPT)
                await anyio.sleep(0.01)


async def test_a_new_prompt_file_is_told_to_a_host_that_listens(server: Any, folder: Path) -> None:
    async with Client(server) as client:
        await client.list_prompts()
        async with client.listen(prompts_list_changed=True, resources_list_changed=True) as heard:
            (folder / "mine.md").write_text(PROMPT)
            with anyio.fail_after(30):
                seen = {type(await anext(heard)) for _ in range(2)}
    assert seen == {PromptsListChanged, ResourcesListChanged}


async def test_a_run_that_is_followed_is_told_in_the_handshake_era(server: Any, opened: list[App]) -> None:
    told = Told()
    async with Client(server, mode="legacy", message_handler=told) as client:
        journal = await opened[0].journals.create("generate", {}, "local")
        uri = f"runs://{journal.run_id}"
        await client.subscribe_resource(uri)
        await client.subscribe_resource("runs://")
        await opened[0].journals.request_cancel(journal.run_id, "local")
        from mcp_llm.types.events import Finish

        await journal.finish(Finish(result="done"))
        await told.until(ResourceUpdatedNotification, uri)
        await told.until(ResourceUpdatedNotification, "runs://")
        await client.unsubscribe_resource(uri)


async def test_a_run_that_is_followed_is_told_on_the_stream(server: Any, opened: list[App]) -> None:
    from mcp_llm.types.events import Finish

    async with Client(server) as client:
        journal = await opened[0].journals.create("generate", {}, "local")
        uris = [f"runs://{journal.run_id}", f"runs://{journal.run_id}/events", "runs://nobody", "file:///x"]
        async with client.listen(resource_subscriptions=uris) as heard:
            await journal.finish(Finish(result="done"))
            with anyio.fail_after(30):
                seen = {(await anext(heard)).uri for _ in range(2)}  # type: ignore[union-attr]
    assert seen == set(uris[:2])


async def test_nobody_hears_of_somebody_elses_run(server: Any, opened: list[App]) -> None:
    from mcp_llm.types.events import Finish

    async with Client(server) as owner:
        theirs = await opened[0].journals.create("generate", {}, "local")
        with acting_as("bob"):
            async with Client(server) as bob, Client(server, mode="legacy") as old:
                mine = await opened[-1].journals.create("generate", {}, "bob")
                uris = [f"runs://{theirs.run_id}", f"runs://{mine.run_id}"]
                with pytest.raises(MCPError, match="there is no run"):
                    await old.subscribe_resource(uris[0])
                async with bob.listen(resource_subscriptions=uris) as heard:
                    await theirs.finish(Finish(result="done"))
                    await owner.list_tools()
                    await mine.finish(Finish(result="done"))
                    with anyio.fail_after(30):
                        first = await anext(heard)
    assert first == ResourceUpdated(uris[1])


async def test_a_connection_follows_a_hundred_resources_at_most(server: Any) -> None:
    async with Client(server, mode="legacy") as client:
        for number in range(100):
            await client.subscribe_resource(f"usage://?since={number + 1}d")
        with pytest.raises(MCPError, match="unsubscribe from one"):
            await client.subscribe_resource("usage://")
        await client.unsubscribe_resource("usage://?since=1d")
        await client.subscribe_resource("usage://")
    async with Client(server) as client:
        with pytest.raises(MCPError, match="may listen to 100"):
            async with client.listen(resource_subscriptions=[f"runs://{number}" for number in range(101)]):
                pass


async def test_a_host_that_says_again_and_again_that_it_is_there_is_kept_once(config: Config, opened: Any) -> None:
    changes = Changes(marks=0.01, lists=0.01)
    server = build(config, opened, Heart(), changes)
    async with Client(server, mode="legacy") as client:
        await client.list_tools()
        [session] = changes._sessions.values()
        held = len(session._connection.exit_stack._exit_callbacks)  # type: ignore[attr-defined]
        for _ in range(50):
            await client.session.send_notification(InitializedNotification())
        await client.list_tools()
        assert len(session._connection.exit_stack._exit_callbacks) == held  # type: ignore[attr-defined]


async def test_a_fault_in_looking_at_what_one_follows_ends_nobody_elses_call(config: Config, opened: Any) -> None:
    changes = Changes(marks=0.01, lists=0.01)
    server = build(config, opened, Heart(), changes)
    async with Client(server, mode="legacy") as client:
        journal = await opened[0].journals.create("generate", {}, "local")
        await client.subscribe_resource(f"runs://{journal.run_id}")
        with anyio.fail_after(20):
            while not changes._looked_at:
                await anyio.lowlevel.checkpoint()
            opened[0].journals.position = None  # calling it is a fault that nobody foresaw
            while changes._looked_at:
                await anyio.lowlevel.checkpoint()
        assert (await client.list_tools()).tools


async def test_a_resource_asked_for_twice_at_once_is_followed_once(config: Config, opened: Any) -> None:
    changes = Changes(marks=0.01, lists=0.01)
    server = build(config, opened, Heart(), changes)
    with anyio.fail_after(30):
        async with Client(server, mode="legacy") as client:
            journal = await opened[0].journals.create("generate", {}, "local")
            uri = f"runs://{journal.run_id}"
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(client.subscribe_resource, uri)
            while not changes._looked_at:
                await anyio.lowlevel.checkpoint()
            assert changes._looked_at == 1
            await client.unsubscribe_resource(uri)
            while changes._looked_at:
                await anyio.lowlevel.checkpoint()


async def test_what_cannot_be_followed_leaves_its_place_to_others(config: Config, opened: Any) -> None:
    changes = Changes(marks=0.01, lists=0.01)
    async with Client(build(config, opened, Heart(), changes), mode="legacy") as client:
        for _ in range(2):  # the second time, too: it is not taken for one that is followed
            with pytest.raises(MCPError, match="there is no run"):
                await client.subscribe_resource("runs://nobody")
        assert changes._followed == {}
