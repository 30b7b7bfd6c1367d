package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed index.html style.css icon.svg *.js
var files embed.FS

// policy allows the page its own files and stats.json, and nothing else: no script or style in the text, no other host, no frame around it.
// Nor may a script make markup of a string, which is how a key or a setting would get to be one.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Protect sets the headers that every answer of the address has, the numbers' too.
func Protect(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// asset is an embedded file with what is said of it.
type asset struct {
	text       []byte
	mime, etag string
}

// Handler answers / and the files that the page there refers to, to GET and HEAD, and knows nothing else. It holds no state: any goroutine may call it.
func Handler() http.Handler {
	assets, err := load(files)
	if err != nil {
		panic(err) // the files are part of the program
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Protect(w.Header())
		a, known := assets[r.URL.Path]
		switch {
		case !known:
			http.Error(w, "there is nothing here: / is a page for people, /stats.json what it shows, /metrics for Prometheus", http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this page is only read: GET or HEAD", http.StatusMethodNotAllowed)
		default:
			w.Header().Set("Content-Type", a.mime)
			w.Header().Set("Cache-Control", "no-cache") // after an upgrade the files of one build must not meet those of another
			w.Header().Set("ETag", a.etag)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.text))
		}
	})
}

// load reads the files that are served, by their paths.
func load(from fs.FS) (map[string]asset, error) {
	assets := map[string]asset{}
	names, err := fs.Glob(from, "*")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		kind := types[path.Ext(name)]
		if kind == "" {
			return nil, fmt.Errorf("%s: a file of an unknown type", name)
		}
		sum := sha256.Sum256(text)
		at := "/" + name
		if name == "index.html" {
			at = "/"
		}
		assets[at] = asset{text, kind, `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return assets, nil
}

// types are the types of the page's files: the system's own table differs from one to the next.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}
