// Command gin is the guarded room by hand, on gin, gorilla/websocket and golang-jwt.
package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
)

const (
	readLimit    = 64 << 10
	writeTimeout = 5 * time.Second
	pingInterval = 25 * time.Second
	pongTimeout  = 35 * time.Second
)

var (
	secret = []byte(os.Getenv("PEERS_SECRET"))
	parser = jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(),
		jwt.WithLeeway(30*time.Second))
	upgrader websocket.Upgrader // its zero value accepts pages of the same origin alone
)

type message struct {
	Type   string `json:"type"`
	From   string `json:"from,omitempty"`
	Text   string `json:"text,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func refuse(c *gin.Context, status int, reason string, err error) {
	slog.Info("refused", "remote", c.Request.RemoteAddr, "reason", reason, "error", err)
	c.AbortWithStatusJSON(status, gin.H{"status": status, "reason": reason})
}

func join(c *gin.Context) {
	if !websocket.IsWebSocketUpgrade(c.Request) {
		refuse(c, http.StatusUpgradeRequired, "upgrade_required", nil)
		return
	}
	var claims jwt.RegisteredClaims
	key := func(*jwt.Token) (any, error) { return secret, nil }
	_, err := parser.ParseWithClaims(c.Query("token"), &claims, key)
	if err != nil || claims.Subject == "" {
		c.Header("WWW-Authenticate", "Bearer")
		refuse(c, http.StatusUnauthorized, "invalid_token", err)
		return
	}
	var path struct {
		Room string `uri:"room" binding:"alphanum,max=64"`
	}
	if err := c.ShouldBindUri(&path); err != nil {
		refuse(c, http.StatusUnprocessableEntity, "invalid_parameters", err)
		return
	}
	conn, err := upgrader.Upgrade(c.Writer, c.Request, nil)
	if err != nil {
		slog.Info("refused", "remote", c.Request.RemoteAddr, "error", err) // gorilla has answered
		return
	}
	begin, done := time.Now(), make(chan struct{})
	go ping(conn, done)
	err = talk(conn, claims.Subject)
	close(done)
	_ = conn.Close()
	slog.Info("ended", "remote", c.Request.RemoteAddr, "duration", time.Since(begin), "error", err)
}

func ping(conn *websocket.Conn, done <-chan struct{}) {
	ticker := time.NewTicker(pingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			_ = conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout))
		}
	}
}

// talk answers messages until a read fails, which it does at a peer that answers no pings.
func talk(conn *websocket.Conn, user string) error {
	alive := func(string) error { return conn.SetReadDeadline(time.Now().Add(pongTimeout)) }
	conn.SetReadLimit(readLimit)
	conn.SetPongHandler(alive)
	_ = alive("")
	for {
		_, data, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		var in message
		out := message{Type: "error", Reason: "invalid_message"}
		if json.Unmarshal(data, &in) == nil && in.Type == "say" {
			out = message{Type: "said", From: user, Text: in.Text}
		}
		_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err := conn.WriteJSON(out); err != nil {
			return err
		}
	}
}

func main() {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/ws/rooms/:room", join)
	srv := &http.Server{
		Addr: "127.0.0.1:" + os.Getenv("PEERS_PORT"), Handler: engine, ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
	}
	slog.Error("the server has ended", "error", srv.ListenAndServe())
}
