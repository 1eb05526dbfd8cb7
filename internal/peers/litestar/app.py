"""The guarded room on Litestar: the token by a dependency, the room by a rule, messages by structs."""

import os
from typing import Annotated, Any

import jwt
import msgspec
from litestar import Litestar, WebSocket, websocket
from litestar.di import Provide
from litestar.exceptions import NotAuthorizedException, WebSocketDisconnect
from litestar.params import Parameter

SECRET = os.environ["PEERS_SECRET"]


class Say(msgspec.Struct, tag_field="type", tag="say"):
    text: str


class Said(msgspec.Struct, tag_field="type", tag="said", rename={"sender": "from"}):
    sender: str
    text: str


class Problem(msgspec.Struct, tag_field="type", tag="error"):
    reason: str


async def current_user(token: str = "") -> str:
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]})
    except jwt.InvalidTokenError:
        raise NotAuthorizedException()
    return claims["sub"]


@websocket("/ws/rooms/{room:str}", dependencies={"user": Provide(current_user)})
async def join(
    socket: WebSocket[Any, Any, Any],
    user: str,
    room: Annotated[str, Parameter(pattern="^[A-Za-z0-9]+$", max_length=64)],
) -> None:
    await socket.accept()
    try:
        while True:
            text = await socket.receive_text()
            try:
                say = msgspec.json.decode(text, type=Say)
                answer = Said(sender=user, text=say.text)
            except msgspec.DecodeError:
                answer = Problem(reason="invalid_message")
            await socket.send_text(msgspec.json.encode(answer))
    except WebSocketDisconnect:
        pass


app = Litestar([join])
