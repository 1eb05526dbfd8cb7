// A clock, a network and a server that do what a test says.

// settle lets all promises go on that can.
export const settle = () => new Promise((resolve) => setImmediate(resolve));

class Clock {
  now = Date.UTC(2030, 0, 1);
  #timers = new Map();
  #last = 0;

  set(f, ms) {
    if (ms > 2 ** 31 - 1) throw new RangeError("a timer of so long a time fires at once");
    this.#timers.set(++this.#last, { at: this.now + ms, f });
    return this.#last;
  }

  clear(id) {
    this.#timers.delete(id);
  }

  get pending() {
    return this.#timers.size;
  }

  // pass runs the timers of a time, in their order.
  async pass(ms) {
    const end = this.now + ms;
    for (await settle(); ; await settle()) {
      const [id, next] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
      if (!next || next.at > end) break;
      this.#timers.delete(id);
      this.now = Math.max(this.now, next.at);
      next.f();
    }
    this.now = end;
  }
}

class FakeSocket {
  readyState = 0;
  sent = [];
  closed = null;

  constructor(url, protocols) {
    this.url = new URL(url);
    this.protocols = protocols;
  }

  accept() {
    this.readyState = 1;
    this.onopen({});
  }

  send(data) {
    this.sent.push(typeof data === "string" && data.startsWith("{") ? JSON.parse(data) : data);
    this.onsent?.(this.sent.at(-1));
  }

  say(message) {
    this.onmessage({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }

  end(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason });
  }

  fail() {
    this.onerror({});
  }

  // A close frame to a network that is gone has no answer.
  close(code) {
    this.closed ??= code;
    if (this.readyState < 2) this.readyState = 2;
  }
}

// World is what a client is connected to. world.options go to a connect function.
export class World {
  clock = new Clock();
  sockets = [];
  asks = []; // of the credential
  gets = []; // of the diagnosis
  refusals = []; // answers to the next of these: a status and a problem document, or an error
  credential = () => ({ in: "subprotocol", value: "token" });
  random = 1;
  refuse = null; // what the constructor of the WebSocket throws

  options = {
    base: "https://rooms.example.com",
    credential: (ask) => { this.asks.push(ask); return this.credential(ask); },
    WebSocket: this.#WebSocket(),
    fetch: async (url, init) => {
      this.gets.push({ url, init });
      const [status, problem, headers] = this.refusals.shift() ?? [426, {}];
      if (status === 0) throw new TypeError("fetch failed");
      return new Response(JSON.stringify(problem), { status, headers });
    },
    setTimeout: (f, ms) => this.clock.set(f, ms),
    clearTimeout: (id) => this.clock.clear(id),
    now: () => this.clock.now,
    random: () => this.random,
  };

  #WebSocket() {
    const world = this;
    return class extends FakeSocket {
      constructor(...args) {
        super(...args);
        if (world.refuse) throw world.refuse;
        world.sockets.push(this);
      }
    };
  }

  get whys() {
    return this.asks.map(({ why }) => why);
  }

  // socket waits for the last of n sockets.
  async socket(n) {
    await settle();
    if (this.sockets.length !== n) throw new Error(`there are ${this.sockets.length} sockets, not ${n}`);
    return this.sockets[n - 1];
  }

  // accept opens the last of n sockets.
  async accept(n) {
    const socket = await this.socket(n);
    socket.accept();
    await settle();
    return socket;
  }
}
