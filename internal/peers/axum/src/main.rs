//! The guarded room on axum: the token by an extractor, the room by a type, messages by serde.

use std::net::Ipv4Addr;

use axum::{
    Router,
    extract::{
        FromRequestParts, Path, Query, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::{Deserialize, Serialize};

#[derive(Clone)]
struct Keys {
    decoding: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[derive(Deserialize)]
struct Credentials {
    token: String,
}

struct User(String);

impl FromRequestParts<Keys> for User {
    type Rejection = (StatusCode, [(header::HeaderName, &'static str); 1]);

    async fn from_request_parts(parts: &mut Parts, keys: &Keys) -> Result<Self, Self::Rejection> {
        let refused = (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]);
        let Ok(Query(Credentials { token })) = Query::try_from_uri(&parts.uri) else {
            return Err(refused);
        };
        match decode::<Claims>(&token, &keys.decoding, &keys.validation) {
            Ok(data) => Ok(User(data.claims.sub)),
            Err(_) => Err(refused),
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Room;

impl TryFrom<String> for Room {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let good =
            (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
        if good { Ok(Room) } else { Err("a room has 1 to 64 letters and digits") }
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Command {
    Say { text: String },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Event<'a> {
    Said { from: &'a str, text: String },
    Error { reason: &'static str },
}

async fn join(ws: WebSocketUpgrade, user: User, Path(_): Path<Room>) -> Response {
    ws.max_message_size(64 << 10)
        .max_frame_size(64 << 10)
        .on_upgrade(move |socket| talk(socket, user))
        .into_response()
}

async fn talk(mut socket: WebSocket, User(name): User) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else {
            continue;
        };
        let event = match serde_json::from_str(&text) {
            Ok(Command::Say { text }) => Event::Said { from: &name, text },
            Err(_) => Event::Error { reason: "invalid_message" },
        };
        let Ok(json) = serde_json::to_string(&event) else {
            return;
        };
        if socket.send(Message::text(json)).await.is_err() {
            return;
        }
    }
}

#[tokio::main]
async fn main() {
    let secret = std::env::var("PEERS_SECRET").expect("PEERS_SECRET");
    let port = std::env::var("PEERS_PORT").expect("PEERS_PORT").parse().expect("a port");
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["exp", "sub"]);
    let keys =
        Keys { decoding: DecodingKey::from_secret(secret.as_bytes()).expect("a key"), validation };
    let app = Router::new().route("/ws/rooms/{room}", get(join)).with_state(keys);
    let listener =
        tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("listen");
    axum::serve(listener, app).await.expect("serve");
}
