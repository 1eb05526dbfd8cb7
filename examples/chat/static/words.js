// Words for people: what the reasons, close codes and statuses of the server and the client mean.

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
};

const reasons = {
  blocked: "The browser makes no connection to the server.",
  closed: "The connection was closed.",
  credentials_required: "You are not signed in.",
  internal_error: "The server failed.",
  draining: "The server is about to restart.",
  kicked: "You were removed from this room.",
  lost: "The connection was lost.",
  revoked: "This account was signed out.",
  server_restart: "The server restarts.",
  slow_reader: "This page could not keep up with the messages.",
  timeout: "The server took too long.",
  token_expired: "Your sign-in has run out.",
  too_many_connections: "The server is full just now.",
  too_many_of_principal: "You are connected too often already.",
  unreachable: "The server cannot be reached.",
  // of messages
  insufficient_scope: "Your sign-in does not allow that.",
  internal: "The server failed.",
  no_message: "The room does not have that message any more.",
  not_here: "There is nobody of that name in the room.",
  offline: "There is no connection.",
  not_yours: "Only its author may do that.",
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

// sentence says what an Ending or a Failure of the client means, with its code for those who look
// into it.
export function sentence({ reason, code, status, detail, errors = [] }) {
  if (code && reason === "closed" || reason === `status_${status}`) reason = ""; // there is none
  const said = errors.map(({ loc, code }) => {
    const name = loc.slice(status ? 1 : 0).join(" "); // without the kind of a parameter
    return faults[`${name} ${code}`] ?? `The server did not accept ${name}: ${code}.`;
  });
  if (said.length === 0) {
    const closed = code ? "The server closed the connection." : "The server refused.";
    said.push(reasons[reason] ?? detail ?? meanings[code] ?? statuses[status] ?? closed);
  }
  const marks = code === 1006 ? [] : [code, status, reason].filter(Boolean); // no server says 1006
  return said.join(" ") + (marks.length ? ` (${marks.join(" ")})` : "");
}
