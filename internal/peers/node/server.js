'use strict';

// The guarded room on ws: authentication in the server's upgrade event and a ping to every client, as
// the two examples in its documentation have them.

const { createSecretKey } = require('node:crypto');
const http = require('node:http');
const jwt = require('jsonwebtoken');
const { WebSocketServer } = require('ws');

// A key in place of the string that jsonwebtoken's documentation has: of a string it first asks, for
// each token and slowly, whether it is a public key.
const secret = createSecretKey(Buffer.from(process.env.PEERS_SECRET));
const roomPath = /^\/ws\/rooms\/([^/]+)$/;
const roomName = /^[A-Za-z0-9]{1,64}$/;

function authenticate(token) {
  const { sub, exp } = jwt.verify(token, secret, { algorithms: ['HS256'] });
  if (!sub || !exp) throw new Error('sub or exp is missing');
  return sub;
}

function answer(user, data) {
  let message;
  try {
    message = JSON.parse(data);
  } catch {
    return { type: 'error', reason: 'invalid_json' };
  }
  if (message?.type !== 'say') return { type: 'error', reason: 'unknown_type' };
  if (typeof message.text !== 'string') return { type: 'error', reason: 'invalid_message' };
  return { type: 'said', from: user, text: message.text };
}

const server = http.createServer((request, response) => {
  response.writeHead(426, { Upgrade: 'websocket', Connection: 'Upgrade' });
  response.end();
});

const wss = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 });

server.on('upgrade', (request, socket, head) => {
  const refuse = (status, headers = '') => {
    socket.end(
      `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${headers}Content-Length: 0\r\nConnection: close\r\n\r\n`,
    );
  };
  const onSocketError = (error) => console.error(error);
  socket.on('error', onSocketError);
  const url = new URL(request.url, 'ws://localhost');
  const path = roomPath.exec(url.pathname);
  if (!path) return refuse(404);
  let user;
  try {
    user = authenticate(url.searchParams.get('token'));
  } catch {
    return refuse(401, 'WWW-Authenticate: Bearer\r\n');
  }
  if (!roomName.test(path[1])) return refuse(422);
  socket.removeListener('error', onSocketError);
  wss.handleUpgrade(request, socket, head, (ws) => wss.emit('connection', ws, request, user));
});

wss.on('connection', (ws, request, user) => {
  ws.isAlive = true;
  ws.on('pong', () => { ws.isAlive = true; });
  ws.on('error', (error) => console.error(error));
  ws.on('message', (data) => ws.send(JSON.stringify(answer(user, data))));
});

setInterval(() => {
  for (const ws of wss.clients) {
    if (!ws.isAlive) {
      ws.terminate();
      continue;
    }
    ws.isAlive = false;
    ws.ping();
  }
}, 30000);

server.listen(Number(process.env.PEERS_PORT), '127.0.0.1');
