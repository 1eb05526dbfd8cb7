// What the compiler takes and what it refuses of a generated client. It is compiled, never run.
import { connectEcho, connectPath, connectRoom, Failure, type Said } from "./client.js";

const credential = async () => ({ in: "subprotocol" as const, value: "token", expires: new Date() });
const room = connectRoom({ room: "lobby", since: 3 }, { credential });

room.on("said", (said) => { const by: string = said.by, tags: string[] | null = said.tags; use(by, tags); });
room.on("message.state", ({ open }) => { const is: boolean = open; use(is); });
room.on("unknown", (message) => { const it: unknown = message; use(it); });
room.on("error", ({ reason, errors }) => use(reason, errors));
const stop: () => void = room.on("state", (state) => {
  if (state.is === "waiting") use(state.why.reason, state.until);
  if (state.is === "closed" && (state.why.code === 4001 || state.why.reason === "kicked")) use(state.why.description);
});
stop();

async function uses() {
  await room.opened;
  const said: Said = await room.request("say", { text: "hi" }, { signal: AbortSignal.timeout(1) });
  room.request("fail").catch((failure) => {
    switch (failure.reason) {
      case "muted":
      case "lost":
        return failure.retryAfter;
      default:
        return failure.errors.length;
    }
  });
  const asked = room.stream("ask", { words: 3 });
  for await (const { text } of asked) use(text.length);
  const { words } = await asked.answer;
  const sent: boolean = room.send("typing");
  room.send("typing", {});
  await room.renew();
  room.retry();
  room.close();
  use(said, words, sent);
}

const raw = connectPath({ path: "a/b" });
raw.send(new ArrayBuffer(1));
raw.on("message", (data) => use(typeof data === "string" ? data.length : data.byteLength));
async function mixes() {
  for await (const event of room.stream("mix")) if (event.type === "said") use(event.text);
}

const echo = connectEcho();
echo.send({ text: "hi", tags: ["a"] });
echo.on("message", (list) => use(list?.[0]?.by));
connectRoom({ room: "lobby" }, { credential: ({ path, why, signal }) => (use(path, why, signal), null) });
connectRoom({ room: "lobby" }, { credential: () => ({ in: "ticket", value: "t", expires: 5 }), WebSocket, fetch, base: location.href });

// @ts-expect-error: a parameter is missing
connectRoom({}, { credential });
// @ts-expect-error: a parameter of another type
connectRoom({ room: 7 }, { credential });
// @ts-expect-error: a parameter that there is not
connectRoom({ room: "lobby", size: 7 }, { credential });
// @ts-expect-error: no credential
connectRoom({ room: "lobby" }, {});
// @ts-expect-error: no options
connectRoom({ room: "lobby" });
// @ts-expect-error: a source that the channel does not have
connectRoom({ room: "lobby" }, { credential: () => ({ in: "cookie" as const, value: "a" }) });
// @ts-expect-error: a credential without a value
connectRoom({ room: "lobby" }, { credential: () => ({ in: "query" as const }) });
// @ts-expect-error: a parameter where there is none
connectEcho({ room: "lobby" });
// @ts-expect-error: a credential where none is asked for
connectEcho({}, { credential });
// @ts-expect-error: a type that there is not
room.request("shout", { text: "hi" });
// @ts-expect-error: a message without an answer
room.request("typing");
// @ts-expect-error: a message with an answer
room.send("say", { text: "hi" });
// @ts-expect-error: an answer in parts
room.request("ask", { words: 3 });
// @ts-expect-error: an answer in one
room.stream("say", { text: "hi" });
// @ts-expect-error: no message
room.request("say");
// @ts-expect-error: a member is missing
room.request("say", {});
// @ts-expect-error: a member of another type
room.request("say", { text: 7 });
// @ts-expect-error: a member that there is not
room.request("say", { text: "hi", loud: true });
// @ts-expect-error: members where there are none
room.send("typing", { text: "hi" });
// @ts-expect-error: the answer is another type
const wrong: Promise<{ words: number }> = room.request("say", { text: "hi" });
// @ts-expect-error: a list may be null
room.on("said", (said) => use(said.tags.length));
// @ts-expect-error: an event that there is not
room.on("shouted", () => {});
// @ts-expect-error: the channel takes no binary messages
room.sendBinary(new ArrayBuffer(1));
// @ts-expect-error: a loop of one type has no types
echo.send("say", { text: "hi" });
// @ts-expect-error: a loop has no requests
echo.request("say", { text: "hi" });
// @ts-expect-error: a loop is not renewed by the client
echo.renew();
// @ts-expect-error: a failure is no string
room.request("fail").catch((failure: string) => failure);

use(uses, mixes, wrong, Failure);
function use(..._: unknown[]) {}
