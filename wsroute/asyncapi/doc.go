// Package asyncapi describes the WebSockets of a program for those who write clients: a document,
// a page that opens the sockets, and clients in TypeScript and Go.
//
//	// after Mount
//	doc, err := asyncapi.Describe(ws, asyncapi.Info{Title: "Rooms", Version: "1.4.0"})
//	engine.GET("/asyncapi.json", gin.WrapH(doc))
//	engine.GET("/docs", gin.WrapH(doc.Page())) // goes to /docs/
//	engine.GET("/docs/*any", gin.WrapH(doc.Page()))
//
// [Document.TypeScript] writes a client for pages: it connects, renews its credential and connects
// again as the document says, and its messages, answers and reasons have types. [Document.Go] writes
// one for programs.
//
// All of it is made of the declarations: the routes with their parameters, credentials, messages
// and answers, and what depends.Refuses, wsroute.Closes and wsroute.Fails say of refusals, closes
// and errors. Nothing is written twice, and [Check] keeps a copy in the repo, in which a review
// sees each change and whether it breaks clients.
//
// The document is AsyncAPI 3.0.0. What that has no word for stands in members that begin with x-:
// credentials of which several must be had (x-security), scopes (x-scopes), reasons (x-errors,
// x-handshake-errors), and close codes with what a client does then (x-close-codes).
package asyncapi
