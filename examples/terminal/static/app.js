const output = document.querySelector("#output");
const line = document.querySelector("#line");
const state = document.querySelector("#state");

// The key stands behind the # of the page's address, which no server and no log sees.
const url = new URL("/run", location.href.replace(/^http/, "ws"));
url.hash = "";
const socket = new WebSocket(url, ["bearer", location.hash.slice(1)]);
socket.binaryType = "arraybuffer";

const encoder = new TextEncoder();
const decoder = new TextDecoder(); // which keeps half a letter for the next message

function show(text) {
  output.append(text);
  output.scrollTop = output.scrollHeight;
}

let opened = false;

socket.onopen = () => {
  opened = true;
  state.textContent = "Running. Close this page to end the program.";
};

socket.onmessage = (event) => show(decoder.decode(event.data, { stream: true }));

socket.onclose = (event) => {
  line.disabled = true;
  if (!opened) {
    state.textContent = "Not connected. Open the address that the server has printed, with its key.";
  } else if (event.code === 1000) {
    state.textContent = "The program has ended.";
  } else {
    state.textContent = `The program has ended: ${event.reason || event.code}.`;
  }
};

document.querySelector("#input").onsubmit = (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return;
  show(line.value + "\n");
  socket.send(encoder.encode(line.value + "\n"));
  line.value = "";
};
