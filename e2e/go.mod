// Module e2e drives the examples in a browser, and the chat behind a proxy. It is a
// module of its own, so that nothing the browser needs is a requirement of usher.
module example.com/usher/e2e

go 1.26

require (
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.23.0
	github.com/gorilla/websocket v1.5.3
)

require github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
