// Module schematest checks what wsroute/asyncapi writes with a reader of JSON Schema that is
// not usher's. It is a module of its own, so that no program that imports usher downloads it.
module example.com/usher/wsroute/asyncapi/internal/schematest

go 1.26.0

replace example.com/usher => ../../../..

require (
	example.com/usher v0.0.0
	github.com/dlclark/regexp2 v1.12.0
	github.com/go-playground/validator/v10 v10.30.1
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3
)

require (
	github.com/gabriel-vasile/mimetype v1.4.16 // indirect
	github.com/go-playground/locales v0.14.2 // indirect
	github.com/go-playground/universal-translator v0.18.2 // indirect
	github.com/leodido/go-urn v1.5.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)
