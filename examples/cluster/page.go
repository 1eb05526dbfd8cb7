package main

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/gin-gonic/gin"
)

//go:embed static
var static embed.FS

// policy lets the page load its own files and talk to its own server, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// servePage adds the page and its files.
func servePage(engine *gin.Engine) {
	files, err := fs.Sub(static, "static")
	if err != nil {
		return // the folder is built in
	}
	server := http.FileServerFS(files)
	for _, path := range []string{"/", "/app.js", "/style.css"} {
		engine.GET(path, func(c *gin.Context) {
			c.Header("Content-Security-Policy", policy)
			c.Header("X-Content-Type-Options", "nosniff")
			c.Header("Referrer-Policy", "no-referrer")
			c.Header("Cache-Control", "no-cache")
			server.ServeHTTP(c.Writer, c.Request)
		})
	}
}
