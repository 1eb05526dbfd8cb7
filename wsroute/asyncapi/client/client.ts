// The rest of this file is the same for every document.

/** A union that may grow: other strings fit as well. */
export type OtherString = string & {};
/** A union that may grow: other numbers fit as well. */
export type OtherNumber = number & {};

/**
 * The reasons of this file. "blocked": the browser makes no connection. "token_alphabet": no
 * subprotocol can carry the token. "closed": by this side, or by a server that gives no reason.
 */
export type ClientReason =
  | "lost" | "unreachable" | "blocked" | "token_alphabet" | "credential_failed"
  | "credentials_required" | "cancelled" | "closed" | OtherString;

/** What is wrong with a member or a parameter. */
export interface FieldError {
  /** The way to it by its names. */
  loc: (string | number)[];
  /** The rule or the type that it fails. */
  code: string;
  /** The bound of the rule. */
  param?: string;
}

/** Why there is no connection. */
export interface Ending<Reason extends string = string, Code extends number = number> {
  reason: Reason;
  /** The code of the close frame. */
  code?: Code;
  /** The status of the refused handshake. */
  status?: number;
  /** What the document says of it. */
  description?: string;
  /** What the server, or the browser, says of this case. */
  detail?: string;
  /** What is wrong with the parameters. */
  errors?: FieldError[];
}

/** The state of a connection. A closed one stays closed. */
export type ConnectionState<Reason extends string = string, Code extends number = number> =
  | { is: "connecting" }
  | { is: "open" }
  /** It is tried again at the time until, in milliseconds since 1970. */
  | { is: "waiting"; why: Ending<Reason, Code>; until: number }
  | { is: "closed"; why: Ending<Reason, Code> };

/** Why a message has no answer. */
export class Failure<Reason extends string = string> extends Error {
  override name = "Failure";
  readonly reason: Reason;
  /** The server may have handled the message. */
  readonly sent: boolean;
  readonly detail: string | undefined;
  /** What is wrong with the members of the message. */
  readonly errors: FieldError[];
  /** When it may be tried again, in seconds. */
  readonly retryAfter: number | undefined;

  constructor(
    reason: Reason, sent: boolean,
    said: { detail?: string; errors?: FieldError[]; retry_after?: number } = {},
  ) {
    super(said.detail ? `${reason}: ${said.detail}` : reason);
    this.reason = reason;
    this.sent = sent;
    this.detail = said.detail;
    this.errors = said.errors ?? [];
    this.retryAfter = said.retry_after;
  }
}

/** A promise of T that rejects with a Failure. */
export interface AnswerPromise<T, Reason extends string> extends Promise<T> {
  catch<U = never>(
    failed?: ((failure: Failure<Reason>) => U | PromiseLike<U>) | null,
  ): Promise<T | U>;
}

/** An answer in parts. Leaving a loop over the parts cancels the rest. */
export interface AnswerParts<Part, T, Reason extends string> extends AsyncIterable<Part> {
  /** What follows the last part. */
  readonly answer: AnswerPromise<T, Reason>;
  cancel(): void;
}

/** What a credential is wanted for. */
export interface CredentialAsk {
  /** The path of the connection, without its query: that of a ticket. */
  path: string;
  /** "rejected" says that the last one was refused, or has expired: a stored one will not do. */
  why: "connect" | "renew" | "rejected";
  /** It is aborted when the connection is closed. */
  signal: AbortSignal;
}

/** A credential, and where it goes. The browser itself sends a cookie, which has no value here. */
export type Credential<In extends string> = In extends "cookie"
  ? { in: In; value?: string; expires?: ExpiryTime }
  : { in: In; value: string; expires?: ExpiryTime };

/** A time, as a date, in milliseconds since 1970, or as the server writes it. */
export type ExpiryTime = Date | number | string;

/** What is needed of a WebSocket. */
export interface SocketLike {
  binaryType: string;
  readonly readyState: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  send(data: string | ArrayBuffer | ArrayBufferView<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

/** How to connect. */
export interface ConnectOptions {
  /** Where the server is, such as "wss://chat.example.com". By default, where the page is from. */
  base?: string | URL;
  /** These are the global ones by default. */
  WebSocket?: new (url: string, protocols: string[]) => SocketLike;
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  setTimeout?: (f: () => void, ms: number) => unknown;
  clearTimeout?: (timer: any) => void;
  now?: () => number;
  random?: () => number;
}

/** How a channel gets its credentials: null is for somebody who has none. */
export interface CredentialOptions<In extends string> {
  credential(ask: CredentialAsk): Credential<In> | null | Promise<Credential<In> | null>;
}

/** What the document says of a channel's messages and ends. */
export interface ChannelContract {
  requests: Record<string, { message: unknown; answer: unknown; reason: string }>;
  streams: Record<string, { message: unknown; part: unknown; answer: unknown; reason: string }>;
  sends: Record<string, unknown>;
  events: object;
  reason: string;
  code: number;
}

/** The signal cancels a message. */
export interface CallOptions {
  signal?: AbortSignal;
}

/** A message that needs no members may be left out. */
export type MessageArguments<M, Rest extends unknown[]> =
  {} extends M ? [message?: M, ...rest: Rest] : [message: M, ...rest: Rest];

/** The events of every connection. */
export interface OwnEvents<C extends ChannelContract> {
  state: ConnectionState<C["reason"], C["code"]>;
  /** A message that the document does not know. */
  unknown: unknown;
}

export interface AnyConnection<C extends ChannelContract> {
  readonly state: ConnectionState<C["reason"], C["code"]>;
  /** It rejects with a Failure if the connection is closed before it was ever open. */
  readonly opened: Promise<void>;
  /** on calls a listener for each event until the returned function is called. */
  on<T extends keyof (C["events"] & OwnEvents<C>)>(
    event: T, listener: (value: (C["events"] & OwnEvents<C>)[T]) => void,
  ): () => void;
  /** retry makes the next attempt now, if the connection waits for one. */
  retry(): void;
  close(): void;
}

/** A connection whose messages have types. */
export interface ChannelConnection<C extends ChannelContract> extends AnyConnection<C> {
  /**
   * request sends a message, or waits for the next open connection and then sends it, once. It
   * rejects with a Failure.
   */
  request<T extends keyof C["requests"] & string>(
    type: T, ...args: MessageArguments<C["requests"][T]["message"], [call?: CallOptions]>
  ): AnswerPromise<C["requests"][T]["answer"], C["requests"][T]["reason"]>;
  /** stream is request for a message whose answer comes in parts. */
  stream<T extends keyof C["streams"] & string>(
    type: T, ...args: MessageArguments<C["streams"][T]["message"], [call?: CallOptions]>
  ): AnswerParts<C["streams"][T]["part"], C["streams"][T]["answer"], C["streams"][T]["reason"]>;
  /** send sends a message without an answer. Without an open connection it returns false. */
  send<T extends keyof C["sends"] & string>(
    type: T, ...args: MessageArguments<C["sends"][T], []>
  ): boolean;
}

/** A connection whose messages have one type. */
export interface LoopConnection<C extends ChannelContract, Sends> extends AnyConnection<C> {
  /** send sends a message. Without an open connection it returns false. */
  send(message: Sends): boolean;
}

/** A channel whose server takes binary messages, too. */
export interface BinaryChannel {
  /** sendBinary returns false without an open connection. */
  sendBinary(data: ArrayBuffer | ArrayBufferView<ArrayBuffer>): boolean;
}

/** A channel that goes on with a new credential. */
export interface RenewableChannel {
  /** renew asks for a credential and goes on with it, such as after a sign-in. */
  renew(): Promise<void>;
}

/** JSON objects with a type, JSON of one type, or text and bytes as they are. */
type Form = "typed" | "json" | "raw";

/** What the document says of a channel, for its connections. */
interface ChannelPlan {
  path: string;
  query: string[];
  rest?: string; // the parameter that may hold slashes
  member: string; // that holds the type of a message
  handles: boolean; // requests, refs and pings: wsroute.HandleMessages
  sends: Form;
  hears: Form;
  events: string[]; // types that come
  streams: Record<string, [part: string, answer: string]>;
  sources: { query?: string; ticket?: string; subprotocol?: { name: string; prefix: string } };
  needs: boolean; // a credential that credential() returns
  protocols: string[];
  diagnose: boolean;
  accepts: boolean; // and then closes: wsroute.AcceptThenClose
  renewable: boolean;
  rejections: string[]; // closes in place of a 401, such as "3000 invalid_token"
  closes: [code: number, reason: string, reconnect: string, description: string][];
}

interface AnyCredential {
  in: string;
  value?: string;
  expires?: ExpiryTime;
}

interface PendingCall {
  text: string;
  sent: boolean;
  take(message: any): void; // with its ref
  fail(failure: Failure): void;
}

const openWithin = 10_000;
const closeWithin = 1_000; // after an error
const diagnoseWithin = 5_000;
const steadyAfter = 5_000;
const pingAfter = 20_000;
const pongWithin = 10_000;
const firstDelay = 500;
const longestDelay = 30_000;
const longestTimer = 2 ** 31 - 1;

const own = ["state", "unknown", "error"];
const token = /^[\w.~-]+$/; // what the server takes as a subprotocol

class ChannelClient {
  readonly opened: Promise<void>;
  state: ConnectionState = { is: "connecting" };
  #plan: ChannelPlan;
  #options;
  #credential: (ask: CredentialAsk) => AnyCredential | null | Promise<AnyCredential | null>;
  #url: URL;
  #opening!: { resolve(): void; reject(why: Failure): void };
  #listeners = new Map<string, Set<(value: any) => void>>();
  #calls = new Map<number, PendingCall>(); // by ref
  #refs = 0;
  #socket: SocketLike | null = null; // of the attempt
  #attempt = 0;
  #timers = new Set<unknown>(); // of the attempt
  #failures = 0; // one after the other
  #renewed = false; // a fresh credential was asked for since the last steady connection
  #renewal: unknown; // the timer of the next
  #renewals = Promise.resolve(); // all so far
  #heard = 0; // when a message came last
  #stop = new AbortController();

  constructor(
    plan: ChannelPlan, params: object, options: ConnectOptions & Partial<CredentialOptions<any>>,
  ) {
    this.#plan = plan;
    this.#credential = options.credential ?? (() => null);
    const socket = options.WebSocket ?? globalThis.WebSocket as ConnectOptions["WebSocket"];
    if (!socket) throw new TypeError("there is no WebSocket here: set the option WebSocket");
    this.#options = {
      WebSocket: socket,
      fetch: options.fetch ?? ((url: string, init: RequestInit) => fetch(url, init)),
      setTimeout: options.setTimeout ?? ((f: () => void, ms: number) => setTimeout(f, ms)),
      clearTimeout: options.clearTimeout ?? ((timer: any) => clearTimeout(timer)),
      now: options.now ?? Date.now,
      random: options.random ?? Math.random,
    };
    this.#url = address(plan, params, options.base ?? globalThis.location?.origin);
    this.opened = new Promise<void>((resolve, reject) => { this.#opening = { resolve, reject }; });
    this.opened.catch(() => {}); // who does not look at it is not to be disturbed
    // The caller has no variable of the connection yet, and no listeners.
    queueMicrotask(() => { if (this.state.is !== "closed") this.#connect("connect"); });
  }

  on(event: string, listener: (value: any) => void) {
    const list = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, list.add(listener));
    return () => { list.delete(listener); };
  }

  request(type: string, message: unknown = {}, call: CallOptions = {}) {
    return this.#call(type, message, call.signal);
  }

  stream(type: string, message: unknown = {}, call: CallOptions = {}) {
    const parts: unknown[] = [], stop = new AbortController(), cancel = () => stop.abort();
    let ended = false, wake = () => {};
    if (call.signal?.aborted) cancel();
    call.signal?.addEventListener("abort", cancel, { once: true });
    const answer = this.#call(type, message, stop.signal, (part) => { parts.push(part); wake(); });
    const end = () => { ended = true; wake(); call.signal?.removeEventListener("abort", cancel); };
    answer.then(end, end);
    async function* each() {
      try {
        for (;;) {
          while (parts.length > 0) yield parts.shift();
          if (ended) break;
          await new Promise<void>((resolve) => { wake = resolve; });
        }
        await answer; // throws why there is no more
      } finally {
        cancel();
      }
    }
    return { answer, cancel, [Symbol.asyncIterator]: each };
  }

  send(...args: unknown[]) {
    const { member, sends } = this.#plan, head = { [member]: args[0] };
    if (sends === "raw") return this.#write(args[0] as string);
    const message = sends === "json" ? args[0] : { ...head, ...args[1] as object, ...head };
    return this.#write(JSON.stringify(message));
  }

  sendBinary(data: ArrayBuffer | ArrayBufferView<ArrayBuffer>) {
    return this.#write(data);
  }

  // renew waits for the one before: the server takes one at a time.
  renew(): Promise<void> {
    const renewed = this.#renewals.then(() => this.#renew());
    this.#renewals = renewed.catch(() => {});
    return renewed;
  }

  // renew does nothing without a connection: the next one has a credential of its own.
  async #renew() {
    const attempt = this.#attempt;
    const found = await this.#credential(this.#ask("renew"));
    if (!found?.value) throw new Failure("credentials_required", false);
    if (attempt !== this.#attempt || !this.#isOpen()) return;
    const answer = await this.#call("renew", { token: found.value });
    const { expires } = answer as { expires: string | null };
    if (attempt === this.#attempt) this.#renewBefore(expires);
  }

  retry() {
    if (this.state.is === "waiting") this.#connect("connect");
  }

  close() {
    this.#end({ reason: "closed" });
  }

  #ask(why: CredentialAsk["why"]): CredentialAsk {
    return { path: this.#url.pathname, why, signal: this.#stop.signal };
  }

  #isOpen() {
    return this.state.is === "open" && this.#socket?.readyState === 1;
  }

  #write(data: string | ArrayBuffer | ArrayBufferView<ArrayBuffer>) {
    if (!this.#isOpen()) return false;
    this.#socket!.send(data);
    return true;
  }

  #tell(event: string, value: unknown) {
    for (const listener of [...this.#listeners.get(event) ?? []]) {
      try {
        listener(value);
      } catch (error) {
        queueMicrotask(() => { throw error; }); // as that of any other event
      }
    }
  }

  #move(state: ConnectionState) {
    this.state = state;
    this.#tell("state", state);
  }

  // after calls a function later, unless the attempt ends before.
  #after(ms: number, f: () => void) {
    const timer = this.#options.setTimeout(() => { this.#timers.delete(timer); f(); }, ms);
    this.#timers.add(timer);
    return timer;
  }

  #cancel(timer: unknown) {
    this.#timers.delete(timer);
    this.#options.clearTimeout(timer);
  }

  // begin is a new attempt, or none: of the one before, nothing is heard any more.
  #begin() {
    for (const timer of this.#timers) this.#options.clearTimeout(timer);
    this.#timers.clear();
    this.#socket?.close(1000); // which changes nothing if it is closed
    this.#socket = null;
    this.#renewals = Promise.resolve();
    return ++this.#attempt;
  }

  // connect makes an attempt. Without a new credential for a rejected one, the rejection stays.
  async #connect(why: CredentialAsk["why"], rejection?: Ending) {
    const attempt = this.#begin();
    this.#move({ is: "connecting" });
    if (attempt !== this.#attempt) return; // a listener has closed it
    let found: AnyCredential | null = null;
    try {
      found = await this.#credential(this.#ask(why)) ?? null;
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#wait({ reason: "credential_failed", detail: String(error) });
      return;
    }
    if (attempt !== this.#attempt) return;
    if (!found && this.#plan.needs) {
      this.#end(rejection ?? { reason: "credentials_required" });
      return;
    }
    const url = this.#target(found), protocols = this.#protocols(found);
    if (!protocols) {
      this.#end({ reason: "token_alphabet", detail: "no subprotocol can carry the token" });
      return;
    }
    try {
      const address = new URL(url);
      address.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      this.#listen(new this.#options.WebSocket(address.href, protocols), attempt, url, found);
    } catch (error) {
      this.#end({ reason: "blocked", detail: String(error) });
    }
  }

  // target is the URL for a credential.
  #target(found: AnyCredential | null) {
    const url = new URL(this.#url), { sources } = this.#plan;
    if (found?.in === "query") url.searchParams.set(sources.query!, found.value!);
    if (found?.in === "ticket") url.searchParams.set(sources.ticket!, found.value!);
    return url;
  }

  // protocols are the subprotocols for a credential, or null if none can carry it.
  #protocols(found: AnyCredential | null) {
    const { protocols, sources: { subprotocol } } = this.#plan;
    if (found?.in !== "subprotocol" || !subprotocol) return protocols;
    const value = found.value!, plain = token.test(value);
    if (plain && !subprotocol.prefix) return [...protocols, "bearer", value];
    if (protocols.length === 0) return null;
    if (plain) return [...protocols, subprotocol.prefix + value];
    if (subprotocol.prefix) return null;
    return [...protocols, `base64url.bearer.authorization.${subprotocol.name}.${base64url(value)}`];
  }

  #listen(socket: SocketLike, attempt: number, url: URL, found: AnyCredential | null) {
    let opened = false;
    const closed = (ending: Ending) => {
      if (attempt === this.#attempt) this.#lost(ending, opened, url, found);
    };
    const silent = () => closed({ reason: "lost", code: 1006 });
    const late = this.#after(openWithin, silent);
    const open = () => {
      opened = true;
      this.#cancel(late);
      this.#open(found, silent);
    };
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      if (attempt !== this.#attempt) return;
      // A route that accepts and then closes has let us in when it answers.
      if (this.#plan.accepts && this.#plan.handles) this.#ping(socket);
      else open();
    };
    socket.onmessage = ({ data }) => {
      if (attempt !== this.#attempt) return;
      if (!opened) open();
      this.#heard = this.#options.now();
      this.#hear(data);
    };
    socket.onerror = () => {
      if (attempt !== this.#attempt) return;
      this.#after(closeWithin, () => { if (opened) silent(); else closed({ reason: "blocked" }); });
    };
    socket.onclose = ({ code, reason }) => {
      closed({ reason: reason || (code === 1006 ? "lost" : "closed"), code });
    };
  }

  #open(found: AnyCredential | null, lost: () => void) {
    this.state = { is: "open" };
    this.#after(steadyAfter, () => { this.#failures = 0; this.#renewed = false; });
    for (const call of this.#calls.values()) this.#submit(call);
    this.#renewBefore(found?.expires ?? null);
    this.#heard = this.#options.now();
    if (this.#plan.handles) this.#watch(lost);
    this.#opening.resolve();
    this.#move(this.state);
  }

  #ping(socket: SocketLike | null) {
    socket?.send(JSON.stringify({ [this.#plan.member]: "ping" }));
  }

  // watch looks whether a silent server is still there.
  #watch(lost: () => void) {
    const since = this.#heard;
    this.#after(Math.max(1, since + pingAfter - this.#options.now()), () => {
      if (this.#heard !== since) {
        this.#watch(lost);
        return;
      }
      this.#ping(this.#socket);
      this.#after(pongWithin, () => { if (this.#heard === since) lost(); else this.#watch(lost); });
    });
  }

  // renewBefore renews when two thirds of the time are over, and again if that fails.
  #renewBefore(expires: ExpiryTime | null) {
    this.#cancel(this.#renewal);
    if (!this.#plan.renewable || expires === null || !this.#isOpen()) return;
    const left = new Date(expires).getTime() - this.#options.now(), attempt = this.#attempt;
    const delay = left > 0 ? Math.max(1_000, left * 2 / 3) : 60_000; // one of the clocks is wrong
    this.#renewal = this.#after(Math.min(delay, longestTimer), () => {
      this.renew().catch(() => { if (attempt === this.#attempt) this.#renewBefore(expires); });
    });
  }

  #call(type: string, message: unknown, signal?: AbortSignal, part?: (message: unknown) => void) {
    return new Promise<unknown>((resolve, reject) => {
      const ref = ++this.#refs, { member } = this.#plan, head = { [member]: type, ref };
      const [delta, last] = this.#plan.streams[type] ?? [];
      const isPart = (type: string) => delta === "any" ? type !== last : type === delta;
      const done = () => { this.#calls.delete(ref); signal?.removeEventListener("abort", cancel); };
      const call: PendingCall = {
        text: JSON.stringify({ ...head, ...message as object, ...head }),
        sent: false,
        take: (answer) => {
          if (answer[member] === "error") call.fail(new Failure(answer.reason, true, answer));
          else if (isPart(answer[member])) part?.(answer);
          else {
            done();
            resolve(answer);
          }
        },
        fail: (failure) => { done(); reject(failure); },
      };
      const cancel = () => {
        if (call.sent) this.#write(JSON.stringify({ [member]: "cancel", ref }));
        call.fail(new Failure("cancelled", call.sent));
      };
      if (signal?.aborted) cancel();
      else if (this.state.is === "closed") call.fail(new Failure(this.state.why.reason, false));
      else {
        signal?.addEventListener("abort", cancel);
        this.#calls.set(ref, call);
        this.#submit(call);
      }
    });
  }

  #submit(call: PendingCall) {
    call.sent = this.#write(call.text);
  }

  #hear(data: string | ArrayBuffer) {
    const { member, handles, hears, events } = this.#plan;
    if (hears === "raw") {
      this.#tell("message", data);
      return;
    }
    let message: any;
    try {
      message = JSON.parse(data as string); // bytes are no JSON
    } catch {
      this.#tell("unknown", data);
      return;
    }
    const type = message?.[member];
    if (hears === "json") this.#tell("message", message);
    else if (handles && type === "pong") return;
    else if (handles && message?.ref !== undefined) this.#calls.get(message.ref)?.take(message);
    else if (handles && type === "error") {
      this.#tell("error", new Failure(message.reason, true, message));
    } else if (events.includes(type)) {
      this.#tell(own.includes(type) ? `message.${type}` : type, message);
    } else this.#tell("unknown", message);
  }

  // lost decides what follows the end of an attempt.
  async #lost(ending: Ending, opened: boolean, url: URL, found: AnyCredential | null) {
    const attempt = this.#begin();
    for (const call of [...this.#calls.values()]) {
      if (call.sent) call.fail(new Failure(ending.reason, true));
    }
    if (ending.reason === "blocked") {
      this.#end(ending);
      return;
    }
    let retryAfter = 0;
    if (!opened && ending.code === 1006 && this.#plan.diagnose) {
      const { after, ...told } = await this.#diagnose(url, found);
      if (attempt !== this.#attempt) return;
      [ending, retryAfter] = [told, after];
    }
    const rows = this.#plan.closes.filter(([code]) => code === ending.code);
    const row = rows.find(([, reason]) => reason === ending.reason)
      ?? rows.find(([, reason]) => reason === "");
    if (row?.[3]) ending.description = row[3];
    const reconnect = this.#next(ending, row?.[2]);
    if (reconnect === "never") this.#end(ending);
    else if (reconnect === "later" || this.#renewed) this.#wait(ending, retryAfter);
    else {
      this.#renewed = true;
      this.#connect("rejected", ending);
    }
  }

  #next({ code = 0, reason, status = 0 }: Ending, declared?: string) {
    const rejected = status === 401 || this.#plan.rejections.includes(`${code} ${reason}`);
    if (rejected) return this.#renewed ? "never" : "now";
    if (status > 0) return status === 408 || status === 429 || status >= 500 ? "later" : "never";
    return declared ?? (code >= 4000 && code < 5000 ? "never" : "later");
  }

  // diagnose asks for the URL without a socket, since a browser hides why one was refused.
  async #diagnose(url: URL, found: AnyCredential | null): Promise<Ending & { after: number }> {
    const lost = { reason: "lost", code: 1006, after: 0 };
    const { fetch } = this.#options, stop = new AbortController();
    const timer = this.#after(diagnoseWithin, () => stop.abort());
    try {
      const response = await fetch(url.href, {
        cache: "no-store", signal: stop.signal,
        credentials: found?.in === "cookie" ? "include" : "same-origin",
        headers: found?.in === "subprotocol" ? { Authorization: `Bearer ${found.value}` } : {},
      });
      const { status } = response;
      if (status === 426) return { ...lost, detail: "the server would accept the connection" };
      const { reason, detail, errors } = await response.json().catch(() => ({}));
      const after = Number(response.headers.get("Retry-After")) || 0;
      return { reason: reason ?? `status_${status}`, status, detail, errors, after };
    } catch (error) {
      return { ...lost, reason: "unreachable", detail: String(error) };
    } finally {
      this.#cancel(timer);
    }
  }

  // wait tries again at a time by chance, later the more often it has failed.
  #wait(why: Ending, retryAfter = 0) {
    this.#begin();
    this.#renewed = false;
    const most = Math.min(longestDelay, firstDelay * 2 ** this.#failures++);
    const delay = Math.max(this.#options.random() * most, retryAfter * 1000);
    this.#after(delay, () => this.#connect("connect"));
    this.#move({ is: "waiting", why, until: this.#options.now() + delay });
  }

  #end(why: Ending) {
    if (this.state.is === "closed") return;
    this.#begin();
    this.state = { is: "closed", why };
    this.#stop.abort();
    for (const call of [...this.#calls.values()]) call.fail(new Failure(why.reason, call.sent));
    this.#opening.reject(new Failure(why.reason, false, why));
    this.#move(this.state);
  }
}

// address is that of a channel with its parameters.
function address(plan: ChannelPlan, params: object, base?: string | URL) {
  const values: Record<string, any> = { ...params };
  if (!base) throw new TypeError("there is no page that a server has sent: set the option base");
  const path = plan.path.replace(/\{([^{}]+)\}/g, (_, name: string) => {
    const value = String(values[name]);
    if (name !== plan.rest) return encodeURIComponent(value);
    return value.replace(/^\//, "").split("/").map(encodeURIComponent).join("/");
  });
  const url = new URL(String(base).replace(/\/$/, "") + path);
  url.protocol = url.protocol === "wss:" || url.protocol === "https:" ? "https:" : "http:";
  for (const name of plan.query) {
    for (const value of [values[name] ?? []].flat()) url.searchParams.append(name, String(value));
  }
  return url;
}

function base64url(text: string) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
