package main

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/gin-gonic/gin"
)

//go:embed static
var static embed.FS

// policy lets the page load its own files and talk to its own server, nothing
// else, and never make markup or code of a string. 'self' covers ws: and wss:
// (CSP 3 §6.7.2.8).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// harden sets the headers that make a browser strict, on every response.
func harden(c *gin.Context) {
	c.Header("Content-Security-Policy", policy)
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Referrer-Policy", "no-referrer")
}

// servePage adds the page and its files.
func servePage(engine *gin.Engine) error {
	files, err := fs.Sub(static, "static")
	if err != nil {
		return err
	}
	server := http.FileServerFS(files)
	serve := func(c *gin.Context) {
		c.Header("Cache-Control", "no-cache") // the files are those of this build
		server.ServeHTTP(c.Writer, c.Request)
	}
	for _, path := range []string{"/", "/app.js", "/client.js", "/messages.js", "/parts.js", "/session.js", "/words.js", "/style.css", "/icon.svg"} {
		engine.Match([]string{http.MethodGet, http.MethodHead}, path, serve)
	}
	return nil
}
