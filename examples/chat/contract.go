package main

import (
	"github.com/gin-gonic/gin"

	"example.com/usher/wsroute"
	"example.com/usher/wsroute/asyncapi"
)

// describe makes the document of the chat's WebSockets: what a client must know of them.
func describe(ws *wsroute.Router) (*asyncapi.Document, error) {
	return asyncapi.Describe(ws, asyncapi.Info{
		Title:       "Chat",
		Version:     "1.0.0",
		Description: "Rooms in which users talk. POST /token gives a token, POST /ticket a ticket.",
		Tickets:     "/ticket",
	})
}

// serveContract adds the document, and a page that shows it and opens the sockets.
func serveContract(ws *wsroute.Router, engine *gin.Engine) error {
	doc, err := describe(ws)
	if err != nil {
		return err
	}
	engine.GET("/asyncapi.json", gin.WrapH(doc))
	engine.GET("/docs", gin.WrapH(doc.Page())) // goes to /docs/
	engine.GET("/docs/*any", gin.WrapH(doc.Page()))
	return nil
}
