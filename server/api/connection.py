"""uvicorn's HTTP connection, with a way to cut it: ASGI itself has none."""

from starlette.types import Receive, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_CUT = "descant.cut"


class HttpConnection(HttpToolsProtocol):
    """For ``uvicorn.Config(http=...)``."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_CUT: {"abort": self.transport.abort}}


async def cut(scope: Scope, receive: Receive) -> None:
    """Drop an answer in its middle, so that the client sees that it is incomplete; returns when the connection is gone.

    Returning instead makes uvicorn log an error, and wait until a client that does not read takes what is unsent.
    Does nothing on a connection that is not ours.
    """
    ours = scope.get("extensions", {}).get(_CUT)
    if ours is None:
        return
    ours["abort"]()
    while (await receive())["type"] != "http.disconnect":
        pass
