// The page of the example: it signs in, enters a room, and comes back when its process goes.
const $ = (id) => document.getElementById(id);
const never = new Set([1008, 3000, 3003, 4001]); // no second try makes these better

let token, admin, socket, wait;

function show(text) { $("status").textContent = text; }

function add(list, ...parts) {
  const item = document.createElement("li");
  item.append(...parts);
  $(list).append(item);
}

function bold(text) {
  const b = document.createElement("b");
  b.textContent = text;
  return b;
}

const on = {
  hello: ({ process }) => show(`Connected to ${process}.`),
  members({ users }) {
    $("members").replaceChildren();
    for (const user of users) {
      const button = document.createElement("button");
      button.textContent = `Remove ${user}`;
      button.id = `kick-${user}`;
      button.onclick = () => send({ type: "kick", user });
      add("members", user, ...(admin ? [button] : []));
    }
  },
  said: ({ from, text }) => add("said", bold(from), text),
  kicked: ({ user }) => add("said", `${user} was removed.`),
  error: ({ reason }) => show(`The server says: ${reason}`),
};

function send(message) { socket.send(JSON.stringify(message)); }

function connect() {
  const url = new URL(`/ws/rooms/${encodeURIComponent($("room").value)}`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url, ["bearer", token]);
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    on[message.type]?.(message);
    wait = 500;
  };
  socket.onclose = ({ code, reason }) => {
    $("members").replaceChildren();
    if (never.has(code)) {
      show(`The connection has ended: ${reason || code}.`);
      return;
    }
    show("The process has gone; looking for another one …");
    setTimeout(connect, wait * (0.5 + Math.random())); // not all at the same moment
    wait = Math.min(2 * wait, 10_000);
  };
}

$("sign-in").onsubmit = async (event) => {
  event.preventDefault();
  const body = new URLSearchParams({ username: $("username").value, password: $("password").value });
  const answer = await fetch("/token", { method: "POST", body });
  if (!answer.ok) return show("No such user, or not the password.");
  const { access_token, scope } = await answer.json();
  token = access_token;
  admin = scope === "rooms:admin";
  $("sign-in").hidden = true;
  $("chat").hidden = false;
  $("text").focus();
  wait = 500;
  connect();
};

$("say").onsubmit = (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return; // the text stays until there is a connection
  send({ type: "say", text: $("text").value });
  $("text").value = "";
};

$("sign-out").onclick = async () => {
  const answer = await fetch("/signout", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
  if (!answer.ok) show("Not all processes have heard of it; try again.");
};
