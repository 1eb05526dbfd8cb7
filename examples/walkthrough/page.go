package main

import (
	"embed"
	"net/http"

	"github.com/gin-gonic/gin"
)

//go:embed static
var static embed.FS

// policy lets the page load its own files and talk to its own server, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// servePage adds the page, to try the routes with.
func servePage(engine *gin.Engine) {
	files := http.FS(static)
	for _, path := range []string{"/", "/app.js", "/style.css", "/icon.svg"} {
		engine.GET(path, func(c *gin.Context) {
			c.Header("Content-Security-Policy", policy)
			c.Header("X-Content-Type-Options", "nosniff")
			c.Header("Cache-Control", "no-cache") // the files are those of this build
			c.FileFromFS("static"+path, files)
		})
	}
}
