"""What reaches MONAI Label's endpoints: requests of this machine's programs, for what is offered, with plain values.

A server on the loopback is within reach of every page that is open in a browser on the same machine, by its address
or, when a name of the page's site leads to 127.0.0.1 (DNS rebinding), by that.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from monai_unet.label.request_values import check_name, check_params

logger = logging.getLogger(__name__)

_LARGEST = 1_000_000  # bytes of a JSON body
_NAMES = ("image", "label", "id", "tag", "session_id")  # of the query, which become names of files
_STRATEGIES = ("random", "first")
_READING = "all check_if_running"


class Refused(Exception):  # noqa: N818 - it is an answer
    """An answer to a request that goes no further."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class _Route:
    """An offer: methods, path, the names that its query may have, and whether its body is JSON."""

    methods: str
    path: str
    query: str = ""
    json: bool = False


_ROUTES = [
    _Route("GET", r"/|/docs|/openapi\.json|/favicon\.ico|/static(/[\w-][\w.-]*)+|/info/?"),
    _Route("POST", r"/infer/(?P<model>[^/]+)", "image session_id output"),
    _Route("POST", r"/infer/wsi/(?P<model>[^/]+)", "image session_id output", json=True),
    _Route("POST", r"/infer/wsi_v2/(?P<model>[^/]+)", "image session_id output"),
    _Route("GET DELETE", r"/batch/infer/?", _READING),
    _Route("POST", r"/batch/infer/(?P<model>[^/]+)", "images run_sync", json=True),
    _Route("GET DELETE", r"/train/?", _READING),
    _Route("POST", r"/train/?", "run_sync", json=True),
    _Route("POST", r"/train/(?P<model>[^/]+)", "run_sync enqueue", json=True),
    _Route("POST", r"/activelearning/(?P<strategy>[^/]+)", json=True),
    _Route("GET", r"/scoring/?", _READING),
    _Route("GET", r"/datastore/?", "output"),
    _Route("PUT", r"/datastore(/image)?/?", "image"),
    _Route("DELETE", r"/datastore(/image)?/?", "id"),
    _Route("GET HEAD", r"/datastore/image", "image check_sum"),
    _Route("GET PUT", r"/datastore/image/info", "image"),
    _Route("PUT", r"/datastore/label", "image tag"),
    _Route("GET HEAD", r"/datastore/label", "image label tag"),
    _Route("DELETE", r"/datastore/label", "id tag"),
    _Route("GET PUT", r"/datastore/label/info", "label tag"),
    _Route("PUT", r"/datastore/updatelabelinfo", "label tag"),
    _Route("GET", r"/datastore/dataset", "limit_cases"),
    _Route("PUT", r"/session/", "expiry"),
    _Route("GET DELETE", r"/session/(?P<session_id>[^/]+)", "update_ts image"),
    _Route("GET", r"/model/info/(?P<model>[^/]+)"),
    _Route("GET", r"/model/(?P<model>[^/]+)"),
    _Route("GET", r"/logs/?", "lines html text refresh"),
]


def check_origin(headers: dict[str, str], hosts: Collection[str]) -> None:
    """Refuse requests that a page of another site, or another site's name for this machine, has sent.

    Args:
        headers: of the request, names in lower case.
        hosts: names of this machine, beside localhost and addresses in numbers.

    Raises:
        Refused: else.
    """
    host = headers.get("host", "")
    name = (urlsplit(f"//{host}").hostname or "").lower()
    if not (name == "localhost" or name in hosts or _is_address(name)):
        raise Refused(
            421, f"host {host[:200]!r} is no name of this server: use its address, or start it with --host {name}"
        )
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        raise Refused(403, f"requests of other sites are refused; this one comes from {origin[:200]!r}")
    site = headers.get("sec-fetch-site", "none")
    if site not in ("none", "same-origin") and headers.get("sec-fetch-mode") != "navigate":
        raise Refused(403, f"requests of other sites are refused; this one is {site[:40]!r}")


def check_request(method: str, path: str, query: str, models: Collection[str]) -> bool:
    """Refuse what is not offered, names that are none, and unknown models and strategies.

    Returns:
        Whether the body is JSON, to be checked by `check_body`.

    Raises:
        Refused: else.
    """
    route = next((each for each in _ROUTES if method in each.methods.split() and re.fullmatch(each.path, path)), None)
    if route is None:
        raise Refused(404, f"{method} {path[:200]} is not offered here")
    found = re.fullmatch(route.path, path)
    for name, value in (found.groupdict() if found else {}).items():
        known: Sequence[str] = sorted(models) if name == "model" else _STRATEGIES if name == "strategy" else ()
        if known and value not in known:
            raise Refused(404, f"there is no {name} {value[:200]!r}, only {', '.join(known)}")
        _name(name, value)
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in route.query.split():
            allowed = route.query.replace(" ", ", ") or "nothing"
            raise Refused(422, f"{method} {path[:200]} takes {allowed} in its query, not {name[:200]!r}")
        if name in _NAMES and value:
            _name(name, value)
    return route.json


def check_body(body: bytes, models: Collection[str]) -> None:
    """Refuse a JSON body whose names or values are not allowed; none at all is good."""
    if not body.strip():
        return
    try:
        params = json.loads(body)
    except ValueError as error:
        raise Refused(422, f"the body is no JSON: {error}") from error
    if params is None:
        return
    try:
        inner = params.pop("params", None) if isinstance(params, dict) else None  # of a region in QuPath
        check_params(params, models)
        check_params(inner or {})
    except ValueError as error:
        raise Refused(422, str(error)) from error


def machine_names(host: str) -> set[str]:
    """The names under which this machine is asked when it listens on `host`: those it has, on all its addresses."""
    names = {host.lower()}
    if not _is_address(host) or ipaddress.ip_address(host).is_unspecified:
        names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    return names


class Guard:
    """An ASGI application in front of another one.

    Args:
        app: that is asked when a request is good.
        hosts: see `check_origin`.
        models: the names of the models, asked with every request.
    """

    def __init__(self, app: Any, hosts: Collection[str], models: Callable[[], Collection[str]]) -> None:
        self.app = app
        self.hosts = hosts
        self.models = models

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Refuse, or hand on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            if scope["type"] != "http":
                raise Refused(404, "there are no web sockets here")
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            check_origin(headers, self.hosts)
            models = self.models()
            if check_request(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), models):
                body = await _read(receive)
                check_body(body, models)
                receive = _again(body, receive)
        except Refused as refusal:
            logger.warning(f"refused: {refusal}")
            await _answer(send, refusal)
            return
        await self.app(scope, receive, send)


async def _read(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _LARGEST:
            raise Refused(413, f"the body is larger than {_LARGEST} bytes")
    return body


def _again(body: bytes, receive: Any) -> Any:
    """What gives the body that has been read, and then what comes."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Any:
        return waiting.pop() if waiting else await receive()

    return next_message


async def _answer(send: Any, refusal: Refused) -> None:
    body = json.dumps({"detail": str(refusal)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _name(what: str, value: str) -> None:
    try:
        check_name(what, value)
    except ValueError as error:
        raise Refused(422, str(error)) from error


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
