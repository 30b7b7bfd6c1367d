// Package page is the page that a person sees at / of --metrics, and the answer of /stats.json that it reads. It knows neither the server nor where
// its numbers come from: package web fills a Snapshot and serves Handler.
//
// The page asks for stats.json every two seconds, relative to its own address so that it also works below a path of a proxy, computes rates between
// two answers in the browser, and sends nothing. Its files are embedded: index.html, style.css, icon.svg and modules in plain JavaScript: answer.js asks,
// rates.js computes, format.js writes numbers, chart.js draws, view.js makes tables and page.js joins them. No library is needed for lines and columns.
//
// # The answer of /stats.json
//
// A Snapshot as one JSON object, of type application/json, to GET and HEAD. testdata/stats.json is one.
//
//	started_ms   Unix time in milliseconds at which this process began. With another value the answer is another process's: all its counts began anew.
//	elapsed_ms   milliseconds since then, by a clock that never goes back: the time base of every rate.
//	ready        what /readyz says.
//	engine       {name, why, features}: "uring" or "epoll", the sentence of why it was taken, and the features in use ("" of epoll).
//	stats, settings, items, slabs, batch
//	             {name: value}: the lines of `stats`, `stats settings`, ... Values are the strings that `stats` shows, digit by digit.
//	channels     one object for each channel, in order: see Channel. They are counts since the start that `stats reset` does not touch.
//	latency      {bounds_ns, classes}: how long handling took, of those commands that were timed (one in 64). bounds_ns are the upper bounds, rising.
//	             A class is {name, samples, sum_ns, counts}: counts has an entry for each bound, not cumulative, and one more for what was longer;
//	             zeros at its end are left out.
//	hot_keys     null without --hot-keys, or {names, refused, uses, seconds, keys}: names says whether --metrics-keys shows the keys, refused whether -X
//	             forbids to tell of any, the others are what `stats hotkeys` shows. keys are the hottest first, {name, count, error}; a name is percent-encoded as there, and "" without --metrics-keys.
//
// A count that is lower than in the answer before, of the same process, was reset; the page then counts from 0, as Prometheus does. The page drops the
// difference between two processes (a restart, a hand-over), and that of half a minute or more in which it did not ask: it was paused or hidden.
package page
