package main

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-playground/validator/v10"
	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
)

const (
	writeWait = 5 * time.Second
	pingEvery = 25 * time.Second
	pongWait  = 35 * time.Second
	readLimit = 64 << 10
)

// byHand is the room without usher.
type byHand struct {
	secret   []byte
	parser   *jwt.Parser
	validate *validator.Validate
	upgrader websocket.Upgrader
}

func newByHand(secret []byte) *byHand {
	return &byHand{
		secret: secret,
		parser: jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(),
			jwt.WithIssuer(issuer), jwt.WithAudience(audience)),
		validate: validator.New(),
		upgrader: websocket.Upgrader{CheckOrigin: func(r *http.Request) bool {
			from := r.Header.Get("Origin")
			return from == "" || from == origin
		}},
	}
}

func (h *byHand) mount(r gin.IRouter) { r.GET("/rooms/:room", gin.Recovery(), h.join) }

func refuse(c *gin.Context, status int, reason string) {
	if status == http.StatusUnauthorized {
		c.Header("WWW-Authenticate", "Bearer")
	}
	c.AbortWithStatusJSON(status, gin.H{"reason": reason})
}

// join checks, upgrades, and talks until the connection ends.
func (h *byHand) join(c *gin.Context) {
	token, found := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
	if !found {
		token = c.Query("token") // a browser sets no header
	}
	claims := &Claims{}
	if _, err := h.parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return h.secret, nil }); err != nil {
		refuse(c, http.StatusUnauthorized, "invalid_token")
		return
	}
	user, known := users[claims.Subject]
	if !known {
		refuse(c, http.StatusForbidden, "unknown_user")
		return
	}
	since, err := strconv.Atoi(c.DefaultQuery("since", "0"))
	if err != nil || since < 0 || h.validate.Var(c.Param("room"), "alphanum,max=64") != nil {
		refuse(c, http.StatusUnprocessableEntity, "invalid_parameters")
		return
	}
	conn, err := h.upgrader.Upgrade(c.Writer, c.Request, nil)
	if err != nil {
		return // gorilla has answered
	}
	defer func() { _ = conn.Close() }()
	(&handConn{ws: conn, validate: h.validate}).talk(user)
}

// handConn has two goroutines that write; gorilla allows one at a time.
type handConn struct {
	ws       *websocket.Conn
	validate *validator.Validate
	writing  sync.Mutex
}

// write writes under the lock and a deadline: a peer that does not read must not block
// for ever.
func (c *handConn) write(write func() error) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.ws.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return err
	}
	return write()
}

// ping keeps proxies from forgetting the connection; without its pongs the reader ends.
func (c *handConn) ping(stop <-chan struct{}) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			if c.write(func() error { return c.ws.WriteMessage(websocket.PingMessage, nil) }) != nil {
				return
			}
		}
	}
}

func (c *handConn) talk(user User) {
	c.ws.SetReadLimit(readLimit)
	_ = c.ws.SetReadDeadline(time.Now().Add(pongWait))
	c.ws.SetPongHandler(func(string) error { return c.ws.SetReadDeadline(time.Now().Add(pongWait)) })
	stop := make(chan struct{})
	defer close(stop)
	go c.ping(stop)
	for {
		var say Say
		if err := c.ws.ReadJSON(&say); err != nil {
			return
		}
		if c.validate.Struct(say) != nil {
			reason := websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "invalid_message")
			_ = c.ws.WriteControl(websocket.CloseMessage, reason, time.Now().Add(writeWait))
			return
		}
		if c.write(func() error { return c.ws.WriteJSON(Said{From: user.Name, Text: say.Text}) }) != nil {
			return
		}
	}
}
