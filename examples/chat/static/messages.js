// The messages on the page: in the order of their IDs, changed and removed as the server says.
// Nothing here knows of a connection.

import { button, clock, element, face } from "./parts.js";

const idOf = (message) => Number(message.dataset.id ?? Infinity); // those that are being sent come last

// Messages fills a list, in which the button older stands first, and shows the button newest
// while the reader has scrolled up and there is more below.
export class Messages {
  #list;
  #older;
  #newest;
  #user = "";
  #following = true; // the last message stays in sight

  constructor(list, older, newest) {
    this.#list = list;
    this.#older = older;
    this.#newest = newest;
    list.addEventListener("scroll", () => {
      this.#following = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
      if (this.#following) newest.hidden = true;
    });
    // A keyboard on the screen or a longer notice takes room away.
    new ResizeObserver(() => {
      if (this.#following) this.toEnd();
    }).observe(list);
  }

  // begin empties the list for a user.
  begin(user) {
    this.#user = user;
    this.#list.replaceChildren(this.#older);
    this.#older.hidden = true;
    this.toEnd();
  }

  get #messages() {
    return [...this.#list.querySelectorAll(".message")];
  }

  // ids are those of the messages that the server has, the oldest first.
  get ids() {
    return this.#messages.map(idOf).filter(Number.isFinite);
  }

  find(id) {
    return this.#list.querySelector(`[data-id="${id}"]`);
  }

  // add shows a message, or what has become of it.
  add(said) {
    const here = this.find(said.id);
    if (here) this.#fill(here, said);
    else this.#insert(this.#make(said), said.from === this.#user);
  }

  // send shows a message of the user's that the server has not answered yet.
  send(text) {
    const message = this.#make({ from: this.#user, text });
    message.classList.add("sending");
    this.#insert(message, true);
    return message;
  }

  // sent gives a message that was sent what the server has answered.
  sent(message, said) {
    message.classList.remove("sending");
    this.#fill(message, said);
    this.#insert(message, false);
  }

  // failed says why a message was not sent.
  failed(message, why) {
    message.classList.replace("sending", "failed");
    message.querySelector(".acts").replaceChildren(button("again", "quiet", "Write again"));
    message.querySelector(".acts").hidden = false;
    this.fault(message, why);
  }

  change({ id, text }) {
    const message = this.find(id);
    if (message) this.#fill(message, { id, text, edited: true });
  }

  remove(message) {
    message?.remove();
    this.#group();
  }

  // fault says beside a message why something was not done with it.
  fault(message, why) {
    message.querySelector(".fault").textContent = why;
    if (this.#following) this.toEnd();
  }

  // addOlder shows messages above the others, and leaves those where they are. They are not read
  // out. more says whether there are older ones.
  addOlder(messages, more) {
    const list = this.#list;
    list.ariaBusy = "true";
    const below = list.scrollHeight - list.scrollTop;
    for (const said of messages) if (!this.find(said.id)) this.#place(this.#make(said));
    this.#group();
    this.#older.hidden = !more;
    if (this.#following) this.toEnd();
    else list.scrollTop = list.scrollHeight - below;
    setTimeout(() => { list.ariaBusy = "false"; }, 500);
  }

  // catchUp shows what has become of the messages with some IDs while the page was not connected,
  // by all that the room has; full says that it may have forgotten some.
  catchUp(ids, messages, full) {
    const first = messages[0]?.id ?? Infinity;
    if (ids.length > 0 && first > ids.at(-1)) {
      const old = this.#messages.filter((message) => ids.includes(idOf(message)));
      for (const message of old) this.#keep(message);
      old.at(-1)?.after(element("p", "note", full ? "Some messages were missed." : "The room began anew. What stands above is on this page only."));
      this.#older.hidden = true;
      this.#reveal(false);
    } else {
      const here = new Set(messages.map(({ id }) => id));
      for (const id of ids) if (id >= first && !here.has(id)) this.remove(this.find(id));
    }
    const oldest = this.ids[0] ?? 0;
    for (const said of messages) if (said.id >= oldest) this.add(said);
  }

  // keep leaves a message on the page of which the server knows nothing any more.
  #keep(message) {
    delete message.dataset.id;
    message.classList.add("kept");
    message.querySelector(".open")?.remove();
  }

  // note adds a remark of the page's own.
  note(text) {
    this.#list.append(element("p", "note", text));
    this.#reveal(false);
  }

  // opens shows what the user can do with a message, or hides it.
  opens(message, open) {
    message.querySelector(".acts").hidden = !open;
    message.querySelector(".open").ariaExpanded = String(open);
    message.querySelector(".fault").textContent = "";
    if (this.#following) this.toEnd();
  }

  toEnd() {
    this.#following = true;
    this.#newest.hidden = true;
    this.#list.scrollTop = this.#list.scrollHeight;
  }

  #make(said) {
    const mine = said.from === this.#user;
    const message = element("div", mine ? "message mine" : "message", "");
    const head = element("p", "head", "");
    head.append(element("span", "from", said.from), " ", element("time", "", ""));
    const acts = element("div", "acts", "");
    acts.hidden = true;
    const fault = element("p", "fault", "");
    fault.role = "alert";
    message.append(face(said.from), head, element("p", "text", ""), element("p", "mark", ""), fault, acts);
    if (mine) acts.append(button("edit", "quiet", "Edit"), button("delete", "quiet", "Delete"));
    this.#fill(message, said);
    return message;
  }

  // fill shows what the server has said of a message, which may be a part.
  #fill(message, { id, text, at, edited }) {
    message.querySelector(".text").textContent = text;
    message.querySelector(".mark").textContent = edited ? "edited" : "";
    if (at || !message.querySelector("time").dateTime) message.querySelector("time").replaceWith(clock(at ?? Date.now()));
    if (id && !message.dataset.id) {
      message.dataset.id = id;
      if (message.classList.contains("mine")) message.querySelector(".text").before(this.#opener(text));
    }
  }

  #opener(text) {
    const open = button("open", "open quiet", "…");
    open.ariaLabel = `Edit or delete “${text.slice(0, 40)}”`;
    open.ariaExpanded = "false";
    return open;
  }

  #insert(message, follow) {
    this.#place(message);
    this.#reveal(follow);
  }

  // place puts a message where its ID belongs, and leaves it alone if it is there.
  #place(message) {
    const rest = this.#messages.filter((other) => other !== message && !other.matches(".kept"));
    const next = rest.find((other) => idOf(other) > idOf(message)) ?? null;
    const at = this.#messages.indexOf(message);
    if (at < 0 || (this.#messages[at + 1] ?? null) !== next) this.#list.insertBefore(message, next);
  }

  #reveal(follow) {
    this.#group();
    if (this.#following || follow) this.toEnd();
    else this.#newest.hidden = false;
  }

  // group sees to it that somebody who goes on in the same minute is not named again.
  #group() {
    let last = "";
    for (const item of this.#list.children) {
      const head = item.querySelector(".head")?.textContent ?? "";
      item.classList.toggle("more", head !== "" && head === last);
      last = head;
    }
  }
}
