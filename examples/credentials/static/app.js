// One row for each place of a credential, and what a browser makes of it.
const $ = (id) => document.getElementById(id);
let token = "";

const used = () => ($("broken").checked && token ? token.slice(0, -4) + "AAAA" : token);
const bearer = () => ({ Authorization: `Bearer ${used()}` });

// How each rung is climbed: the socket's query and subprotocols.
const rungs = {
  header: async () => ({}), // a browser cannot set one
  query: async () => ({ query: { token: used() } }),
  cookie: async () => ({}), // the browser adds it by itself
  subprotocol: async () => ({ protocols: ["bearer", used()] }),
  ticket: async () => {
    const response = await fetch("/ticket", {
      method: "POST", headers: { ...bearer(), "Content-Type": "application/json" }, body: JSON.stringify({ path: "/ws/ticket" }),
    });
    return { query: { ticket: (await response.json()).ticket ?? "" } };
  },
};

async function climb(rung) {
  const out = $(`out-${rung}`);
  out.textContent = "…";
  const { query = {}, protocols = [] } = await rungs[rung]();
  const url = new URL(`/ws/${rung}?${new URLSearchParams(query)}`, location.href);
  const target = new URL(url);
  target.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  let socket;
  try {
    socket = new WebSocket(target, protocols);
  } catch (error) {
    out.textContent = error.message;
    return;
  }
  socket.addEventListener("message", (event) => {
    out.textContent = `${event.data}${socket.protocol && `, subprotocol ${socket.protocol}`}`;
    socket.close(1000);
  });
  socket.addEventListener("close", async ({ code, reason }) => {
    if (out.textContent !== "…") return;
    out.textContent = `closed with ${code} ${reason}`;
    if (code !== 1006) return;
    const response = await fetch(url, { cache: "no-store" }); // 1006 says nothing: ask the same URL why
    const problem = await response.json().catch(() => ({}));
    out.textContent += `, because ${response.status} ${problem.reason ?? ""}`;
  });
}

for (const rung of Object.keys(rungs)) {
  const row = $("rungs").insertRow();
  row.insertCell().textContent = rung;
  const button = document.createElement("button");
  button.id = `climb-${rung}`;
  button.textContent = "Connect";
  button.setAttribute("aria-label", `Connect by ${rung}`);
  button.addEventListener("click", () => climb(rung));
  row.insertCell().append(button);
  const out = document.createElement("output");
  out.id = `out-${rung}`;
  row.insertCell().append(out);
}

$("sign-in").addEventListener("click", async () => {
  const response = await fetch("/token", { method: "POST", body: new URLSearchParams({ username: "alice" }) });
  token = (await response.json()).access_token;
  $("state").textContent = "Signed in as alice.";
});
