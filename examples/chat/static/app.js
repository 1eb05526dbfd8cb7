// The page: signing in, choosing a room, talking.

import { connectRoom } from "./client.js";
import { Messages } from "./messages.js";
import { clock, element, face } from "./parts.js";
import { Session } from "./session.js";
import { sentence } from "./words.js";

const $ = (id) => document.getElementById(id);

const pageSize = 30; // how many messages are asked for at once
const whole = 100; // how many a room remembers
const lookEvery = 3_000; // ms
const typingEvery = 2_000; // ms from one word of typing to the next
const typingFor = 5_000; // ms until somebody counts as not typing any more

let user = ""; // who is signed in
let session = null; // the sign-in, for as long as the page is open, and nowhere else
let link = null; // the connection to the room
let talk = null; // the conversation on the page: its room, how much of it was seen
let returnTo = ""; // the room to go back to after signing in again
let recent = []; // the rooms that were joined, the last one first

// ---- what is to be seen

// show makes one of the three views the visible one.
function show(view, focus) {
  for (const id of ["sign-in", "lobby", "chat"]) $(id).hidden = id !== view;
  $("who").hidden = view === "sign-in";
  $("place").hidden = view !== "chat";
  $("menu").hidePopover();
  $("name").textContent = user;
  $("portrait").replaceChildren(face(user));
  showEnd();
  document.title = view === "chat" ? `${talk.room} – Chat` : "Chat";
  $(focus).focus();
  if (focus === "room") $("room").select(); // typing replaces it, Enter takes it
  look();
}

// tell says how things are, in a text or an array of texts and elements: tone is "", "good",
// "busy", "bad" or "unseen". Its buttons come and go; whoever was on one that goes is brought to where
// work goes on.
function tell(text, tone = "", { until = 0, now = "", giveUp = false } = {}) {
  $("aside").textContent = "";
  const from = document.activeElement;
  const said = element("p", "", "");
  said.append(...[text].flat());
  if ($("status").textContent !== said.textContent) $("status").replaceChildren(...said.childNodes);
  $("notice").dataset.tone = tone;
  $("now").hidden = now === "";
  $("now").textContent = now;
  $("give-up").hidden = !giveUp;
  if (from?.hidden) goOn();
  countDown(until);
}

// goOn brings the focus to where work goes on.
function goOn() {
  $($("chat").hidden ? "room" : "text").focus();
}

// busy makes a button look and sound busy, with a text for as long, or not any more.
function busy(id, text = "") {
  const button = $(id);
  button.dataset.idle ??= button.textContent;
  button.ariaBusy = String(text !== "");
  button.textContent = text || button.dataset.idle;
}

const isBusy = (id) => $(id).ariaBusy === "true";

let ticking = 0;

// countDown shows the seconds that are left. They are no news for a screen reader.
function countDown(until) {
  clearInterval(ticking);
  const tick = () => {
    const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    $("countdown").textContent = until ? `in ${left} s` : "";
  };
  tick();
  if (until) ticking = setInterval(tick, 250);
}

// roomName sets the name of a room off from the words around it.
const roomName = (name) => element("b", "", name);

// ---- signing in

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (isBusy("enter")) return;
  busy("enter", "Signing in …");
  tell("Signing in …", "unseen"); // for those who listen: the button shows it
  try {
    const form = new URLSearchParams(new FormData(event.target));
    const response = await fetch("/token", { method: "POST", body: form, signal: AbortSignal.timeout(10_000) });
    const answer = await response.json();
    if (!response.ok) {
      tell(answer.error === "invalid_grant" ? "That is not the name and the password of an account." : `Signing in failed. (${answer.error})`, "bad");
      $("password").select();
      return;
    }
    if (form.get("username") !== user) talk = null; // what another one saw
    user = form.get("username");
    session = new Session(answer, $("stay").checked, { renewed });
    $("password").value = "";
    tell("");
    show("lobby", "room");
    if (returnTo) join(returnTo);
    returnTo = "";
  } catch {
    tell("The server cannot be reached.", "bad");
  } finally {
    busy("enter");
  }
});

// renewed shows that there is a new token. The connection asks for it before the old one ends.
function renewed() {
  showEnd();
  if (isOpen()) $("aside").replaceChildren("Sign-in renewed at ", clock(Date.now()));
}

const lastMinute = 60_000;
let ending = 0;

// showEnd says until when the sign-in lasts, and what happens then. Whoever does not stay is
// warned in the last minute.
function showEnd() {
  clearTimeout(ending);
  $("ending").hidden = true;
  if (!session) return;
  const stay = $("stay").checked;
  const then = stay ? "It is renewed for as long as this page is open." : "Then you are signed out.";
  $("expiry").replaceChildren("Your sign-in lasts until ", clock(session.ends), `. ${then}`);
  if (stay) return;
  const calm = session.ends - Date.now() - lastMinute;
  $("ending").hidden = calm > 0;
  if (calm > 0) ending = setTimeout(showEnd, calm);
}

$("stay").addEventListener("change", () => {
  session.stay = $("stay").checked;
  showEnd();
});

$("stay-now").addEventListener("click", () => {
  $("stay").click();
  goOn();
});

// signOut forgets the sign-in on this page. why says so if it was not the user who wanted it.
function signOut(why, tone = "bad") {
  leave();
  session.leave();
  session = null;
  busy("go");
  $("username").value = user;
  tell(why, tone);
  show("sign-in", user ? "password" : "username");
}

const endings = {
  everywhere: ["Signed out, here and wherever else you were.", "good"],
  here: ["Signed out.", "good"],
  unknown: ["Signed out on this page. The server has not answered: elsewhere you may be signed in still.", "bad"],
};

// forget leaves nothing on the page of whoever has signed out.
function forget(text, tone) {
  returnTo = user = "";
  talk = null;
  recent = [];
  signOut(text, tone);
}

// The page forgets its token; other pages have their own.
$("sign-out").addEventListener("click", () => forget("Signed out.", "good"));

// This ends everything that the account has open, here and elsewhere.
$("sign-out-everywhere").addEventListener("click", async () => {
  const told = session.end();
  const doing = "Signing out …";
  forget(doing, "busy");
  const [text, tone] = endings[await told];
  if ($("status").textContent === doing) tell(text, tone); // nobody has signed in meanwhile
});

// ---- the rooms

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  join($("room").value.trim());
});

function join(room) {
  if (isBusy("go") && talk?.room === room) return;
  leave();
  $("room").value = room;
  if (talk?.room !== room) talk = { room, members: new Set(), opened: false, loaded: false, restarting: false, barred: 0 };
  const mine = link = connectRoom({ room }, { credential: credentials(session) });
  mine.on("state", (state) => {
    if (mine === link) changed(state);
  });
  for (const type of Object.keys(hears)) mine.on(type, hear);
}

// credentials makes the option credential of a connection. A token that was rejected is not
// tried again.
function credentials(session) {
  let used = "";
  return async ({ why }) => {
    const value = why === "renew" ? await session.renewed() : session.token;
    if (!value || (why === "rejected" && value === used)) return null;
    used = value;
    return { in: "subprotocol", value, expires: session.ends };
  };
}

const isOpen = () => link?.state.is === "open";

// leave closes the connection. Nothing is shown of its end.
function leave() {
  const left = link;
  link = null;
  left?.close();
}

// ask sends a message at once or not at all, and resolves to its answer or to a failure: see
// sentence.
async function ask(type, message) {
  if (!isOpen()) return { reason: "offline" };
  return link.request(type, message).catch((failure) => failure);
}

// changed shows the state of the connection.
function changed(state) {
  const mine = talk;
  $("send").ariaDisabled = String(state.is !== "open");
  $("chat").dataset.live = String(state.is === "open");
  quiet(); // who goes on typing is told again
  switch (state.is) {
    case "connecting":
      if (!mine.opened) busy("go", "Joining …");
      tell(["Connecting to ", roomName(mine.room), " …"], "busy", { giveUp: true });
      break;
    case "open":
      busy("go");
      tell(mine.restarting ? "Connected. The server has restarted." : "Connected.", "good");
      mine.restarting = false;
      mine.barred = 0;
      if (!mine.opened) begin(mine);
      if ($("chat").hidden) show("chat", "text");
      load(mine);
      break;
    case "waiting":
      tell(`${obstacle(mine, state.why)} Trying again.`, "busy", { until: state.until, now: "Try now", giveUp: true });
      break;
    case "closed":
      stopped(mine, state.why);
  }
}

// obstacle says why there is no connection at the moment.
function obstacle(mine, why) {
  if (why.code && why.code !== 1006) mine.restarting = why.code === 1012;
  else if (mine.restarting) return "The server has not come back from its restart yet.";
  if (why.reason === "lost" && why.detail && ++mine.barred > 2) { // it would accept the connection
    return "The server would let you in, but no WebSocket gets through to it. Something in between may not let it pass.";
  }
  return sentence(why);
}

// begin makes the page ready for a new conversation.
function begin(mine) {
  mine.opened = true;
  recent = [mine.room, ...recent.filter((room) => room !== mine.room)].slice(0, 8);
  $("title").textContent = mine.room;
  messages.begin(user);
  edits(null);
  showMembers();
}

const asked = new Set(); // for each page that is asked for: what has come since

// history asks for a page of messages and shows it. What has come since may be newer than the page,
// and is shown once more. It returns the answer.
async function history(members, show) {
  const mine = talk;
  const since = [];
  asked.add(since);
  const answer = await ask("history", members);
  asked.delete(since);
  if (mine === talk && answer.type === "page") {
    show(answer.messages);
    for (const event of since) hears[event.type](event);
  }
  return answer;
}

// load shows what was said before, or what the page has missed.
function load(mine) {
  const limit = mine.loaded ? whole : pageSize;
  const { ids } = messages;
  history({ limit }, (page) => {
    if (mine.loaded) messages.catchUp(ids, page, page.length === limit);
    else messages.addOlder(page, page.length === limit);
    mine.loaded = true;
  });
}

$("older").addEventListener("click", async () => {
  const answer = await history({ before: messages.ids[0], limit: pageSize }, (page) => {
    messages.addOlder(page, page.length === pageSize);
    if ($("older").hidden) $("messages").focus();
  });
  if (answer.type !== "page") $("status").textContent = `Older messages were not loaded. ${sentence(answer)}`;
});

function stopped(mine, end) {
  const why = sentence(end);
  busy("go");
  if (end.code === 3000 || end.status === 401 || end.reason === "credentials_required") {
    returnTo = mine.room;
    signOut([`${why} Sign in again to go on to `, roomName(mine.room), "."]);
    return;
  }
  if (mine.opened) {
    tell(why, "bad", { now: "Join again" });
    return;
  }
  talk = null;
  tell([roomName(mine.room), ` was not joined. ${why}`], "bad");
  $("room").value = mine.room;
  $("room").ariaInvalid = "true";
  $("room").select();
}

$("room").addEventListener("input", () => {
  $("room").ariaInvalid = null;
});

$("now").addEventListener("click", () => {
  if ($("now").textContent === "Join again") join(talk.room);
  else link?.retry();
});

$("give-up").addEventListener("click", () => {
  leave();
  busy("go");
  if (talk.opened) tell("Not connected.", "bad", { now: "Join again" });
  else tell("");
  $(talk.opened ? "now" : "room").focus();
});

$("leave").addEventListener("click", () => {
  leave();
  $("room").value = talk.room;
  talk = null;
  tell("");
  show("lobby", "room");
});

addEventListener("online", () => link?.retry());

// ---- who is where

let looking = 0;

// look brings the list of the rooms up to date, now and every few seconds. Who is in a room is
// told by its connection.
async function look() {
  clearTimeout(looking);
  if ($("lobby").hidden) return;
  const turn = looking = setTimeout(look, lookEvery);
  if (document.hidden || !session) return;
  const { status, body } = await session.ask("/rooms");
  if (turn !== looking || $("lobby").hidden) return; // a later look has begun
  if (status === 401) {
    signOut(session.over ? "Your sign-in has run out." : "Your sign-in is not valid any more: you have signed out elsewhere, or the server was restarted.");
  } else if (body) {
    showRooms(body.rooms);
  }
}

document.addEventListener("visibilitychange", look);

// replace fills a list anew, if it is not the same already.
function replace(list, things, make) {
  const key = JSON.stringify(things);
  if (list.dataset.key === key && list.childElementCount === things.length) return;
  list.dataset.key = key;
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.name : null;
  list.replaceChildren(...things.map(make));
  if (focused !== null) (list.querySelector(`[data-name="${CSS.escape(focused)}"]`) ?? $($("chat").hidden ? "room" : "text")).focus();
}

// showMembers shows who is in the room, and lets those remove others whose sign-in allows it.
function showMembers() {
  const admin = session.scopes.includes("rooms:admin");
  $("members-fault").textContent = "";
  replace($("members"), [...talk.members].sort(), (name) => {
    const item = element("li", "", "");
    const kick = element("button", "kick quiet", "×");
    kick.type = "button";
    kick.dataset.name = name;
    kick.ariaLabel = `Remove ${name} from the room`;
    kick.hidden = !admin || name === user;
    item.append(face(name), element("span", "", name === user ? `${name} (you)` : name), kick);
    return item;
  });
}

$("members").addEventListener("click", async ({ target }) => {
  const kick = target.closest(".kick");
  if (!kick) return;
  const mine = talk;
  const answer = await ask("kick", { user: kick.dataset.name });
  if (mine !== talk) return;
  if (answer.type === "kicked") kicked(answer);
  else $("members-fault").textContent = `${kick.dataset.name} was not removed. ${sentence(answer)}`;
});

function kicked(event) {
  if (event.user !== user) messages.note(`${event.user} was removed from the room.`);
}

function showRooms(open) {
  const others = recent.filter((name) => !open.some((room) => room.name === name));
  const rooms = [...open, ...others.map((name) => ({ name, members: [] }))];
  $("no-rooms").hidden = rooms.length > 0;
  replace($("rooms"), rooms.map(({ name, members }) => ({ name, members })), ({ name, members }) => {
    const item = element("li", "", "");
    const button = element("button", "quiet room", "");
    button.type = "button";
    button.dataset.name = name;
    button.append(element("b", "", name), " ", element("span", "", members.length ? members.join(", ") : "nobody just now"));
    button.addEventListener("click", () => join(name));
    item.append(button);
    return item;
  });
}

// ---- talking

const messages = new Messages($("messages"), $("older"), $("newest"));
let editing = null; // the message that is changed
let draft = ""; // what was being written before

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value;
  if (text.trim() === "") return;
  if (!isOpen()) {
    $("status").textContent = "Not sent: there is no connection. What you wrote stays here.";
    return;
  }
  $("text").focus();
  if (editing) {
    change(editing, text);
  } else {
    $("text").value = "";
    say(text);
  }
});

async function say(text) {
  typed = 0;
  const message = messages.send(text);
  const answer = await ask("say", { text });
  if (answer.type === "said") messages.sent(message, answer);
  else messages.failed(message, `Not sent. ${sentence(answer)}`);
}

async function change(message, text) {
  const answer = await ask("edit", { id: Number(message.dataset.id), text });
  if (answer.type === "edited") messages.change(answer);
  if (message !== editing) return; // something else was begun meanwhile
  if (answer.type === "edited") edits(null);
  else $("say-fault").textContent = `Not changed. ${sentence(answer)}`;
}

async function remove(message) {
  const answer = await ask("delete", { id: Number(message.dataset.id) });
  if (answer.type === "deleted") gone(message);
  else messages.fault(message, `Not deleted. ${sentence(answer)}`);
}

// gone takes a message off the page, and the focus with it.
function gone(message) {
  const focused = message?.contains(document.activeElement);
  if (message && message === editing) edits(null);
  messages.remove(message);
  if (focused) $("text").focus();
}

// edits changes a message in the place where new ones are written, or ends that with null.
function edits(message) {
  if (!editing) draft = $("text").value;
  $("text").value = message?.querySelector(".text").textContent ?? draft;
  editing = message;
  $("editing").hidden = !message;
  $("send").textContent = message ? "Save" : "Send";
  $("say-fault").textContent = "";
  if (message) $("text").focus();
}

$("cancel").addEventListener("click", () => {
  edits(null);
  $("text").focus();
});

$("text").addEventListener("keydown", (event) => {
  if (event.key === "Escape" && editing) edits(null);
});

const acts = {
  open: (message) => messages.opens(message, message.querySelector(".acts").hidden),
  edit: (message) => {
    messages.opens(message, false);
    edits(message);
  },
  delete: remove,
  again: (message) => {
    edits(null);
    $("text").value = message.querySelector(".text").textContent;
    messages.remove(message);
    $("text").focus();
  },
};

$("messages").addEventListener("click", ({ target }) => {
  const pressed = target.closest("[data-act]");
  if (pressed) acts[pressed.dataset.act](pressed.closest(".message"));
});

// hears are what the server says by itself.
const hears = {
  said: (said) => {
    idle(said.from);
    messages.add(said);
  },
  edited: (event) => messages.change(event),
  deleted: ({ id }) => gone(messages.find(id)),
  typing: ({ from }) => types(from),
  kicked,
  members: ({ users }) => {
    talk.members = new Set(users);
    showMembers();
  },
  joined: ({ user: name }) => {
    talk.members.add(name);
    showMembers();
    $("news").textContent = `${name} has joined.`;
  },
  left: ({ user: name }) => {
    talk.members.delete(name);
    idle(name);
    showMembers();
    $("news").textContent = `${name} has left.`;
  },
};

function hear(event) {
  if (["said", "edited", "deleted"].includes(event.type)) for (const since of asked) since.push(event);
  hears[event.type]?.(event);
}

// ---- who is typing

const typing = new Map(); // a timer for each name
let typed = 0; // when the others were told of the user

$("text").addEventListener("input", () => {
  if (!isOpen() || editing || $("text").value === "" || Date.now() - typed < typingEvery) return;
  typed = Date.now();
  link.send("typing");
});

function types(name) {
  if (name === user) return; // on another page
  clearTimeout(typing.get(name));
  typing.set(name, setTimeout(() => idle(name), typingFor));
  showTyping();
}

function idle(name) {
  clearTimeout(typing.get(name));
  if (typing.delete(name)) showTyping();
}

function quiet() {
  for (const name of typing.keys()) idle(name);
  typed = 0;
}

function showTyping() {
  const names = [...typing.keys()];
  const who = names.length > 3 ? "Several people" : names.join(", ").replace(/, ([^,]*)$/, " and $1");
  $("typing").textContent = names.length ? `${who} ${names.length > 1 ? "are" : "is"} typing …` : "";
}

$("newest").addEventListener("click", () => {
  messages.toEnd();
  $("text").focus();
});
