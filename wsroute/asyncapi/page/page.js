// The page of an AsyncAPI 3 document: it shows each channel and opens the real socket. Text goes
// into text nodes alone. Tokens stay in password fields: in no storage, no log, no URL of the page.

let doc = {};

// A broken document has anything anywhere: these read it.
const object = (v) => (v && typeof v === "object" && !Array.isArray(v) ? v : {});
const array = (v) => (Array.isArray(v) ? v : []);
const objects = (v) => array(v).map(object);
const entries = (v) => Object.entries(object(v));
const json = (v, indent) => JSON.stringify(v, null, indent);
const words = (v) => (typeof v === "string" ? v : (v ?? "") === "" ? "" : json(v));
const refOf = (v) => (typeof object(v).$ref === "string" ? v.$ref : "");
const partsOf = (ref) =>
	ref.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));

function parsed(text) {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

function lookup(ref) {
	let v = ref.startsWith("#/") ? doc : undefined;
	for (const key of partsOf(ref)) v = Object.hasOwn(Object(v), key) ? v[key] : undefined;
	return v;
}

// resolve follows references; one to nothing or to itself becomes {}.
function resolve(v) {
	for (let hops = 0; refOf(v); hops++) v = hops < 20 ? lookup(refOf(v)) : {};
	return object(v);
}

// Elements.

const $ = (id) => document.getElementById(id);
let ids = 0;

// h makes an element of "tag.class", properties if there are any, and children.
function h(name, ...children) {
	const [tag, ...classes] = name.split(".");
	const e = document.createElement(tag);
	if (classes.length) e.className = classes.join(" ");
	if (children[0]?.constructor === Object) Object.assign(e, children.shift());
	e.append(...children.flat(9).filter(Boolean));
	return e;
}

const p = (...what) => h("p", ...what);
const code = (text) => h("code", words(text));
const codes = (list) => array(list).flatMap((item, i) => [i ? ", " : "", code(item)]);
const tag = (text) => h("span.tag", text);
const hint = (...what) => h("p.hint", ...what);
const small = (...what) => h("span.hint", ...what);
const fold = (title, ...what) => h("details", h("summary", title), ...what);
const button = (id, text, onclick) => h("button", { type: "button", id, onclick }, text);
const clock = () => new Date().toTimeString().slice(0, 8);

const section = (title, ...children) =>
	h("section.card", { ariaLabel: title }, h("h3", title), ...children);

// rows shows pairs, but for those without a value.
function rows(...pairs) {
	const said = pairs.filter(([, value]) => (Array.isArray(value) ? value.length : value));
	return said.length > 0 && h("dl",
		said.map(([name, value]) => h("div", h("dt", name), h("dd", value))));
}

// Faults of the document.

const faults = [];
const fault = (where, text) => faults.length < 50 && faults.push(h("li", code(where), " ", text));

function checkDocument() {
	if (!/^3\./.test(doc.asyncapi)) fault("asyncapi", "is not 3.x, which this page reads");
	if (!words(object(doc.info).title)) fault("info.title", "is missing");
	if (!entries(doc.channels).length) fault("channels", "are missing");
	checkReferences(doc, "");
	for (const [key, raw] of entries(doc.channels)) {
		const where = `channels.${key}`;
		const c = resolve(raw);
		if (raw !== object(raw)) fault(where, "is no object");
		if (!words(c.address)) fault(`${where}.address`, "is missing");
		if (!entries(c.messages).length) fault(`${where}.messages`, "are missing");
		for (const name of namesIn(c)) {
			if (!object(c.parameters)[name]) fault(`${where}.parameters`, `lack ${name} of the address`);
		}
	}
}

function checkReferences(v, where) {
	const ref = refOf(v);
	if (ref && lookup(ref) === undefined) fault(where.slice(1), `refers to ${ref}, which is not there`);
	for (const [key, value] of typeof v === "object" ? Object.entries(v ?? {}) : []) {
		if (!/^(examples?|default|const|enum)$/.test(key)) checkReferences(value, `${where}.${key}`);
	}
}

function showFaults() {
	if (faults.length) $("faults").replaceChildren(h("h2", "This document has faults"), h("ul", faults));
}

// Schemas.

// flat is a schema whose references and allOf are resolved.
function flat(schema, depth = 0) {
	const { allOf, ...s } = resolve(schema);
	if (!Array.isArray(allOf) || depth > 9) return s;
	for (const part of allOf.map((one) => flat(one, depth + 1))) {
		s.properties = { ...object(s.properties), ...object(part.properties) };
		s.required = [...array(s.required), ...array(part.required)];
		for (const key of Object.keys(part)) s[key] ??= part[key];
	}
	return s;
}

// shape is a flat schema, its types, and whether it may be null as well.
function shape(schema, depth = 0) {
	const s = flat(schema);
	const all = array(s.anyOf ?? s.oneOf);
	const choices = all.filter((c) => object(c).type !== "null");
	if (choices.length === 1 && depth < 9) {
		const one = shape(choices[0], depth + 1);
		return { ...one, description: s.description ?? one.description, nullable: all.length > 1 };
	}
	const given = [s.type ?? (s.properties ? "object" : s.items ? "array" : [])].flat();
	const types = given.filter((t) => t !== "null");
	return { ...s, choices, types, type: types[0], nullable: types.length < given.length };
}

// inner is the schema of the items of a list, or of the values of a map.
const inner = (s) => (s.type === "array" ? s.items
	: entries(s.additionalProperties).length ? s.additionalProperties : undefined);

const has = (s, name) => array(s.required).includes(name);

function typeName(s, depth = 0) {
	const of = (schema) => (depth > 4 ? "…" : typeName(shape(schema), depth + 1));
	let name = s.types.join(" or ") || "any value";
	if (s.const !== undefined) name = json(s.const);
	else if (s.enum) name = `one of ${array(s.enum).map(words).join(", ")}`;
	else if (s.choices.length) name = s.choices.map(of).join(" or ");
	else if (inner(s)) name = `${s.type === "array" ? "list" : "map"} of ${of(inner(s))}`;
	const form = words(s.format ?? s.contentEncoding);
	return name + (form && ` (${form})`) + (s.nullable ? " or null" : "");
}

const ruleNames = /^(min|max|exclusive|multiple|unique|pattern$|default|x-validate)/;

function describe(schema) {
	const s = shape(schema);
	const rules = entries(s).filter(([key]) => ruleNames.test(key))
		.map(([key, value]) => `${key.replace("x-", "")} ${words(value)}`);
	const example = array(s.examples)[0];
	return [h("span.type", [typeName(s), ...rules].join(" · ")), " ", words(s.description),
		example !== undefined && [" For example ", code(example)]];
}

// members shows what an object holds, and what that holds.
function members(schema, path = []) {
	const s = shape(schema);
	const below = [...path, refOf(schema)];
	if (path.length > 6 || refOf(schema) && path.includes(refOf(schema))) return hint("As above.");
	if (inner(s)) return members(inner(s), below);
	if (s.choices.length) return s.choices.map((c) => members(c, below));
	const list = entries(s.properties).map(([name, m]) => h("li", code(name),
		has(s, name) && tag("required"), hint(describe(m)), members(m, below)));
	return list.length > 0 && h("ul.members", list);
}

const schemaOf = (m) => members(m.payload) || hint(describe(m.payload));

// Forms.

const input = (properties) =>
	h("input", { type: "text", autocomplete: "off", spellcheck: false, ...properties });
const secret = (name, about) => labelled(name, input({ type: "password" }), about);
const area = (value = "") =>
	h("textarea", { value, rows: Math.min(9, value.split("\n").length + 1) });
const select = (...pairs) =>
	h("select", pairs.map(([text, value = text]) => h("option", { value }, text)));

const form = (id, submit, ...children) => h("form", { id, noValidate: true, onsubmit: (event) => {
	event.preventDefault();
	submit();
} }, ...children);

// onChoice calls show now and for each choice.
function onChoice({ input: choice }, show) {
	choice.onchange = show;
	show();
}

// control is an input for a value, and a function that reads it as JSON, "" if it is left out.
function control(s, required, start) {
	if (s.enum || s.type === "boolean") {
		const values = array(s.enum ?? [true, false]).map((v) => [words(v), json(v)]);
		const one = select(...(required ? [] : [["(left out)", ""]]), ...values);
		one.value = json(start) ?? one.value;
		return [one, () => one.value];
	}
	if (/^(integer|number|string)$/.test(s.type)) {
		const isText = s.type === "string";
		const text = input({ value: words(start), inputMode: isText ? "text" : "decimal",
			placeholder: s.format === "date-time" ? "2030-01-02T15:04:05Z" : "" });
		return [text, () => { // numbers as typed: large integers stay what they are
			const typed = text.value;
			const isNumber = !isText && typeof parsed(typed) === "number";
			return isNumber ? typed : typed || isText && required ? json(typed) : "";
		}];
	}
	const text = area(json(start, 2));
	return [text, () => {
		if (text.value.trim()) JSON.parse(text.value);
		return text.value.replace(/("(\\.|[^"\\])*")|\s+/g, "$1");
	}];
}

// labelled puts a label, a hint and a place for a fault around an input.
function labelled(name, input, about = "", required = false) {
	const id = `i${++ids}`;
	const wrong = h("span.wrong", { id: `${id}w` });
	const below = h("div.hint", { id: `${id}h` }, about);
	input.id = id;
	input.setAttribute("aria-describedby", `${id}h ${id}w`);
	const element = h("div.field", h("label", { htmlFor: id }, name, required && tag("required")),
		input, below, wrong);
	const blame = (text) => {
		wrong.textContent = text;
		input.ariaInvalid = String(text !== "");
	};
	return { element, input, blame, below };
}

function field(name, schema, required, start) {
	const s = shape(schema);
	const empty = required ? { object: {}, array: [] }[s.type] : undefined;
	const known = start ?? array(s.examples)[0] ?? empty;
	const [input, text] = control(s, required, known);
	const made = labelled(code(name), input, describe(schema), required);
	const read = () => {
		made.blame("");
		try {
			return text() || undefined;
		} catch (error) {
			made.blame(`This is no JSON: ${error.message}`);
			input.focus();
			throw error;
		}
	};
	return { ...made, name, read };
}

// textsOf are the values of a parameter as a URL has them.
function textsOf(text) {
	if (text === undefined) return [];
	return /^["[]/.test(text) ? [JSON.parse(text)].flat().map(words) : [text];
}

// Credentials.

const base64url = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)))
	.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const marks = (source) => !source.prefix || /^bearer$|^base64url/.test(source.prefix);

// offers are the subprotocols that carry a token. Beside an encoded one, another must be
// selectable: one of the route's, or "bearer".
function offers(source, plain, token, speaks) {
	if (!marks(source)) return [source.prefix + token];
	if (plain && /^[\w.~-]+$/.test(token)) return ["bearer", token];
	const name = `base64url.bearer.authorization.${words(source.name)}.${base64url(token)}`;
	return speaks ? [name] : [name, "bearer"];
}

// waysOf are the ways in which a page can send a credential.
const waysOf = (need) => objects(need.sources).flatMap((source) => {
	const name = words(source.name);
	const way = (by, label, about) => ({ by, source, label, about });
	const forms = object(source["x-subprotocol"]);
	switch (source.in) {
		case "query": return source["x-ticket"] ? [
			way("ticket", `Query, ${name}: fetch a ticket`, "A POST with the token fetches it."),
			way("query", `Query, ${name}: a ticket you have`),
		] : way("query", `Query, ${name}`, "Proxies may log it with the address.");
		case "cookie": return way("cookie", `Cookie, ${name}`,
			"The browser adds it by itself. To get one, sign in to the server in another tab.");
		case "subprotocol": return [
			way("plain", "Subprotocol", "With more than letters, digits and -._~ it goes in base64url."),
			way("encoded", "Subprotocol, base64url"),
		].filter((w) => forms[w.by] !== false && (w.by === "plain" || marks(source)));
		default: return [];
	}
});

// credential is the form for a scheme. apply adds what it sends to a target.
function credential(need, speaks) {
	const ways = waysOf(need);
	const by = labelled("Send it by", select(...ways.map((w, i) => [w.label, i]), ["Nothing", ""]));
	const token = secret("Token", "It stays in this field.");
	const tickets = labelled("Tickets from", input());
	onChoice(by, () => {
		const way = ways[by.input.value];
		by.below.textContent = way?.about ?? "";
		token.element.hidden = !way || way.by === "cookie";
		tickets.element.hidden = way?.by !== "ticket";
		tickets.input.value = words(object(way?.source["x-ticket"]).url) || "/ticket";
	});
	const element = h("fieldset",
		h("legend", words(need.scheme), need.optional && tag("optional")),
		h("div.grid", by.element, token.element, tickets.element),
		rows(["Format", words(need.format)], ["Scopes", codes(need.scopes)],
			["Accepted", h("ul", objects(need.sources).map((s) => h("li",
				code(s.wire), s.in === "header" && tag("not from a browser"),
				s["x-ticket"] && tag("once"))))]));
	const apply = async (target) => {
		const way = ways[by.input.value];
		let value = token.input.value;
		if (way?.by === "cookie") target.cookie = true;
		if (way?.by === "ticket") value = await ticket(tickets.input.value, target.url, value);
		if (way?.source.in === "query" && value) target.url.searchParams.append(way.source.name, value);
		if (way?.source.in === "subprotocol" && value) {
			target.protocols.push(...offers(way.source, way.by === "plain", value, speaks));
			target.token = value;
		}
	};
	return { element, apply };
}

const bearer = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

async function ticket(path, socketURL, token) {
	const url = new URL(path, httpOf(socketURL));
	const headers = { "Content-Type": "application/json", ...bearer(token) };
	const body = json({ path: socketURL.pathname });
	const answer = await fetch(url, { method: "POST", headers, body }).catch(() => {
		throw new Error(`No ticket: ${unreadable(url)}`);
	});
	const got = object(parsed(await answer.text()));
	if (words(got.ticket)) return got.ticket;
	throw new Error(`No ticket: the answer is ${answer.status} ${words(got.reason)}`);
}

function httpOf(url) {
	const out = new URL(url);
	out.protocol = out.protocol.replace("ws", "http");
	return out;
}

const unreadable = (url) => `${url.host} cannot be reached${url.origin === location.origin ? "."
	: `, or does not let pages of ${location.origin} read its answers: list this origin in `
		+ "wsroute.Config.Origins."}`;

// Why a connection has ended, or was refused.

const meanings = {
	1000: "Nothing went wrong.", 1001: "The server goes away.", 1002: "A peer broke the protocol.",
	1003: "The server does not take such messages.", 1005: "The close frame had no code.",
	1006: "The connection was lost.", 1007: "A message was not what its type demands.",
	1008: "A rule of the server was broken.", 1009: "A message was too big.",
	1011: "The server failed.", 1012: "The server restarts.", 1013: "The server or this page is slow.",
	3000: "The credential is not valid, or not any more.", 3003: "That is forbidden.",
};
const advice = {
	never: "Do not reconnect.",
	now: "Reconnect at once, after an expiry with a fresh credential.",
	later: "Reconnect after a pause, and wait longer each time.",
};
const usual = {
	1001: "later", 1006: "later", 1011: "later", 1012: "later", 1013: "later", 3000: "now",
};

// declared is what a list says of a number and a reason, or else of the number alone.
function declared(list, member, number, reason) {
	const same = objects(list).filter((d) => d[member] === number);
	return same.find((d) => d.reason === reason) ?? same.find((d) => !d.reason);
}

function meaningOf(c, number, reason) {
	const list = [...array(c["x-close-codes"]), ...array(c["x-handshake-errors"])];
	const known = declared(list, "code", number, reason);
	return [p(words(known?.description) || meanings[number] || "No meaning is declared for it."),
		p(advice[known?.reconnect ?? usual[number] ?? "never"])];
}

// explain asks by a plain GET why a handshake was refused, which browsers hide from pages.
async function explain(c, { url, cookie, token }) {
	if (!c["x-diagnose"]) return p("The browser hides the answer from this page; the server's log has "
		+ "it. To see it here, use wsroute.Diagnose or wsroute.AcceptThenClose on the route.");
	const credentials = cookie ? "include" : "same-origin";
	let answer, text;
	try {
		answer = await fetch(httpOf(url), { cache: "no-store", credentials, headers: bearer(token) });
		text = await answer.text();
	} catch {
		return p(unreadable(httpOf(url)));
	}
	if (answer.status === 426) return p("A plain GET of the address finds nothing wrong. Maybe the "
		+ "server speaks none of the subprotocols, or a proxy does not pass WebSockets on.");
	const problem = object(parsed(text));
	const known = declared(c["x-handshake-errors"], "status", answer.status, problem.reason);
	return [
		p(h("strong", `${answer.status} ${words(problem.reason) || answer.statusText}`)),
		p(words(known?.description)), p(words(problem.detail)), errorList(problem.errors),
		!problem.status && h("pre", text.slice(0, 300)),
	];
}

const errorText = (e) => `${words(e.code)} ${words(e.param)}`.trim();
const errorList = (list) => array(list).length > 0 && h("ul",
	objects(list).map((e) => h("li", code(array(e.loc).join(".")), " ", errorText(e))));

// A session is a channel, its socket, and the log of its frames.

class Session {
	waiting = new Map(); // by ref: takes an answer, and says whether it is the last
	lastRef = 0;

	constructor(c) {
		this.c = c;
		this.member = words(c["x-type-member"]) || "type";
		this.enveloped = c["x-kind"] === "messages";
		this.status = p({ id: "status", role: "status" });
		this.why = h("div", { id: "why", role: "status" });
		this.log = h("div", { id: "log", role: "log", tabIndex: 0, ariaLabel: "Frames" });
		this.close = button("close", "Close", () => this.socket.close(1000));
		this.ping = button("ping", "Ping", () => this.sendPing());
		this.element = h("aside", { ariaLabel: "Connection" },
			h("div.bar", this.status, this.enveloped && this.ping, this.close), this.why,
			this.enveloped && c["x-renewable"] && this.renewal(),
			h("div.bar", h("h3", "Frames"), button("clear", "Clear", () => this.log.replaceChildren())),
			this.log);
		this.show("idle", "Not connected");
	}

	get isOpen() { return this.socket?.readyState === WebSocket.OPEN; }

	show(state, text, ...why) {
		this.element.dataset.state = state;
		this.status.textContent = text;
		this.close.disabled = this.ping.disabled = !this.isOpen;
		this.why.replaceChildren(...why.flat(9).filter(Boolean));
	}

	async connect(prepare) {
		const attempt = this.attempt = {};
		this.socket?.close(1000);
		this.endRequests();
		this.show("busy", "Connecting …");
		let target, socket;
		try {
			target = await prepare();
			if (attempt !== this.attempt) return;
			socket = this.socket = new WebSocket(target.url, target.protocols);
		} catch (error) {
			return this.show("bad", "Not connected", p(error.message));
		}
		let opened = false;
		socket.binaryType = "arraybuffer";
		socket.onopen = () => {
			opened = true;
			this.add(hint(`${clock()} opened`));
			this.show("open", `Open since ${clock()}${socket.protocol && `, ${socket.protocol}`}`);
		};
		socket.onmessage = ({ data }) => this.receive(data);
		socket.onclose = async ({ code: number, reason }) => {
			const text = `${opened ? "Closed with" : "Not opened:"} ${number} ${reason}`.trim();
			const state = number === 1000 ? "idle" : "bad";
			this.add(hint(`${clock()} ${text}`));
			if (attempt !== this.attempt) return;
			this.endRequests();
			this.show(state, text);
			const why = opened ? meaningOf(this.c, number, reason) : await explain(this.c, target);
			if (attempt === this.attempt) this.show(state, text, why);
		};
	}

	endRequests() {
		for (const take of this.waiting.values()) take(null);
		this.waiting.clear();
	}

	// send puts a frame on the wire, and what may be shown of it into the log.
	send(data, shown = data) {
		this.socket.send(data);
		this.frame("sent", shown);
	}

	// start is how a message begins.
	start(type, ref) {
		return `{${json(this.member)}:${json(type)}${ref ? `,"ref":${ref}` : ""}`;
	}

	// ask sends a message of usher's own, and shows what take makes of the answer.
	ask(type, take, more = "", shown = more) {
		const start = this.start(type, ++this.lastRef);
		this.waiting.set(String(this.lastRef), (m) => {
			if (m) this.show("open", this.status.textContent, p(take(m)));
			return true;
		});
		this.send(`${start}${more}}`, `${start}${shown}}`);
	}

	receive(data) {
		this.frame("received", data);
		const message = object(this.enveloped && parsed(data));
		const ref = String(message.ref);
		if (this.waiting.get(ref)?.(message)) this.waiting.delete(ref);
	}

	sendPing() {
		const began = performance.now();
		this.ask("ping", () => `The pong came after ${(performance.now() - began).toFixed(1)} ms.`);
	}

	renewal() {
		const token = secret("New token");
		const took = (m) => (m[this.member] === "error" ? `Not renewed: ${words(m.reason)}`
			: `Renewed until ${words(m.expires) || "it is revoked"}.`);
		return fold("Renew the credential", form("renew", () => {
			token.blame(this.isOpen ? "" : connectFirst);
			const text = `,"token":${json(token.input.value)}`;
			if (this.isOpen) this.ask("renew", took, text, ',"token":"•••"');
			token.input.value = "";
		}, token.element, h("button", "Renew")));
	}

	frame(way, data) {
		const isText = typeof data === "string";
		const text = isText ? data.slice(0, 9999) : hexOf(data.slice(0, 256));
		const size = isText ? "" : ` · ${data.byteLength} bytes`;
		this.add(h(`div.${way}`, hint(h("b", way), ` ${clock()}${size}`), code(text)));
	}

	add(row) {
		const { log } = this;
		const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
		log.append(row);
		if (log.childElementCount > 500) log.firstChild.remove();
		if (follows) log.scrollTop = log.scrollHeight;
	}
}

const connectFirst = "Connect first.";
const hexOf = (data) =>
	Array.from(new Uint8Array(data), (b) => b.toString(16).padStart(2, "0")).join(" ");

function bytesOf(text) {
	const digits = text.replace(/\s/g, "");
	if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error("Write two hex digits for each byte.");
	return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16)).buffer;
}

// Messages.

const isBinary = (m) => m["x-frame"] === "binary" || m.contentType === "application/octet-stream";
const exampleOf = (m) => objects(m.examples)[0]?.payload;

// composer is the fields of a message, and what makes its frame.
function composer(session, m) {
	const s = shape(m.payload);
	if (!m.typed && !entries(s.properties).length) {
		const all = field("message", m.payload, true, exampleOf(m));
		const isRaw = /^text\/plain/.test(m.contentType) || s.type === "string" && !m.contentType;
		return [[all], () => (isRaw ? JSON.parse(all.read()) : all.read() ?? "")];
	}
	const own = m.typed ? [session.member, session.enveloped && "ref"] : [];
	const fields = entries(s.properties).filter(([name]) => !own.includes(name))
		.map(([name, schema]) => field(name, schema, has(s, name), object(exampleOf(m))[name]));
	return [fields, (ref) => {
		const pairs = fields.map((f) => [f.name, f.read()]).filter(([, text]) => text !== undefined);
		const told = pairs.map(([name, text]) => `${json(name)}:${text}`);
		return `${[m.typed ? session.start(m.key, ref) : "{", ...told].join(",").replace("{,", "{")}}`;
	}];
}

// request shows a message that was sent, and below it what came back.
function request(session, m, ref, fields) {
	const began = performance.now();
	const streams = m.op["x-streams"];
	const state = h("span", m.answers.length ? "waiting" : "sent");
	const cancel = button("", "Cancel", () => session.send(`${session.start("cancel", ref)}}`));
	const element = h("div.request", h("div.bar", h("b", `ref ${ref}`), state, cancel));
	cancel.hidden = !m.answers.length;
	session.waiting.set(String(ref), (answer) => {
		const type = words(answer?.[session.member]);
		const failed = type === "error";
		const part = streams && (streams === "any" ? type !== m.op["x-answer"] : type === streams);
		cancel.hidden = !answer || failed || !part;
		if (answer) {
			const after = (performance.now() - began).toFixed(0);
			state.textContent = `${type} after ${after} ms`;
			element.append(failed ? failure(session.c, m, answer, fields) : "", h("pre", json(answer, 2)));
		} else if (m.answers.length) state.textContent = "not answered: the connection has ended";
		return cancel.hidden;
	});
	return element;
}

function failure(c, m, answer, fields) {
	for (const e of objects(answer.errors)) {
		fields.find((f) => f.name === array(e.loc)[0])?.blame(errorText(e));
	}
	const known = [...m.errors, ...objects(c["x-errors"])].find((e) => e.reason === answer.reason);
	const wait = words(answer.retry_after);
	return h("div.failed", h("strong", words(answer.reason)), " ", words(known?.description), " ",
		words(answer.detail), wait && ` Try again in ${wait} s.`, errorList(answer.errors));
}

function sender(session, m) {
	const [fields, compose] = composer(session, m);
	const answers = h("div", { id: `answers-${m.key}` });
	return form(`send-${m.key}`, () => {
		if (!session.isOpen) return answers.replaceChildren(p(connectFirst));
		const ref = session.enveloped ? ++session.lastRef : 0;
		let text;
		try {
			text = compose(ref);
		} catch {
			return; // the field says why
		}
		answers.prepend(ref ? request(session, m, ref, fields) : hint(`Sent at ${clock()}.`));
		if (answers.childElementCount > 3) answers.lastChild.remove();
		session.send(text);
	}, h("div.grid", fields.map((f) => f.element)), h("button.primary", `Send ${m.key}`), answers);
}

// rawSender sends any frame: what is typed, bytes in hex, or a file.
function rawSender(session, id, ...kinds) {
	const kind = labelled("Frame", select(...kinds, ["Bytes in hex"], ["Bytes of a file"]));
	const text = labelled("Content", area());
	const file = labelled("File", h("input", { type: "file" }));
	onChoice(kind, () => {
		file.element.hidden = !/file/.test(kind.input.value);
		text.element.hidden = !file.element.hidden;
	});
	return form(id, async () => {
		try {
			if (!session.isOpen) throw new Error(connectFirst);
			const typed = text.input.value;
			session.send(text.element.hidden ? await file.input.files[0].arrayBuffer()
				: /hex/.test(kind.input.value) ? bytesOf(typed) : typed);
			kind.blame("");
		} catch (error) {
			kind.blame(text.element.hidden && !file.input.files[0] ? "Choose a file." : error.message);
		}
	}, h("div.grid", kind.element, text.element, file.element), h("button.primary", "Send frame"));
}

// messagesOf are the messages of a channel, each with the operation that receives it.
function messagesOf(key, c) {
	const named = (list, name) => array(list).some((v) => partsOf(refOf(v)).at(-1) === name);
	const ours = entries(doc.operations).map(([, op]) => object(op))
		.filter((op) => partsOf(refOf(op.channel)).join("/") === `channels/${key}`);
	return entries(c.messages).map(([name, raw]) => {
		const m = resolve(raw);
		const all = ours.filter((op) => named(op.messages, name));
		const op = all.find((o) => o.action === "receive");
		const replies = array(object(op?.reply).messages);
		return {
			...m, key: words(m.name) || name, op, isSent: !op || all.length > 1,
			answers: Object.keys(c.messages).filter((n) => n !== "error" && named(replies, n)),
			typed: Boolean(c["x-type-member"]) && !isBinary(m), 
			errors: objects(op?.["x-errors"]),
		};
	});
}

const card = (m, open, ...what) => h("details.message", { open },
	h("summary", h("h4", m.key), " ", small(words(m.description))), ...what);

const sentCard = (m, open) => card(m, open, schemaOf(m),
	exampleOf(m) && h("pre", json(exampleOf(m), 2)));

const receivedCard = (session, m, open) => card(m, open,
	rows(["Answer", codes(m.answers)], ["Scopes", codes(m.op["x-scopes"])],
		["Guards", codes(m.op["x-guards"])], ["Within", words(m.op["x-within"])],
		["At once", words(m.op["x-concurrent"])], ["Errors", m.errors.length > 0 && h("ul",
			m.errors.map((e) => h("li", code(e.reason), " ", words(e.description))))]),
	isBinary(m) ? rawSender(session, `send-${m.key}`, ...(m["x-frame"] === "any" ? [["Text"]] : []))
		: [sender(session, m), fold("Schema", schemaOf(m))]);

// Channels.

const namesIn = (c) => [...words(c.address).matchAll(/\{([^}]*)\}/g)].map(([, name]) => name);

function servers() {
	const own = `${location.protocol.replace("http", "ws")}//${location.host}`;
	const named = entries(doc.servers).map(([name, raw]) => {
		const s = resolve(raw);
		return [name, `${s.protocol === "ws" ? "ws" : "wss"}://${words(s.host)}${words(s.pathname)}`];
	});
	return [["This host", own], ...named.filter(([, base]) => URL.canParse(base))];
}

// originText says what a page of this origin has to know about a server.
function originText(c, base) {
	const listed = array(c["x-origins"]).map(words);
	if (listed.length && !listed.includes(location.origin) && !/\*/.test(listed)) {
		return `The route does not list the origin of this page, ${location.origin}: it answers 403.`;
	}
	return httpOf(base).origin === location.origin ? "" : "A server of another origin must list this "
		+ "one in wsroute.Config.Origins. Why it refuses can be read on routes with AcceptThenClose, or "
		+ "with Diagnose, by its CORS headers.";
}

function connectForm(session, c) {
	const server = labelled("Server",
		select(...servers().map(([name, base]) => [`${name}, ${base}`, base])));
	onChoice(server, () => {
		server.below.textContent = originText(c, server.input.value);
	});
	const { query, headers } = object(object(c.bindings).ws);
	const path = namesIn(c).map((name) => {
		const about = resolve(object(c.parameters)[name]);
		const made = field(name, { type: "string", ...about, ...object(about["x-schema"]) }, true);
		const rest = about["x-rest"] ? "/" : "%2F";
		const part = () => encodeURIComponent(textsOf(made.read())[0] ?? "").replaceAll("%2F", rest);
		return { ...made, part };
	});
	const asked = entries(object(query).properties)
		.map(([name, s]) => field(name, s, has(query, name)));
	const others = (schema, kind, why) => entries(object(schema).properties)
		.map(([name, s]) => hint(kind, code(name), why, describe(s)));
	const speaks = array(c["x-subprotocols"]).map(words).join(", ");
	const offered = labelled("Subprotocols", input({ value: speaks }), "The best first.");
	const needs = objects(c["x-security"]).map((need) => credential(need, speaks));
	const prepare = async () => {
		const values = path.map((f) => f.part());
		const url = new URL(server.input.value.replace(/\/$/, "")
			+ c.address.replace(/\{[^}]*\}/g, () => values.shift()));
		for (const f of asked) {
			for (const text of textsOf(f.read())) url.searchParams.append(f.name, text);
		}
		const target = { url, protocols: offered.input.value.split(/[\s,]+/).filter(Boolean) };
		for (const n of needs) await n.apply(target);
		return target;
	};
	return section("Connect", form("connect", () => session.connect(prepare),
		h("div.grid", server.element, [...path, ...asked].map((f) => f.element),
			speaks && offered.element),
		others(headers, "Header ", ", which a page cannot send: "),
		others(c["x-cookies"], "Cookie ", ", which the browser adds: "),
		needs.map((n) => n.element), h("button.primary", { id: "open" }, "Connect")));
}

const outcomes = (title, list, number, more) => array(list).length > 0 && section(title,
	h("ul.outcomes", objects(list).map((e) => h("li", h("b", `${words(e[number])} ${words(e.reason)}`),
		" ", words(e.description) || meanings[e[number]], " ", small(more(e))))));

function channelView(key) {
	const c = resolve(doc.channels[key]);
	const session = new Session(c);
	const all = messagesOf(key, c);
	const sent = all.filter((m) => m.isSent);
	const limits = entries(c["x-limits"]).map(([name, value]) => [name, words(value)]);
	return h("div.channel",
		h("div.intro", h("h2", { id: "title", tabIndex: -1 }, words(c.address) || key),
			p(words(c.description)),
			h("p.tags", tag(words(c["x-kind"]) || "channel"),
				Object.keys(c).filter((k) => c[k] === true).map((k) => tag(k.slice(2).replaceAll("-", " "))))),
		words(c.address) && [connectForm(session, c), session.element],
		section("Messages that you send",
			all.filter((m) => m.op).map((m, i) => receivedCard(session, m, i === 0)),
			fold("Any other frame", rawSender(session, "send-frame", ["Text"]))),
		sent.length > 0 && section("Messages of the server",
			sent.map((m) => sentCard(m, sent.length < 4))),
		section("Who gets in", rows(["Guards", codes(c["x-guards"])],
			["Pages of", c["x-origins"] ? codes(c["x-origins"]) : "its own origin"])),
		outcomes("Refused handshakes", c["x-handshake-errors"], "status",
			(e) => [e.by && `By ${words(e.by)}. `, e.code && `Close code ${words(e.code)}.`]),
		outcomes("Close codes", c["x-close-codes"], "code", (e) => advice[e.reconnect]),
		limits.length > 0 && section("Limits", rows(...limits)));
}

// The page.

const views = new Map();

function viewOf(key) {
	try {
		return channelView(key);
	} catch (error) {
		fault(`channels.${key}`, `cannot be shown: ${error.message}`);
		showFaults();
		return h("pre", json(doc.channels[key], 2));
	}
}

// showChannel shows the channel that the address names, or the first.
function showChannel() {
	const hashes = entries(doc.channels).map(([key]) => [key, `#/${encodeURIComponent(key)}`]);
	const [key, hash] = hashes.find((pair) => pair[1] === location.hash) ?? hashes[0] ?? [];
	if (hash && !views.has(key)) views.set(key, viewOf(key)); // a view keeps its connection
	$("main").replaceChildren(hash ? views.get(key) : "");
	$("nav").replaceChildren(h("ul", hashes.map(([k, href]) => h("li",
		h("a", { href, ariaCurrent: k === key ? "page" : null },
			words(resolve(doc.channels[k]).address) || k)))));
}

try {
	const answer = await fetch("asyncapi.json", { cache: "no-cache" });
	if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
	doc = object(await answer.json());
	checkDocument();
} catch (error) {
	fault("asyncapi.json", `cannot be read: ${error.message}`);
}
const info = object(doc.info);
document.title = words(info.title) || document.title;
$("head").replaceChildren(h("h1", document.title, " ", small(words(info.version))),
	p(words(info.description)), h("a", { href: "asyncapi.json" }, "asyncapi.json"));
showFaults();
showChannel();
addEventListener("hashchange", () => {
	if (location.hash === "#main") return;
	showChannel();
	$("title")?.focus();
});
addEventListener("pagehide", () => {
	for (const field of document.querySelectorAll("[type=password]")) field.value = "";
});
