// Small parts of the page. What people wrote is text, never markup.

export function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

// button is one that does what its act says: see the listeners of clicks.
export function button(act, className, text) {
  const made = element("button", className, text);
  made.type = "button";
  made.dataset.act = act;
  return made;
}

// face is the round sign of a user.
export function face(name) {
  const sign = element("span", "face", [...name][0]?.toUpperCase() ?? "");
  sign.ariaHidden = "true";
  sign.dataset.hue = [...name].reduce((sum, c) => sum * 31 + c.codePointAt(0), 7) % 6;
  return sign;
}

// clock is a time as the reader writes it, without seconds, and with the day if that is half a
// day away.
export function clock(ms) {
  const then = new Date(ms);
  const day = Math.abs(then - Date.now()) < 12 * 3_600_000 ? {} : { day: "numeric", month: "short" };
  const made = element("time", "", then.toLocaleString([], { ...day, hour: "numeric", minute: "2-digit" }));
  made.dateTime = then.toISOString();
  return made;
}
