// How somebody stays in a room: connecting, being refused and finding out why,
// being lost, and coming back where that helps. Nothing here touches the page.

// After these close codes the same thing may work in a moment. After any other
// it would end the same way, and is not tried again.
const transient = new Set([1001, 1006, 1011, 1012, 1013]);

const openWithin = 10_000; // ms until a handshake counts as failed
const answerWithin = 5_000; // ms for a plain request
const firstDelay = 1_000;
const longestDelay = 30_000;
const steadyAfter = 10_000; // ms after which a connection has proved itself

const meanings = {
  1000: "The server ended the conversation.",
  1001: "The server is going away.",
  1003: "The server did not accept a message.",
  1007: "The server did not accept a message.",
  1008: "The server did not accept a message.",
  1009: "A message was too long for the server.",
  1011: "The server failed.",
  1012: "The server restarts.",
  1013: "The server has no room for this connection just now.",
  3000: "Your sign-in is not valid any more.",
  3003: "You may not be in this room any more.",
  4001: "You were removed from this room.",
};

// What a close code means with these reasons.
const endings = {
  revoked: "This account was signed out.",
  token_expired: "Your sign-in has run out.",
  slow_reader: "This page could not keep up with the messages.",
};

const reasons = {
  credentials_required: "You are not signed in.",
  internal_error: "The server failed.",
  draining: "The server is about to restart.",
  too_many_connections: "The server is full just now.",
  too_many_of_principal: "You are connected too often already.",
  // of messages
  insufficient_scope: "Your sign-in does not allow that.",
  internal: "The server failed.",
  lost: "The connection was lost before the server answered.",
  no_message: "The room does not have that message any more.",
  not_here: "There is nobody of that name in the room.",
  offline: "There is no connection.",
  not_yours: "Only its author may do that.",
  timeout: "The server took too long.",
};

const statuses = {
  401: "Your sign-in is not valid any more.",
  403: "You may not join this room.",
  404: "There is no such room.",
  429: "That was too often.",
  503: "The server takes nobody in just now.",
};

const faults = {
  "room alphanum": "The name of a room has letters and digits, and nothing else.",
  "room max": "The name of a room has at most 64 characters.",
  "text max": "A message has at most 500 characters.",
  "text min": "A message has at least one character.",
};

// sentence says what a problem document or an error answer means, with its code for those who
// look into it.
export function sentence(problem, status) {
  const said = (problem.errors ?? []).map(({ loc, code }) => {
    const name = loc.slice(status ? 1 : 0).join(" "); // without the kind of a parameter
    return faults[`${name} ${code}`] ?? `The server did not accept ${name}: ${code}.`;
  });
  if (said.length === 0) {
    said.push(problem.detail ?? reasons[problem.reason] ?? statuses[status] ?? problem.title ?? "The server refused.");
  }
  return `${said.join(" ")} (${[status, problem.reason].filter(Boolean).join(" ")})`;
}

// diagnose asks for the URL of a socket without a socket. A browser does not say
// why a socket was refused; the route tells a plain request.
async function diagnose(url, token) {
  let response;
  try {
    response = await fetch(url, { cache: "no-store", headers: { Authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(answerWithin) });
  } catch {
    return { verdict: "retry", why: "The server cannot be reached." };
  }
  if (response.status === 426) return { verdict: "accepted" };
  const problem = await response.json().catch(() => ({}));
  const why = sentence(problem, response.status);
  switch (response.status) {
    case 401:
      return { verdict: "sign-in", why };
    case 408: case 429: case 502: case 503: case 504:
      return { verdict: "retry", why, after: Number(response.headers.get("Retry-After")) || 0 };
  }
  return { verdict: "refused", why };
}

// lost stands for an answer that will not come.
const lost = { type: "error", reason: "lost" };

// Link is the connection of a user to a room, however often it has to be made.
//
// hooks.hear(message) takes a message that answers nothing, and hooks.tell(state) is told every
// change:
//   { is: "connecting" }, { is: "lost", why },
//   { is: "open", restarted }  restarted says that the server was gone for that
//   { is: "renewed" }  the connection holds with the new token
//   { is: "waiting", why, until }   until is when it tries again
//   { is: "stopped", why, signIn }  signIn says that a new token would help
export class Link {
  #room;
  #token;
  #hooks;
  #socket = null;
  #timer = 0; // of the next attempt; 0 if there is none
  #failures = 0; // one after the other
  #restarting = false; // the server has said so, and has not come back yet
  #over = false;
  #asked = 0; // the last ref
  #waiting = new Map(); // by ref: who waits for an answer

  constructor(room, token, hooks) {
    this.#room = room;
    this.#token = token;
    this.#hooks = hooks;
    this.#connect();
  }

  get open() {
    return !this.#over && this.#socket?.readyState === WebSocket.OPEN;
  }

  // renew goes on with a new token, on the same connection if there is one.
  async renew(token) {
    this.#token = token;
    if (!this.open) return;
    const { type } = await this.ask("renew", { token });
    if (type === "renewed") this.#hooks.tell({ is: "renewed" });
  }

  // send sends a message that has no answer.
  send(type, members = {}) {
    this.#socket.send(JSON.stringify({ type, ...members }));
  }

  // ask sends a message and resolves to its answer, which may be an error: see sentence. It does
  // not matter what else comes before.
  ask(type, members = {}) {
    if (!this.open) return Promise.resolve({ type: "error", reason: "offline" });
    return new Promise((resolve) => {
      const ref = ++this.#asked;
      this.#waiting.set(ref, resolve);
      this.send(type, { ref, ...members });
    });
  }

  #hear(message) {
    const answered = this.#waiting.get(message.ref);
    if (!answered) {
      this.#hooks.hear(message);
      return;
    }
    this.#waiting.delete(message.ref);
    answered(message);
  }

  // hurry makes the next attempt now, if the link waits for one.
  hurry() {
    if (this.#timer) this.#connect();
  }

  // leave ends the link. Nothing is told after it.
  leave() {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
  }

  #connect() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#hooks.tell({ is: "connecting" });
    const url = new URL(`/ws/rooms/${encodeURIComponent(this.#room)}`, location.href);
    const target = new URL(url);
    target.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    // The only header that a page can set: see security.SubprotocolToken.
    const socket = new WebSocket(target, ["bearer", this.#token]);
    this.#socket = socket;
    const slow = setTimeout(() => socket.close(), openWithin); // ends in 1006
    let opened = 0;
    socket.addEventListener("open", () => {
      clearTimeout(slow);
      opened = Date.now();
      if (this.#over) return;
      this.#hooks.tell({ is: "open", restarted: this.#restarting });
      this.#restarting = false;
    });
    socket.addEventListener("message", (event) => {
      if (!this.#over) this.#hear(JSON.parse(event.data));
    });
    socket.addEventListener("close", (event) => {
      clearTimeout(slow);
      if (this.#over) return;
      for (const answered of this.#waiting.values()) answered(lost);
      this.#waiting.clear();
      if (opened && Date.now() - opened > steadyAfter) this.#failures = 0;
      this.#closed(event, url, opened > 0);
    });
  }

  async #closed({ code, reason }, url, opened) {
    const why = `${endings[reason] ?? meanings[code] ?? "The server closed the connection."} (${[code, reason].filter(Boolean).join(" ")})`;
    if (!transient.has(code)) {
      this.#stop(why, code === 3000);
      return;
    }
    if (code !== 1006) {
      this.#restarting = code === 1012;
      this.#wait(why, 0);
      return;
    }
    this.#hooks.tell({ is: "lost", why: opened ? "The connection was lost." : "The connection could not be made." });
    const found = await diagnose(url, this.#token);
    if (this.#over) return;
    switch (found.verdict) {
      case "retry":
        this.#wait(this.#restarting ? "The server has not come back from its restart yet." : found.why, found.after ?? 0);
        break;
      case "accepted":
        this.#wait(!opened && this.#failures > 1
          ? "The server would let you in, but no WebSocket gets through to it. Something in between may not let it pass."
          : "The connection was lost.", 0);
        break;
      default:
        this.#stop(found.why, found.verdict === "sign-in");
    }
  }

  // wait tries again, later each time: between half and all of 1, 2, 4 … 30 s, so
  // that those who were lost together do not come back together. It is not before
  // the seconds that the server asked for.
  #wait(why, seconds) {
    const most = Math.min(longestDelay, firstDelay * 2 ** this.#failures++);
    const delay = Math.max(most * (0.5 + Math.random() / 2), seconds * 1000);
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.#hooks.tell({ is: "waiting", why, until: Date.now() + delay });
  }

  #stop(why, signIn) {
    this.#over = true;
    this.#hooks.tell({ is: "stopped", why, signIn });
  }
}
