"""The guarded room on FastAPI: the token by a dependency, the room by a rule, messages by models."""

import os
from typing import Annotated, Literal

import jwt
from fastapi import Depends, FastAPI, HTTPException, Path, Query, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field, ValidationError

SECRET = os.environ["PEERS_SECRET"]

app = FastAPI()


class Say(BaseModel):
    type: Literal["say"]
    text: str


class Said(BaseModel):
    type: Literal["said"] = "said"
    sender: str = Field(serialization_alias="from")
    text: str


class Problem(BaseModel):
    type: Literal["error"] = "error"
    reason: str


async def current_user(token: Annotated[str, Query()] = "") -> str:
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]})
    except jwt.InvalidTokenError:
        # WebSocketException, which the documentation shows here, would be 403.
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    return claims["sub"]


@app.websocket("/ws/rooms/{room}")
async def join(
    websocket: WebSocket,
    user: Annotated[str, Depends(current_user)],
    room: Annotated[str, Path(pattern="^[A-Za-z0-9]+$", max_length=64)],
):
    await websocket.accept()
    try:
        while True:
            text = await websocket.receive_text()
            try:
                say = Say.model_validate_json(text)
                answer = Said(sender=user, text=say.text)
            except ValidationError:
                answer = Problem(reason="invalid_message")
            await websocket.send_text(answer.model_dump_json(by_alias=True))
    except WebSocketDisconnect:
        pass
