// What the client does, in fake time. CLIENT is the compiled client of wsroute/asyncapi/testdata/rooms.
import assert from "node:assert/strict";
import { test } from "node:test";
import { World, settle } from "./world.mjs";

const { connectEcho, connectLate, connectPath, connectRoom } = await import(process.env.CLIENT);

// enter connects to a room; states are those that were told.
function enter(world, connect = connectRoom, params = { room: "lobby" }) {
  const room = connect(params, world.options), states = [];
  room.on("state", (state) => states.push(state));
  return { room, states, is: () => states.map(({ is }) => is).join(" ") };
}

// entered is a room that is open.
async function entered(world = new World()) {
  const { room, states, is } = enter(world);
  return { world, room, states, is, socket: await world.accept(1) };
}

const failure = (promise) => promise.then(() => assert.fail("there is an answer"), (failure) => failure);

test("a request has an answer", async () => {
  const { room, socket } = await entered();
  await room.opened;
  const heard = [];
  room.on("said", (said) => heard.push(said.text));
  const first = room.request("say", { text: "a" }), second = room.request("say", { text: "b" });
  assert.deepEqual(socket.sent, [{ type: "say", ref: 1, text: "a" }, { type: "say", ref: 2, text: "b" }]);
  socket.say({ type: "said", text: "of another" });
  socket.say({ type: "said", ref: 2, text: "b" });
  socket.say({ type: "said", ref: 1, text: "a" });
  assert.equal((await first).text, "a");
  assert.equal((await second).text, "b");
  assert.deepEqual(heard, ["of another"]);
});

test("a request fails", async () => {
  const { room, socket } = await entered();
  const say = room.request("say", { text: "" });
  socket.say({ type: "error", ref: 1, reason: "invalid_message", errors: [{ loc: ["text"], code: "min", param: "1" }] });
  const { reason, errors, sent } = await failure(say);
  assert.deepEqual([reason, errors, sent], ["invalid_message", [{ loc: ["text"], code: "min", param: "1" }], true]);
  const fail = room.request("fail");
  socket.say({ type: "error", ref: 2, reason: "muted", detail: "until noon", retry_after: 60 });
  const told = await failure(fail);
  assert.deepEqual([told.reason, told.detail, told.retryAfter, String(told)], ["muted", "until noon", 60, "Failure: muted: until noon"]);
});

test("a member of a message does not replace its type", async () => {
  const { room, socket } = await entered();
  room.request("say", { text: "a", type: "kick", ref: 9 });
  room.send("typing", { type: "kick" });
  assert.deepEqual(socket.sent, [{ type: "say", ref: 1, text: "a" }, { type: "typing" }]);
});

test("a request is cancelled", async () => {
  const { room, socket } = await entered();
  const stop = new AbortController();
  const say = room.request("say", { text: "a" }, { signal: stop.signal });
  stop.abort();
  assert.deepEqual(socket.sent.at(-1), { type: "cancel", ref: 1 });
  assert.equal((await failure(say)).reason, "cancelled");
  socket.say({ type: "error", ref: 1, reason: "cancelled" });
  const late = await failure(room.request("say", { text: "a" }, { signal: stop.signal }));
  assert.deepEqual([late.reason, late.sent, socket.sent.length], ["cancelled", false, 2]);
});

test("errors that answer nothing", async () => {
  const { room, socket } = await entered();
  const heard = [];
  room.on("error", (error) => heard.push(error.reason));
  socket.say({ type: "error", reason: "invalid_json" });
  assert.deepEqual(heard, ["invalid_json"]);
});

test("an answer in parts", async () => {
  const { room, socket } = await entered();
  const asked = room.stream("ask", { words: 2 });
  for (const text of ["a", "b"]) socket.say({ type: "word", ref: 1, text });
  socket.say({ type: "answer", ref: 1, words: 2 });
  const words = [];
  for await (const { text } of asked) words.push(text);
  assert.deepEqual(words, ["a", "b"]);
  assert.equal((await asked.answer).words, 2);
  assert.equal(socket.sent.length, 1, "nothing is cancelled");
});

test("who leaves an answer cancels it", async () => {
  const { room, socket } = await entered();
  const heard = [];
  room.on("word", (word) => heard.push(word));
  const asked = room.stream("ask", { words: 9 });
  socket.say({ type: "word", ref: 1, text: "a" });
  for await (const word of asked) {
    assert.equal(word.text, "a");
    break;
  }
  assert.deepEqual(socket.sent.at(-1), { type: "cancel", ref: 1 });
  socket.say({ type: "word", ref: 1, text: "late" });
  assert.deepEqual(heard, []);
  assert.equal((await failure(asked.answer)).reason, "cancelled");
});

test("a stream that is cancelled, fails or is lost", async () => {
  const { room, socket } = await entered();
  const drain = async (parts) => { for await (const _ of parts); };
  const cancelled = room.stream("ask", { words: 9 });
  cancelled.cancel();
  assert.equal((await failure(drain(cancelled))).reason, "cancelled");
  const failed = room.stream("ask", { words: 9 });
  socket.say({ type: "word", ref: 2, text: "a" });
  socket.say({ type: "error", ref: 2, reason: "internal" });
  assert.equal((await failure(drain(failed))).reason, "internal");
  const stop = new AbortController(), aborted = drain(room.stream("ask", { words: 9 }, { signal: stop.signal }));
  stop.abort();
  assert.equal((await failure(aborted)).reason, "cancelled");
  const late = room.stream("ask", { words: 9 }, { signal: stop.signal });
  assert.deepEqual([(await failure(late.answer)).reason, socket.sent.at(-1)], ["cancelled", { type: "cancel", ref: 3 }]);
  const lost = drain(room.stream("ask", { words: 9 }));
  socket.end();
  assert.equal((await failure(lost)).reason, "lost");
});

test("an answer in parts of several types", async () => {
  const { room, socket } = await entered();
  const mixed = room.stream("mix"), types = [];
  for (const type of ["word", "said", "answer"]) socket.say({ type, ref: 1 });
  for await (const { type } of mixed) types.push(type);
  assert.deepEqual([types, (await mixed.answer).type], [["word", "said"], "answer"]);
});

test("pending requests at a loss", async () => {
  const { world, room, socket, is } = await entered();
  const sent = room.request("say", { text: "sent" });
  socket.end();
  const { reason, sent: wasSent } = await failure(sent);
  assert.deepEqual([reason, wasSent], ["lost", true]);
  assert.equal(room.send("typing"), false);
  const waits = room.request("say", { text: "waits" });
  await world.clock.pass(500);
  const next = await world.accept(2);
  assert.deepEqual(next.sent, [{ type: "say", ref: 2, text: "waits" }], "what was sent is not sent again");
  next.say({ type: "said", ref: 2, text: "waits" });
  assert.equal((await waits).text, "waits");
  assert.equal(is(), "connecting open waiting connecting open");
  assert.equal(room.send("typing"), true);
});

test("a socket that is closing takes no request", async () => {
  const { world, room, socket } = await entered();
  socket.readyState = 2;
  const say = room.request("say", { text: "a" });
  assert.deepEqual(socket.sent, []);
  socket.end(1012, "server_restart");
  await world.clock.pass(500);
  const next = await world.accept(2);
  assert.equal(next.sent.length, 1);
  next.say({ type: "said", ref: 1, text: "a" });
  assert.equal((await say).text, "a");
});

test("requests before the connection is open, and at its end", async () => {
  const world = new World(), { room } = enter(world);
  const answered = room.request("say", { text: "a" }), never = room.request("say", { text: "b" });
  const socket = await world.accept(1);
  socket.say({ type: "said", ref: 1, text: "a" });
  await answered;
  socket.end(4001, "kicked");
  assert.deepEqual([(await failure(never)).reason, (await failure(never)).sent], ["kicked", true]);
  const late = await failure(room.request("say", { text: "c" }));
  assert.deepEqual([late.reason, late.sent], ["kicked", false]);
});

test("an hour of renewals", async () => {
  const world = new World();
  const life = 300_000; // of a token
  let expires = 0;
  world.credential = () => ({ in: "subprotocol", value: `token-${world.asks.length}`, expires: new Date(world.clock.now + life) });
  const { is } = enter(world);
  expires = world.clock.now + life;
  const socket = await world.accept(1);
  socket.onsent = ({ type, ref, token }) => {
    if (type === "ping") socket.say({ type: "pong" });
    if (type !== "renew") return;
    assert.equal(token, `token-${world.asks.length}`);
    assert.ok(world.clock.now < expires, "the token has expired");
    expires = world.clock.now + life;
    socket.say({ type: "renewed", ref, expires: new Date(expires).toISOString() });
  };
  await world.clock.pass(3_600_000);
  assert.ok(world.clock.now < expires);
  assert.equal(is(), "connecting open");
  assert.equal(world.sockets.length, 1);
  assert.deepEqual(world.whys, ["connect", ...Array(18).fill("renew")]); // each 200 s
});

test("a renewal that fails is tried again before the token expires", async () => {
  const world = new World();
  const begin = world.clock.now;
  world.credential = ({ why }) => {
    if (why === "renew" && world.asks.length === 2) throw new Error("the identity provider is away");
    return { in: "subprotocol", value: "token", expires: begin + 90_000 };
  };
  enter(world);
  const socket = await world.accept(1), renewals = [];
  socket.onsent = ({ type, ref }) => {
    if (type === "ping") socket.say({ type: "pong" });
    if (type !== "renew") return;
    renewals.push(world.clock.now - begin);
    if (renewals.length === 1) socket.say({ type: "error", ref, reason: "internal" });
    else socket.say({ type: "renewed", ref, expires: null });
  };
  await world.clock.pass(600_000);
  assert.deepEqual(world.whys, ["connect", "renew", "renew", "renew"]);
  assert.equal(renewals.length, 2);
  assert.ok(renewals[1] < 90_000, `renewed after ${renewals[1]} ms`);
});

test("clocks that differ, and tokens that hold for long", async () => {
  for (const [expires, renewal] of [[-5_000, 60_000], [100 * 86_400_000, 2 ** 31 - 1], [600, 1_000]]) {
    const world = new World();
    world.credential = () => ({ in: "subprotocol", value: "token", expires: world.clock.now + expires });
    enter(world);
    const socket = await world.accept(1);
    socket.onsent = ({ type }) => { if (type === "ping") socket.say({ type: "pong" }); };
    await world.clock.pass(renewal - 1);
    assert.deepEqual(world.whys, ["connect"], `${expires} ms`);
    await world.clock.pass(1);
    assert.deepEqual(world.whys, ["connect", "renew"], `${expires} ms`);
  }
});

test("renew goes on with what a sign-in has brought", async () => {
  const { world, room, socket } = await entered();
  const renewed = room.renew();
  await settle();
  socket.say({ type: "renewed", ref: socket.sent[0].ref, expires: null });
  await renewed;
  assert.deepEqual(world.whys, ["connect", "renew"]);
  world.credential = () => null;
  assert.equal((await failure(room.renew())).reason, "credentials_required");
});

test("one renewal at a time", async () => {
  const { world, room, socket } = await entered();
  const both = [room.renew(), room.renew()];
  await settle();
  assert.equal(socket.sent.length, 1);
  socket.say({ type: "error", ref: 1, reason: "internal" });
  assert.equal((await failure(both[0])).reason, "internal");
  await settle();
  assert.equal(socket.sent.length, 2);
  socket.say({ type: "renewed", ref: 2, expires: null });
  await both[1];
  socket.end();
  await room.renew();
  assert.deepEqual(world.whys, ["connect", "renew", "renew", "renew"]);
});

test("a renewal that hangs ends with its connection", async () => {
  const { world, room, socket } = await entered();
  world.credential = () => new Promise(() => {});
  room.renew();
  await settle();
  socket.end();
  world.credential = () => ({ in: "subprotocol", value: "token" });
  await world.clock.pass(500);
  const next = await world.accept(2);
  room.renew();
  await settle();
  assert.equal(next.sent.at(-1).type, "renew");
});

test("a server restart", async () => {
  const { world, socket, states, is } = await entered();
  socket.end(1012, "server_restart");
  assert.deepEqual(states.at(-1), {
    is: "waiting", why: { reason: "server_restart", code: 1012, description: "the server stops" }, until: world.clock.now + 500,
  });
  await world.clock.pass(499);
  assert.equal(world.sockets.length, 1);
  await world.clock.pass(1);
  await world.accept(2);
  assert.equal(is(), "connecting open waiting connecting open");
  assert.deepEqual(world.whys, ["connect", "connect"]);
});

test("an expiry is followed by a fresh credential, at once", async () => {
  const { world, socket, is } = await entered();
  socket.end(3000, "token_expired");
  await world.accept(2);
  assert.equal(is(), "connecting open connecting open");
  assert.deepEqual(world.whys, ["connect", "rejected"]);
  await world.clock.pass(5_000);
  world.sockets[1].end(3000, "token_expired");
  await world.accept(3);
  assert.deepEqual(world.whys, ["connect", "rejected", "rejected"]);
  assert.equal(is(), "connecting open connecting open connecting open");
  world.sockets[2].end(3000, "token_expired"); // before it was open for long: not at once again
  assert.equal(is(), "connecting open connecting open connecting open waiting");
  await world.clock.pass(1_000);
  await world.accept(4);
  assert.equal(world.whys.at(-1), "connect");
});

for (const [what, code, reason, description] of [
  ["a revocation", 3000, "revoked", "the authorisation was taken back"],
  ["a kick", 4001, "kicked", "a moderator has removed the account"],
  ["the end of the conversation", 1000, "", "the conversation is over"],
  ["a code of the program's that is not declared", 4999, "odd", undefined],
  ["a kick by another name", 4001, "odd", undefined],
]) {
  test(`${what} ends it`, async () => {
    const { world, room, socket, states } = await entered();
    socket.end(code, reason);
    const why = { reason: reason || "closed", code, ...description && { description } };
    assert.deepEqual(states.at(-1), { is: "closed", why });
    assert.deepEqual(room.state, states.at(-1));
    await world.clock.pass(600_000);
    assert.deepEqual([world.sockets.length, world.clock.pending], [1, 0]);
    assert.ok(world.asks[0].signal.aborted);
  });
}

for (const [code, reason] of [[1001, ""], [1005, ""], [1006, ""], [1011, ""], [1011, "odd"], [1013, "slow_reader"], [1008, "handler_stalled"], [1014, ""], [3999, "odd"]]) {
  test(`${code} ${reason} is followed by another connection, later`, async () => {
    const { world, socket, is } = await entered();
    socket.end(code, reason);
    assert.equal(is(), "connecting open waiting");
    await world.clock.pass(500);
    await world.accept(2);
    assert.equal(is(), "connecting open waiting connecting open");
    assert.deepEqual(world.whys, ["connect", "connect"]);
  });
}

test("a refused handshake", async () => {
  const world = new World(), { room, states } = enter(world);
  world.refusals = [[403, { reason: "banned", detail: "for good", status: 403 }]];
  (await world.socket(1)).end();
  await settle();
  const why = { reason: "banned", status: 403, detail: "for good", errors: undefined };
  assert.deepEqual(states, [{ is: "connecting" }, { is: "closed", why }]);
  const { name, reason, detail } = await failure(room.opened);
  assert.deepEqual([name, reason, detail], ["Failure", "banned", "for good"]);
  const [{ url, init }] = world.gets;
  assert.equal(url, "https://rooms.example.com/ws/rooms/lobby");
  assert.deepEqual([init.headers, init.credentials, init.cache], [{ Authorization: "Bearer token" }, "same-origin", "no-store"]);
  assert.equal(world.clock.pending, 0);
});

test("wrong parameters", async () => {
  const world = new World(), { states } = enter(world);
  const errors = [{ loc: ["path", "room"], code: "alphanum" }];
  world.refusals = [[422, { reason: "invalid_parameters", errors }]];
  (await world.socket(1)).end();
  await settle();
  assert.deepEqual([states.at(-1).is, states.at(-1).why.errors], ["closed", errors]);
});

test("a 401 asks for a fresh credential, once", async () => {
  const world = new World(), { is, states } = enter(world);
  world.refusals = [[401, { reason: "invalid_token" }], [401, { reason: "invalid_token" }]];
  (await world.socket(1)).end();
  (await world.socket(2)).end();
  await settle();
  assert.equal(is(), "connecting connecting closed");
  assert.equal(states.at(-1).why.reason, "invalid_token");
  assert.deepEqual(world.whys, ["connect", "rejected"]);
});

test("a 401 after another obstacle asks again", async () => {
  const world = new World();
  enter(world);
  world.refusals = [[401, { reason: "invalid_token" }], [503, { reason: "draining" }], [401, { reason: "invalid_token" }]];
  (await world.socket(1)).end();
  (await world.socket(2)).end();
  await world.clock.pass(500);
  (await world.socket(3)).end();
  await world.accept(4);
  assert.deepEqual(world.whys, ["connect", "rejected", "connect", "rejected"]);
});

test("a fresh credential is let in", async () => {
  const world = new World(), { is } = enter(world);
  world.refusals = [[401, { reason: "invalid_token" }]];
  (await world.socket(1)).end();
  await world.accept(2);
  assert.equal(is(), "connecting connecting open");
});

for (const [what, refusal, least, reason] of [
  ["busy", [503, { reason: "draining" }, { "Retry-After": "7" }], 7_000, "draining"],
  ["asked too often", [429, { reason: "too_many_from_address" }], 500, "too_many_from_address"],
  ["behind a proxy that has lost it", [502, {}], 500, "status_502"],
  ["away", [0], 500, "unreachable"],
  ["not reached by the WebSocket alone", [426, {}], 500, "lost"],
]) {
  test(`a server that is ${what} is tried again`, async () => {
    const world = new World(), { is, states } = enter(world);
    world.refusals = [refusal];
    (await world.socket(1)).end();
    await settle();
    assert.deepEqual([is(), states[1].why.reason, states[1].until - world.clock.now], ["connecting waiting", reason, least]);
    await world.clock.pass(least);
    await world.accept(2);
    assert.equal(is(), "connecting waiting connecting open");
  });
}

test("a diagnosis that is not answered", async () => {
  const world = new World();
  world.options.fetch = (_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const { states, is } = enter(world);
  (await world.socket(1)).end();
  await world.clock.pass(5_000);
  assert.deepEqual([is(), states[1].why.reason], ["connecting waiting", "unreachable"]);
});

test("a route that accepts and then closes", async () => {
  const world = new World(), { room, states, is } = enter(world, connectLate, {});
  const say = room.request("say", { text: "a" });
  let socket = await world.accept(1);
  assert.deepEqual(socket.sent, [{ type: "ping" }], "it is not open before the server has said something");
  socket.end(3000, "invalid_token");
  socket = await world.accept(2);
  assert.deepEqual(world.whys, ["connect", "rejected"]);
  assert.equal(world.sockets[1].sent.length, 1);
  const second = room.request("say", { text: "b" });
  assert.equal(socket.sent.length, 1);
  socket.say({ type: "pong" });
  assert.deepEqual(socket.sent[1], { type: "say", ref: 1, text: "a" });
  for (const ref of [1, 2]) socket.say({ type: "said", ref, text: "a" });
  await say;
  await second;
  assert.equal(is(), "connecting connecting open");
  socket.end(3000, "invalid_token");
  assert.deepEqual(states.at(-1).why, { reason: "invalid_token", code: 3000, description: "the credential is not valid, or not any more" });
  assert.equal(states.at(-1).is, "closed");
  assert.equal(world.gets.length, 0, "nothing is diagnosed");
});

test("a half-open network", async () => {
  const { world, room, socket, is } = await entered();
  const lost = failure(room.request("say", { text: "a" }));
  await world.clock.pass(19_999);
  assert.equal(socket.sent.length, 1);
  await world.clock.pass(1);
  assert.deepEqual(socket.sent.at(-1), { type: "ping" });
  await world.clock.pass(9_999);
  assert.equal(is(), "connecting open");
  await world.clock.pass(1);
  assert.equal(is(), "connecting open waiting");
  assert.equal(socket.closed, 1000);
  assert.deepEqual([(await lost).reason, (await lost).sent], ["lost", true]);
  socket.say({ type: "said", text: "late" });
  socket.end();
  await world.clock.pass(500);
  await world.accept(2);
  assert.equal(is(), "connecting open waiting connecting open", "what comes late of the old socket changes nothing");
});

test("a server that answers pings, or talks, is there", async () => {
  const { world, room, socket, is } = await entered();
  room.on("unknown", () => assert.fail("a pong is known"));
  socket.onsent = ({ type }) => { if (type === "ping") socket.say({ type: "pong" }); };
  await world.clock.pass(200_000);
  assert.equal(socket.sent.length, 10);
  for (let i = 0; i < 20; i++) {
    await world.clock.pass(15_000);
    socket.say({ type: "said", text: "still here" });
  }
  assert.equal(socket.sent.length, 10);
  assert.equal(is(), "connecting open");
});

test("a handshake that is not answered", async () => {
  const world = new World(), { is, states } = enter(world);
  const socket = await world.socket(1);
  await world.clock.pass(10_000);
  assert.equal(socket.closed, 1000);
  assert.equal(is(), "connecting waiting");
  assert.equal(states[1].why.reason, "lost");
});

test("a token, and one outside the token alphabet", async () => {
  for (const [value, protocol] of [
    ["ab.c~d-e_f", "bearer"], ["a+b/c==", "base64url.bearer.authorization.rooms.YStiL2M9PQ"], ["schlüssel", "base64url.bearer.authorization.rooms.c2NobMO8c3NlbA"],
    [">>>???", "base64url.bearer.authorization.rooms.Pj4-Pz8_"],
  ]) {
    const world = new World();
    world.credential = () => ({ in: "subprotocol", value });
    enter(world);
    const { protocols } = await world.socket(1);
    assert.deepEqual(protocols, protocol === "bearer" ? ["rooms.v1", "bearer", value] : ["rooms.v1", protocol]);
  }
  const world = new World();
  world.credential = () => ({ in: "subprotocol", value: "a+b" });
  const { states } = enter(world, connectLate, {});
  await settle();
  assert.deepEqual([states.at(-1).is, states.at(-1).why.reason, world.sockets.length], ["closed", "token_alphabet", 0]);
});

test("credentials in the URL", async () => {
  const world = new World();
  world.options.base = "wss://rooms.example.com/base/";
  world.credential = () => ({ in: "query", value: "a&b" });
  enter(world, connectRoom, { room: "a/b ü", since: 7 });
  const { url, protocols } = await world.socket(1);
  assert.equal(url.href, "wss://rooms.example.com/base/ws/rooms/a%2Fb%20%C3%BC?since=7&token=a%26b");
  assert.deepEqual(protocols, ["rooms.v1"]);
  assert.equal(world.asks[0].path, "/base/ws/rooms/a%2Fb%20%C3%BC");
  world.credential = () => ({ in: "ticket", value: "t1" });
  enter(world);
  const second = await world.socket(2);
  assert.equal(second.url.search, "?ticket=t1");
  second.end();
  await settle();
  assert.deepEqual([world.gets[0].url, world.gets[0].init.headers], ["https://rooms.example.com/base/ws/rooms/lobby?ticket=t1", {}]);
});

test("without a page, some options are needed", () => {
  const { WebSocket } = new World().options;
  assert.throws(() => connectEcho({}, { WebSocket }), { name: "TypeError", message: /set the option base/ });
  const { WebSocket: browsers } = globalThis; // later nodes have it
  delete globalThis.WebSocket;
  assert.throws(() => connectEcho(), { name: "TypeError", message: /set the option WebSocket/ });
  if (browsers) globalThis.WebSocket = browsers;
});

test("a policy that blocks: the constructor throws", async () => {
  const world = new World(), { states } = enter(world);
  world.refuse = new DOMException("refused to connect", "SecurityError");
  await world.clock.pass(600_000);
  assert.deepEqual(states, [{ is: "connecting" }, { is: "closed", why: { reason: "blocked", detail: "SecurityError: refused to connect" } }]);
  assert.equal(world.asks.length, 1);
});

test("a policy that blocks: an error without a close", async () => {
  const world = new World(), { states } = enter(world);
  (await world.socket(1)).fail();
  await world.clock.pass(600_000);
  assert.deepEqual(states, [{ is: "connecting" }, { is: "closed", why: { reason: "blocked" } }]);
});

test("an error with a close", async () => {
  const world = new World(), { is } = enter(world);
  const socket = await world.socket(1);
  socket.fail();
  socket.end();
  await settle();
  assert.equal(is(), "connecting waiting");
  const open = await entered();
  open.socket.fail();
  await open.world.clock.pass(1_000);
  assert.equal(open.is(), "connecting open waiting", "an open connection is lost by it");
});

test("the backoff doubles, by chance, and is reset by five seconds of being open", async () => {
  const world = new World(), { states } = enter(world);
  const delays = () => states.filter(({ is }) => is === "waiting").map(({ until }, i) => until - begun[i]);
  const begun = [];
  const lose = async (n) => {
    begun.push(world.clock.now);
    (await world.socket(n)).end();
    await settle();
    await world.clock.pass(states.at(-1).until - world.clock.now);
  };
  for (let n = 1; n <= 8; n++) await lose(n);
  assert.deepEqual(delays(), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  world.random = 0.25;
  await lose(9);
  assert.equal(delays().at(-1), 7_500);
  world.random = 1;
  await world.accept(10);
  await world.clock.pass(4_999);
  await lose(10);
  assert.equal(delays().at(-1), 30_000);
  await world.accept(11);
  await world.clock.pass(5_000);
  await lose(11);
  assert.equal(delays().at(-1), 500);
});

test("retry does not wait", async () => {
  const { world, room, socket, is } = await entered();
  room.retry();
  socket.end();
  room.retry();
  await world.accept(2);
  assert.equal(is(), "connecting open waiting connecting open");
});

test("unknown types, and what is no JSON", async () => {
  const { room, socket } = await entered();
  const unknown = [], states = [];
  room.on("unknown", (message) => unknown.push(message));
  room.on("message.state", (state) => states.push(state.open));
  for (const message of [{ type: "new", a: 1 }, "{", "null", [1], { type: 7 }]) socket.say(message);
  assert.deepEqual(unknown, [{ type: "new", a: 1 }, "{", null, [1], { type: 7 }]);
  socket.say({ type: "state", open: true });
  assert.deepEqual(states, [true]);
});

test("a listener that is taken away", async () => {
  const { room, socket } = await entered();
  const heard = [], stop = room.on("said", () => heard.push(1));
  socket.say({ type: "said" });
  stop();
  socket.say({ type: "said" });
  assert.deepEqual(heard, [1]);
});

test("a listener that throws does not keep others from hearing", async () => {
  const { room, socket } = await entered();
  const heard = [], queued = [], { queueMicrotask } = globalThis;
  room.on("said", () => { throw new Error("a bug"); });
  room.on("said", () => heard.push(1));
  globalThis.queueMicrotask = (f) => queued.push(f);
  socket.say({ type: "said" });
  globalThis.queueMicrotask = queueMicrotask;
  assert.deepEqual(heard, [1]);
  assert.throws(queued[0], /a bug/);
});

test("close", async () => {
  const { world, room, socket, states } = await entered();
  const say = room.request("say", { text: "a" });
  room.close();
  room.close();
  assert.equal(socket.closed, 1000);
  socket.end(1000);
  assert.deepEqual(states.at(-1), { is: "closed", why: { reason: "closed" } });
  assert.equal(states.length, 3);
  assert.equal((await failure(say)).reason, "closed");
  assert.equal(world.clock.pending, 0);
  room.retry();
  await world.clock.pass(600_000);
  assert.equal(world.sockets.length, 1);
});

test("close while it connects", async () => {
  const unused = new World(), never = enter(unused);
  never.room.close();
  await settle();
  assert.deepEqual([never.is(), unused.asks.length], ["closed", 0]);
  const eager = new World(), early = enter(eager);
  early.room.on("state", () => early.room.close());
  await settle();
  assert.deepEqual([early.is(), eager.asks.length], ["connecting closed", 0]);
  const world = new World(), { room } = enter(world);
  const socket = await world.socket(1);
  room.close();
  assert.equal(socket.closed, 1000);
  assert.equal((await failure(room.opened)).reason, "closed");
  const slow = new World();
  let found;
  slow.credential = () => new Promise((resolve) => { found = resolve; });
  const second = enter(slow).room;
  await settle();
  second.close();
  assert.ok(slow.asks[0].signal.aborted);
  found({ in: "subprotocol", value: "late" });
  await settle();
  assert.equal(slow.sockets.length, 0);
  let fail;
  slow.credential = () => new Promise((_, reject) => { fail = reject; });
  const third = enter(slow).room;
  await settle();
  third.close();
  fail(new Error("late"));
  await settle();
  const asked = new World();
  let answer;
  asked.options.fetch = () => new Promise((resolve) => { answer = resolve; });
  const fourth = enter(asked).room;
  (await asked.socket(1)).end();
  fourth.close();
  answer(new Response("{}", { status: 503 }));
  await settle();
  assert.deepEqual([third.state.is, fourth.state.is, slow.clock.pending, asked.clock.pending], ["closed", "closed", 0, 0]);
});

test("without a fresh credential, the end says what was rejected", async () => {
  const expired = new World(), refused = new World();
  for (const world of [expired, refused]) {
    world.credential = ({ why }) => why === "rejected" ? null : { in: "subprotocol", value: "alice" };
  }
  const { socket, is, states } = await entered(expired);
  socket.end(3000, "token_expired");
  await settle();
  assert.equal(is(), "connecting open connecting closed");
  assert.deepEqual([states.at(-1).why.code, states.at(-1).why.reason], [3000, "token_expired"]);
  const { room } = enter(refused);
  refused.refusals = [[401, { reason: "invalid_token" }]];
  (await refused.socket(1)).end();
  await settle();
  assert.deepEqual([room.state.is, room.state.why.status, room.state.why.reason], ["closed", 401, "invalid_token"]);
});

test("no credential, and none at the moment", async () => {
  const world = new World();
  world.credential = () => null;
  const { states } = enter(world);
  await settle();
  assert.deepEqual(states, [{ is: "connecting" }, { is: "closed", why: { reason: "credentials_required" } }]);
  const away = new World();
  away.credential = async () => { throw new Error("no network"); };
  const second = enter(away);
  await settle();
  assert.deepEqual([second.is(), second.states[1].why.reason, second.states[1].why.detail], ["connecting waiting", "credential_failed", "Error: no network"]);
  away.credential = () => ({ in: "subprotocol", value: "a" });
  await away.clock.pass(500);
  await away.accept(1);
  assert.equal(second.is(), "connecting waiting connecting open");
});

test("a loop of one type", async () => {
  const world = new World(), { room, is } = enter(world, connectEcho, {});
  assert.equal(room.send({ text: "a" }), false);
  const socket = await world.accept(1), heard = [];
  room.on("message", (list) => heard.push(list));
  assert.equal(room.send({ text: "a" }), true);
  assert.deepEqual(socket.sent, [{ text: "a" }]);
  socket.say([{ by: "echo", text: "a" }]);
  socket.say("null");
  assert.deepEqual(heard, [[{ by: "echo", text: "a" }], null]);
  await world.clock.pass(60_000);
  assert.deepEqual([socket.sent.length, is()], [1, "connecting open"], "a loop knows no ping");
});

test("text and bytes as they are, and a path with slashes", async () => {
  const world = new World(), { room } = enter(world, connectPath, { path: "a b/c" });
  const socket = await world.accept(1), heard = [];
  assert.equal(socket.url.pathname, "/ws/raw/a%20b/c");
  room.on("message", (data) => heard.push(data));
  room.send("no JSON");
  assert.deepEqual(socket.sent, ["no JSON"]);
  socket.say("no JSON");
  socket.onmessage({ data: new ArrayBuffer(3) });
  assert.deepEqual([heard[0], heard[1].byteLength, socket.binaryType], ["no JSON", 3, "arraybuffer"]);
});
