// The page: each form opens a WebSocket and shows what comes of it.

const $ = (id) => document.getElementById(id);

// write adds a line to what a route has answered. kind is "sent", "heard", "note" or "bad".
function write(out, kind, text) {
  const line = document.createElement("p");
  line.className = kind;
  line.textContent = text;
  out.append(line);
  out.scrollTop = out.scrollHeight;
}

// connect opens a WebSocket. A browser cannot set the Authorization header of one, but it
// can offer subprotocols, and so a token is offered as one, beside "bearer".
function connect(path, token, out, opened = () => {}, ended = () => {}) {
  out.replaceChildren();
  write(out, "note", `Connecting to ${path} …`);
  let socket;
  try {
    socket = new WebSocket(new URL(path, location.href), token ? ["bearer", token] : []);
  } catch {
    write(out, "bad", "No browser can offer that as a token.");
    return null;
  }
  let open = false;
  socket.addEventListener("open", () => {
    open = true;
    write(out, "note", "Open.");
    opened();
  });
  socket.addEventListener("message", (event) => write(out, "heard", event.data));
  socket.addEventListener("close", async ({ code, reason }) => {
    ended();
    if (open) write(out, code === 1000 ? "note" : "bad", `Closed with ${code}${reason && ` ${reason}`}.`);
    else for (const text of await whyRefused(path, token)) write(out, "bad", text);
  });
  return socket;
}

// whyRefused asks the same URL without a WebSocket: of a refused one a browser tells a page
// nothing but 1006. The route has wsroute.Diagnose, and answers what it would have refused.
async function whyRefused(path, token) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", headers: token ? { Authorization: `Bearer ${token}` } : {} });
  } catch {
    return ["The server cannot be reached. Does it run?"];
  }
  const problem = await response.json().catch(() => ({}));
  const faults = (problem.errors ?? []).map(({ loc, code }) => `${loc.join(" ")}: ${code}`);
  return [`Refused with ${response.status} ${problem.reason ?? response.statusText}`, ...faults];
}

$("greet").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = new URLSearchParams({ times: $("times").value });
  connect(`/greet/${encodeURIComponent($("name").value)}?${query}`, "", $("greet-out"));
});

let reading = null;

$("read").addEventListener("submit", (event) => {
  event.preventDefault();
  if (reading?.readyState <= WebSocket.OPEN) return;
  reading = connect("/read", $("token").value.trim(), $("read-out"), () => show(true), () => show(false));
});

// show shows what can be done while /read is open, or while it is not. Whoever was on
// something that goes is brought to what comes.
function show(open) {
  const goes = document.activeElement.closest("#say, #disconnect, #connect") !== null;
  $("say").hidden = $("disconnect").hidden = !open;
  $("connect").hidden = open;
  if (open) $("line").focus();
  else if (goes) $("connect").focus();
}

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  write($("read-out"), "sent", $("line").value);
  reading.send($("line").value);
  $("line").value = "";
});

$("disconnect").addEventListener("click", () => reading.close(1000));
