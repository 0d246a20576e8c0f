"""Every error the project raises, as one tree; nothing here does I/O.

    Error                                  its message names the cause and the fix
    |- ConfigError        MissingKey  UnknownProvider  UnknownModel  Unsupported
    |- InvalidInput       TooLarge  Denied  UnsupportedMethod
    |- ProviderError      what a provider, or the way to it, answered
    |  |- AuthError  QuotaExceeded  NotFound  BadRequest -> ContextTooLong, Refused
    |  |- RateLimited  Overloaded  Timeout  Disconnected        retryable
    |  '- Garbled
    |- SchemaMismatch     the answer is not what `json_schema` asks for; the raw text is kept
    |- ToolFailed         becomes a tool result, never ends a run
    |- BudgetExceeded  Busy  Conflict  StoreError
    '- WorkflowError      UnknownReference  Cycle

Policy is class data: `retryable` (another attempt may help), `kind` (a stable word for events, ledger rows and JSON).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Error(Exception):
    """The root. `str(error)` is one paragraph a person or a model can act on; it never holds a key or a traceback.

    `partial` is the text that had arrived by then, None where none had.
    """

    kind: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    partial: str | None = None


class ConfigError(Error):
    """A setting, a catalog file or an environment variable is wrong."""

    kind = "config"


class MissingKey(ConfigError):
    """No API key for a provider that needs one; `variables` are the names that would have been read."""

    kind = "missing_key"

    def __init__(
        self, provider: str, variables: Sequence[str], *, key_url: str | None = None, why: str | None = None
    ) -> None:
        self.provider = provider
        self.variables = tuple(variables)
        names = " or ".join(self.variables)
        first = self.variables[0]
        where = f" Keys are made at {key_url}." if key_url else ""
        super().__init__(
            f"{names} is not set, so {provider} cannot be asked. Put `{first}=...` "
            f"in .env in the working folder, in the user's config folder, or in the environment.{where} "
            "To try without any key, use model='demo'." + (f" {why}; that is no key." if why else "")
        )


class UnknownProvider(ConfigError):
    """No provider has this id; the message lists near misses."""

    kind = "unknown_provider"


class UnknownModel(ConfigError):
    """No provider can be found for this model id; the message lists near misses, `options` holds them."""

    kind = "unknown_model"

    def __init__(self, message: str, options: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.options = tuple(options)


class Unsupported(ConfigError):
    """The model, wire or provider cannot do what is asked (an image to a blind model, say); found before the call."""

    kind = "unsupported"


class InvalidInput(Error):
    """An argument of the caller's is unusable; nothing was sent."""

    kind = "invalid_input"


class TooLarge(InvalidInput):
    """A size cap was passed: a prompt, a file, a reply, an event. `partial` is what arrived before the cap."""

    kind = "too_large"

    def __init__(self, message: str, *, partial: str | None = None) -> None:
        super().__init__(message)
        self.partial = partial


class Denied(InvalidInput):
    """Policy forbids it: a path outside the roots, a cloud provider where `local_only` holds."""

    kind = "denied"


class UnsupportedMethod(InvalidInput, ValueError):
    """A provider object has no method of this name."""

    kind = "unsupported_method"

    def __init__(self, method: str, known: Sequence[str] = ()) -> None:
        listed = f"; there are {', '.join(known)}" if known else ""
        super().__init__(f"Unsupported method: {method[:100]}{listed}")


@dataclass(slots=True)
class Attempt:
    """One try at one target, as told in `fallbacks` and in the text of the error when all of them failed."""

    provider: str
    model: str
    kind: str
    message: str
    status: int | None = None


class ProviderError(Error):
    """A provider answered with an error, or could not be reached.

    `status` is the HTTP status or None when no reply came; `code`, `type` and `param` are the provider's own words;
    `retry_after` is seconds; `partial` the text that had arrived; `attempts` the tries made before this one.
    """

    kind = "provider_error"

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        code: str | None = None,
        type: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        retry: bool | None = None,
        partial: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.model = model
        self.status = status
        self.code = code
        self.type = type
        self.param = param
        self.request_id = request_id
        self.retry_after = retry_after
        self.retry = retry
        self.partial = partial
        self.attempts: list[Attempt] = []

    @property
    def may_retry(self) -> bool:
        """What the provider said (`x-should-retry`) if it said anything, else what the class says."""
        return self.retryable if self.retry is None else self.retry

    def __str__(self) -> str:
        who = ":".join(part for part in (self.provider, self.model) if part)
        status = f"HTTP {self.status}" if self.status else ""
        prefix = " ".join(part for part in (who, status) if part)
        return f"{prefix}: {self.message}" if prefix else self.message


class AuthError(ProviderError):
    """The key is missing, wrong, or not allowed to do this (401, 403, and the 400s that mean the same)."""

    kind = "auth"


class QuotaExceeded(ProviderError):
    """Money or quota is used up; waiting seconds does not help (402, `insufficient_quota`, spend limits)."""

    kind = "quota"


class NotFound(ProviderError):
    """The model or path does not exist for this account (404, 410)."""

    kind = "not_found"


class BadRequest(ProviderError):
    """The request itself is refused (400, 422); `param` names the culprit where the provider says it."""

    kind = "bad_request"


class ContextTooLong(BadRequest):
    """The input does not fit the model's context window, or is larger than what the provider reads at all (413)."""

    kind = "context_too_long"


class Refused(BadRequest):
    """A content policy stopped the request."""

    kind = "refused"


class RateLimited(ProviderError):
    """Too many requests or tokens for now (429, 498)."""

    kind = "rate_limited"
    retryable = True


class Overloaded(ProviderError):
    """The provider's own trouble (408, 409, 424, 5xx)."""

    kind = "overloaded"
    retryable = True


class Timeout(ProviderError):
    """A deadline passed; the message names which: connect, first byte, idle or total."""

    kind = "timeout"
    retryable = True


class Disconnected(ProviderError):
    """The connection failed: refused, reset, redirected, TLS, DNS, or cut in the middle (`partial` is what arrived)."""

    kind = "disconnected"
    retryable = True


class Garbled(ProviderError):
    """Bytes that are not what the wire says they are; the message keeps the first of them, escaped."""

    kind = "garbled"


class SchemaMismatch(Error):
    """The model's answer does not satisfy `json_schema`, also after the repair turn; `text` is the raw answer."""

    kind = "schema_mismatch"

    def __init__(self, message: str, *, text: str) -> None:
        super().__init__(message)
        self.text = text


class ToolFailed(Error):
    """A tool could not be called or failed; told to the model as a tool result."""

    kind = "tool_failed"


class BudgetExceeded(Error):
    """A reservation would pass a limit; what was refused has spent nothing. `limit` names which one."""

    kind = "budget"

    def __init__(self, message: str, *, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class Busy(Error):
    """Too many calls in flight; try again after `retry_after` seconds."""

    kind = "busy"
    retryable = True

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Conflict(Error):
    """Somebody else owns the row that this write needs."""

    kind = "conflict"


class StoreError(Error):
    """The state database cannot be opened, read or written."""

    kind = "store"


class WorkflowError(Error):
    """A workflow is wrong; found before anything runs. `problems` are all its faults, a sentence each, with lines."""

    kind = "workflow"

    def __init__(self, message: str, *, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (message,)


class UnknownReference(WorkflowError):
    """A `${name.field[0]}` names nothing that there is."""

    kind = "unknown_reference"


class Cycle(WorkflowError):
    """Tasks wait for one another."""

    kind = "cycle"
