package page

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

// ask has the handler answer a request.
func ask(method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

// reference is what a file of the page says that it needs.
var reference = regexp.MustCompile(`(?:src|href)="([^"]+)"|from "([^"]+)"`)

// TestPageHasWhatItRefersTo follows every reference from the page on: each is a file of the page's own, with a type that browsers take although they must not guess.
func TestPageHasWhatItRefersTo(t *testing.T) {
	seen := map[string]bool{}
	var follow func(path string)
	follow = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		r := ask(http.MethodGet, path)
		text := r.Body.String()
		if r.Code != http.StatusOK || r.Header().Get("Content-Type") == "" || text == "" {
			t.Errorf("%s: %d, type %q, %d bytes", path, r.Code, r.Header().Get("Content-Type"), len(text))
		}
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			to := strings.TrimPrefix(m[1]+m[2], "./")
			if strings.HasPrefix(to, "#") || to == "stats.json" || to == "metrics" { // the server's
				continue
			}
			if strings.ContainsAny(to, ":/") {
				t.Errorf("%s refers to %s: it must be relative and of the page's own", path, to)
				continue
			}
			follow("/" + to)
		}
	}
	follow("/")
	assets, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	for path := range assets {
		if !seen[path] {
			t.Errorf("nothing refers to %s", path)
		}
	}
}

// TestOnlyReads: who asks for anything but these files, or to change something, gets no more than a line, which is as protected as the page.
func TestOnlyReads(t *testing.T) {
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/", 200}, {"HEAD", "/", 200}, {"POST", "/", 405}, {"PUT", "/page.js", 405}, {"DELETE", "/", 405}, {"OPTIONS", "/", 405},
		{"GET", "/index.html", 404}, {"GET", "/page.go", 404}, {"GET", "/testdata/stats.json", 404}, {"GET", "/../page.js", 404}, {"GET", "//", 404},
	} {
		r := ask(c.method, c.path)
		text := r.Body.String()
		if r.Code != c.want || c.want != 200 && strings.Count(text, "\n") != 1 || (c.want == 405) != (r.Header().Get("Allow") == "GET, HEAD") {
			t.Errorf("%s %s: %d, Allow %q, %q", c.method, c.path, r.Code, r.Header().Get("Allow"), text)
		}
		if r.Header().Get("Content-Security-Policy") != policy || r.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: headers %v", c.method, c.path, r.Header())
		}
	}
}

// TestUnchangedFileIsNotSentAgain: a browser asks each time, and is told that it has the file.
func TestUnchangedFileIsNotSentAgain(t *testing.T) {
	first := ask(http.MethodGet, "/style.css")
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/style.css", nil)
	r.Header.Set("If-None-Match", first.Header().Get("ETag"))
	Handler().ServeHTTP(w, r)
	if w.Code != http.StatusNotModified || w.Body.Len() != 0 || first.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("%d with %d bytes, headers %v", w.Code, w.Body.Len(), first.Header())
	}
}

// TestPageKeepsItsPolicy: what the policy forbids is not in the files, where a browser would refuse it.
func TestPageKeepsItsPolicy(t *testing.T) {
	for name, a := range must(load(files)) {
		for _, no := range []string{" style=", "<style", " onclick=", "javascript:", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "setAttribute(\"style\"", "http://localhost", "https://"} {
			if strings.Contains(string(a.text), no) {
				t.Errorf("%s has %q", name, no)
			}
		}
	}
	if html := string(must(load(files))["/"].text); regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(html) {
		t.Error("index.html has a script in its text")
	}
}

func TestFileOfUnknownTypeIsRefused(t *testing.T) {
	if _, err := load(fstest.MapFS{"page.wasm": {Data: []byte("x")}}); err == nil {
		t.Error("no error")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
