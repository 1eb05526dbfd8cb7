// How somebody stays signed in: a token, when it ends, and its renewal while that is
// wanted. Nothing here touches the page.

const answerWithin = 5_000; // ms for a plain request
const renewedAfter = 2 / 3; // of a token's life
const youngUntil = 1 / 2; // of it: such a token is not renewed again
const againAfter = 1_000; // ms after a renewal that failed for the moment

// Session is one sign-in, from a token to the end of the last one that came of it.
//
// hooks.renewed() is called after each renewal.
export class Session {
  token;
  ends; // ms since 1970, when the token does
  scopes; // what it allows
  #young; // ms since 1970, until when it is
  #hooks;
  #stay;
  #timer = 0;
  #renewing = null; // a promise, while the server is asked

  constructor(answer, stay, hooks) {
    this.#stay = stay;
    this.#hooks = hooks;
    this.#accept(answer);
  }

  #accept({ access_token, expires_in, scope = "" }) {
    const now = Date.now(), life = expires_in * 1000;
    this.token = access_token;
    this.scopes = scope.split(" ");
    this.ends = now + life;
    this.#young = now + life * youngUntil;
    this.#again(life * renewedAfter);
  }

  #again(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#renew(), delay);
  }

  get over() {
    return Date.now() >= this.ends;
  }

  // stay says whether the session is renewed. Whoever does not want to stay is signed out
  // by the server when the token ends.
  set stay(wanted) {
    this.#stay = wanted;
    if (wanted && !this.over) this.#renew();
  }

  // renewed is a young token, or null if there is none at the moment.
  async renewed() {
    if (Date.now() >= this.#young) await this.#renew();
    return Date.now() < this.#young ? this.token : null;
  }

  // #renew gets a new token while the old one counts, once for all who want one.
  #renew() {
    this.#renewing ??= this.#ask().finally(() => { this.#renewing = null; });
    return this.#renewing;
  }

  async #ask() {
    if (!this.token || !this.#stay) return;
    const mine = this.token;
    try {
      const response = await fetch("/renew", { method: "POST", headers: this.headers, signal: AbortSignal.timeout(answerWithin) });
      if (mine !== this.token || response.status === 401) return;
      if (response.ok) {
        this.#accept(await response.json());
        this.#hooks.renewed();
        return;
      }
    } catch {
      // as with any other failure of the moment
    }
    if (mine === this.token && !this.over) this.#again(againAfter);
  }

  get headers() {
    return { Authorization: `Bearer ${this.token}` };
  }

  // ask asks for something that is for those who are signed in. What fails is told
  // elsewhere; a token that does not count any more is known by its status.
  async ask(path) {
    try {
      const response = await fetch(path, { cache: "no-store", headers: this.headers, signal: AbortSignal.timeout(answerWithin) });
      const body = await response.json();
      return { status: response.status, body: response.ok ? body : null };
    } catch {
      return { status: 0, body: null };
    }
  }

  // leave forgets the token on this page.
  leave() {
    this.token = "";
    clearTimeout(this.#timer);
  }

  // end ends everything that the account has open, here and elsewhere, and says what
  // has come of that: "everywhere", "here" for a token that did not count any more, or
  // "unknown" if the server has not said.
  async end() {
    const { headers } = this;
    this.leave();
    try {
      const { ok, status } = await fetch("/logout", { method: "POST", headers, keepalive: true, signal: AbortSignal.timeout(answerWithin) });
      if (ok) return "everywhere";
      return status === 401 ? "here" : "unknown";
    } catch {
      return "unknown";
    }
  }
}
