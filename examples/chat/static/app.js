"use strict";

const $ = (id) => document.getElementById(id);

let name = ""; // who is signed in
let token = ""; // for as long as the page is open, and nowhere else
let socket = null; // the one whose events count

function tell(text) {
  $("status").textContent = text;
}

// show makes one of the three views the visible one.
function show(view, focus) {
  for (const id of ["sign-in", "join", "chat"]) $(id).hidden = id !== view;
  $("who").hidden = view === "sign-in";
  $("who").textContent = name;
  $(focus).focus();
}

$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  tell("");
  try {
    const form = new URLSearchParams(new FormData(event.target));
    const response = await fetch("/token", { method: "POST", body: form });
    const answer = await response.json();
    if (!response.ok) {
      tell(answer.error === "invalid_grant" ? "That is not the name and password of an account." : `Signing in failed: ${answer.error}`);
      return;
    }
    name = $("username").value;
    token = answer.access_token;
    $("password").value = "";
    show("join", "room");
  } catch {
    tell("The server cannot be reached.");
  }
});

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  join($("room").value);
});

function join(room) {
  tell("Joining …");
  const url = new URL(`/ws/rooms/${encodeURIComponent(room)}`, location.href);
  url.searchParams.set("since", "0"); // all that the room remembers
  url.searchParams.set("token", token);
  const target = new URL(url);
  target.protocol = url.protocol === "https:" ? "wss:" : "ws:";

  const mine = new WebSocket(target);
  let opened = false;
  socket = mine;
  mine.addEventListener("open", () => {
    if (socket !== mine) return;
    opened = true;
    tell("");
    $("messages").replaceChildren(); // the room sends its history anew
    $("title").textContent = room;
    show("chat", "text");
  });
  mine.addEventListener("message", (event) => {
    if (socket === mine) append(JSON.parse(event.data));
  });
  mine.addEventListener("close", (event) => {
    if (socket !== mine) return; // left on purpose
    socket = null;
    if (!opened) {
      explain(url);
      return;
    }
    show("join", "room");
    tell(`Disconnected (${event.code}${event.reason ? " " + event.reason : ""}). Join again to go on.`);
  });
}

// explain asks for the same URL without a WebSocket. A browser does not say why
// a socket was refused; the route answers a plain request with the reason.
async function explain(url) {
  try {
    const response = await fetch(url, { cache: "no-store" });
    if (response.status === 426) {
      tell("The connection failed, but the server would accept it now. Try again.");
      return;
    }
    const problem = await response.json();
    const faults = (problem.errors ?? []).map((e) => `${e.loc.join(" ")}: ${e.code}`);
    tell(`The server refused: ${[problem.title, problem.reason, problem.detail, ...faults].filter(Boolean).join(" – ")}`);
    if (response.status === 401) {
      token = "";
      show("sign-in", "username");
    }
  } catch {
    tell("The server cannot be reached.");
  }
}

$("leave").addEventListener("click", () => {
  const left = socket;
  socket = null;
  left?.close(1000);
  tell("");
  show("join", "room");
});

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value;
  if (text === "" || socket?.readyState !== WebSocket.OPEN) return;
  socket.send(JSON.stringify({ text }));
  $("text").value = "";
});

// append adds a message to the list, which follows the last one unless the
// reader has scrolled up. What people wrote is text, never markup.
function append(said) {
  const list = $("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const item = document.createElement("li");
  item.classList.toggle("mine", said.from === name);
  const from = document.createElement("b");
  from.textContent = said.from;
  const text = document.createElement("span");
  text.textContent = said.text;
  item.append(from, " ", text);
  list.append(item);
  if (atEnd) list.scrollTop = list.scrollHeight;
}
