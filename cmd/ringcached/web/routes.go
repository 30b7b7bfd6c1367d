package web

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ringcached/cmd/ringcached/metrics"
	"ringcached/cmd/ringcached/web/page"
)

// makingMost is how many answers with numbers are made at a time. Others wait for their turn: each takes locks of the store for moments, and memory.
const makingMost = 4

// A turn rests for restFactor times what its answer took, and for restMost at most: four of them take two fifths of a core, or less.
const (
	restFactor = 9
	restMost   = 50 * time.Millisecond
)

// silent takes what package http has to say of clients that go wrong: whoever can reach the address could fill the log with it.
var silent = log.New(io.Discard, "", 0)

// metricsOf answers with the metrics of a source.
func metricsOf(source Source) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.New(source))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// routes are the answers by path. Each of them has the page's headers, and is only read.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/livez", only(s.livez))
	mux.HandleFunc("/readyz", only(s.readyz))
	mux.HandleFunc("/metrics", only(s.attached(func(w http.ResponseWriter, r *http.Request) { s.metrics.ServeHTTP(w, r) })))
	mux.HandleFunc("/stats.json", only(s.attached(s.statsJSON)))
	mux.Handle("/", page.Handler())
	var all http.Handler = mux
	if a, tcp := s.listener.Addr().(*net.TCPAddr); tcp && a.IP.IsLoopback() {
		all = onlyOwn(mux)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paced(r)
		r.Header.Del("Range") // nothing is so long that somebody wants a part, and many parts take long to write
		if s.parting() {
			w.Header().Set("Connection", "close")
		}
		all.ServeHTTP(w, r)
	})
}

// onlyOwn refuses requests that were sent to a name which somebody else may own. A browser on this machine reaches a loopback address by such a name, too, if its
// owner has DNS answer with that address, and then lets that name's pages read what it gets (DNS rebinding).
func onlyOwn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !own(r.Host) {
			page.Protect(w.Header())
			http.Error(w, "at a loopback address only requests to localhost, an IP address or a name without dots are answered: a proxy has to set Host", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// own reports whether a Host is an IP address, a name below localhost, or one without dots: nobody can buy these.
func own(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost")
}

// only answers GET and HEAD, and refuses all else.
func only(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page.Protect(w.Header())
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this address is only read: GET or HEAD", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		answer(w, r)
	}
}

// livez says that the process runs and answers.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) { say(w, "ok") }

// readyz says whether clients should come.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.ready() {
		http.Error(w, "not ready: the server starts, or has been told to stop", http.StatusServiceUnavailable)
		return
	}
	say(w, "ok")
}

func (s *Server) ready() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.released.Load() || s.source != nil && s.source.Ready()
}

func say(w http.ResponseWriter, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, line+"\n") // the client may have gone
}

// attached answers while there is a source, which stays for as long as the answer takes to make. It is made in memory: a client that is slow to take it
// must not keep the source from going away.
func (s *Server) attached(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		made := &memory{header: w.Header(), code: http.StatusOK}
		if !s.make(made, r, answer) {
			http.Error(w, "nothing to show: the server starts, or is at its end", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(made.code)
		_, _ = w.Write(made.body) // the client may have gone
	}
}

// make has the answer made when it is its turn, unless there is no source. The turn goes to nobody else for a while after that, so that making answers is a
// small part of what a processor does, however many are asked for.
func (s *Server) make(to http.ResponseWriter, r *http.Request, answer http.HandlerFunc) bool {
	s.turns <- struct{}{}
	begin := time.Now()
	defer func() {
		time.AfterFunc(min(restFactor*time.Since(begin), restMost), func() { <-s.turns })
	}()
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.source == nil {
		return false
	}
	answer(to, r)
	return true
}

// memory is an http.ResponseWriter that keeps the answer.
type memory struct {
	header http.Header
	code   int
	body   []byte
}

func (m *memory) Header() http.Header  { return m.header }
func (m *memory) WriteHeader(code int) { m.code = code }
func (m *memory) Write(p []byte) (int, error) {
	m.body = append(m.body, p...)
	return len(p), nil
}

// statsJSON answers what the page shows.
func (s *Server) statsJSON(w http.ResponseWriter, _ *http.Request) {
	snapshot := s.snapshot(time.Since(s.begun))
	w.Header().Set("Content-Type", "application/json")
	_ = snapshot.Write(w) // into memory
}
