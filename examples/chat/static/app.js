// The page: signing in, choosing a room, talking. What people wrote is text,
// never markup.

import { Link } from "./link.js";
import { Session } from "./session.js";

const $ = (id) => document.getElementById(id);

// A room remembers the last 100 messages. The page asks for fewer, so that those
// which are said in the meantime do not make it lose count.
const wanted = 90;
const lookEvery = 3_000; // ms

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

// face is the round sign of a user.
function face(name) {
  const sign = document.createElement("span");
  sign.className = "face";
  sign.ariaHidden = "true";
  sign.dataset.hue = [...name].reduce((sum, c) => sum * 31 + c.codePointAt(0), 7) % 6;
  sign.textContent = [...name][0]?.toUpperCase() ?? "";
  return sign;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

// roomName sets the name of a room off from the words around it.
const roomName = (name) => element("b", "", name);

// clock is a time as the reader writes it, without seconds, and with the day if that is half a
// day away.
function clock(ms) {
  const then = new Date(ms);
  const day = Math.abs(then - Date.now()) < 12 * 3_600_000 ? {} : { day: "numeric", month: "short" };
  const made = element("time", "", then.toLocaleString([], { ...day, hour: "numeric", minute: "2-digit" }));
  made.dateTime = then.toISOString();
  return made;
}

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

// renewed goes on with a new token, also on the connection that is open.
function renewed(token) {
  link?.renew(token);
  showEnd();
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
  link?.leave();
  session.leave();
  link = session = null;
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
  link?.leave();
  $("room").value = room;
  if (talk?.room !== room) talk = { room, seen: null, expected: 0, last: "", members: [], opened: false };
  link = new Link(room, session.token, { since, tell: changed, hear });
}

// since says how much of the conversation is here, by what the server says of
// the room. Only a room that was empty in between, or whose server was restarted,
// has heard less than this page.
async function since() {
  const mine = talk;
  const { body: room } = await session.ask(`/rooms/${encodeURIComponent(mine.room)}`);
  if (!room || mine !== talk) return mine.seen ?? 0;
  const least = Math.max(0, room.said - wanted);
  if (mine.seen === null) {
    mine.seen = least;
  } else if (room.said < mine.seen) {
    mine.seen = 0;
    note("The room began anew. What stands above is on this page only.");
  } else if (mine.seen < least) {
    mine.seen = least;
    note("Some messages were missed.");
  }
  mine.expected = room.said;
  return mine.seen;
}

// changed shows what has become of the link.
function changed(state) {
  const mine = talk;
  if (state.is !== "renewed") {
    $("send").ariaDisabled = String(state.is !== "open");
    $("chat").dataset.live = String(state.is === "open");
  }
  switch (state.is) {
    case "connecting":
      if (!mine.opened) busy("go", "Joining …");
      tell(["Connecting to ", roomName(mine.room), " …"], "busy", { giveUp: true });
      break;
    case "open":
      busy("go");
      tell(state.restarted ? "Connected. The server has restarted." : "Connected.", "good");
      if (!mine.opened) begin(mine);
      if ($("chat").hidden) show("chat", "text");
      else look();
      break;
    case "renewed":
      $("aside").replaceChildren("Sign-in renewed at ", clock(Date.now()));
      break;
    case "lost":
      tell(state.why, "busy", { giveUp: true });
      break;
    case "waiting":
      tell(`${state.why} Trying again.`, "busy", { until: state.until, now: "Try now", giveUp: true });
      break;
    case "stopped":
      stopped(mine, state);
  }
}

// begin makes the page ready for a new conversation.
function begin(mine) {
  mine.opened = true;
  recent = [mine.room, ...recent.filter((room) => room !== mine.room)].slice(0, 8);
  $("title").textContent = mine.room;
  $("messages").replaceChildren();
  $("messages").ariaBusy = String(mine.seen < mine.expected); // history is not read out
  setTimeout(() => { $("messages").ariaBusy = "false"; }, 2_000);
  following = true;
  $("newest").hidden = true;
  showMembers([]);
}

function stopped(mine, { why, signIn }) {
  busy("go");
  if (signIn) {
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
  else link?.hurry();
});

$("give-up").addEventListener("click", () => {
  link?.leave();
  busy("go");
  if (talk.opened) tell("Not connected.", "bad", { now: "Join again" });
  else tell("");
  $(talk.opened ? "now" : "room").focus();
});

$("leave").addEventListener("click", () => {
  link?.leave();
  link = null;
  $("room").value = talk.room;
  talk = null;
  tell("");
  show("lobby", "room");
});

addEventListener("online", () => link?.hurry());

// ---- who is where

let looking = 0;

// look brings what is shown of others up to date, now and every few seconds.
async function look() {
  clearTimeout(looking);
  const turn = looking = setTimeout(look, lookEvery);
  if (document.hidden || !session) return;
  const mine = talk;
  const inRoom = !$("chat").hidden;
  if (inRoom && !link?.open) return;
  const { status, body } = await session.ask(inRoom ? `/rooms/${encodeURIComponent(mine.room)}` : "/rooms");
  if (turn !== looking) return; // a later look has begun
  if (status === 401 && !inRoom) {
    signOut(session.over ? "Your sign-in has run out." : "Your sign-in is not valid any more: you have signed out elsewhere, or the server was restarted.");
  } else if (inRoom) {
    $("members-note").hidden = status !== 401;
    if (body) showMembers(body.members);
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
  if (focused !== null) (list.querySelector(`[data-name="${CSS.escape(focused)}"]`) ?? $("room")).focus();
}

// showMembers shows the members of the room, of whom the user is one even if the
// server was asked a moment too early.
function showMembers(members) {
  talk.members = [...new Set([user, ...members])].sort();
  replace($("members"), talk.members, (name) => {
    const item = element("li", "", "");
    item.append(face(name), element("span", "", name === user ? `${name} (you)` : name));
    return item;
  });
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

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value;
  if (text.trim() === "") return;
  if (!link?.open) {
    $("status").textContent = "Not sent: there is no connection. What you wrote stays here.";
    return;
  }
  link.send({ text });
  $("text").value = "";
  $("text").focus();
});

// hear adds what somebody said.
function hear(said) {
  talk.seen = (talk.seen ?? 0) + 1;
  const message = element("div", said.from === user ? "message mine" : "message", "");
  const at = clock(said.at ?? Date.now());
  const head = element("p", "head", "");
  head.append(element("span", "from", said.from), " ", at);
  const last = `${at.textContent} ${said.from}`;
  message.classList.toggle("more", last === talk.last); // the same one goes on, in the same minute
  talk.last = last;
  message.append(face(said.from), head, element("p", "text", said.text));
  append(message, said.from === user);
  if (talk.seen >= talk.expected) $("messages").ariaBusy = "false";
  if (!talk.members.includes(said.from) && $("messages").ariaBusy !== "true") look();
}

// note adds a remark of the page's own.
function note(text) {
  talk.last = "";
  append(element("p", "note", text), false);
}

// The messages follow the last one, unless the reader has scrolled up; then a
// button says that there is more.
let following = true;

function append(item, follow) {
  $("messages").append(item);
  if (following || follow) toEnd();
  else $("newest").hidden = false;
}

function toEnd() {
  following = true;
  $("newest").hidden = true;
  $("messages").scrollTop = $("messages").scrollHeight;
}

$("newest").addEventListener("click", () => {
  toEnd();
  $("text").focus();
});

$("messages").addEventListener("scroll", () => {
  const list = $("messages");
  following = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  if (following) $("newest").hidden = true;
});

// A keyboard on the screen or a longer notice takes room away.
new ResizeObserver(() => {
  if (following) toEnd();
}).observe($("messages"));
