// Package page is a test of what people look at: the page that --metrics serves, its modules under Node, and the whole of it in a browser, first before
// a server that answers what the test wants, then before ringcached, whose `stats` has every figure that is shown; and the dashboard and alerts of
// deploy, whose queries ask for what /metrics offers.
package page
