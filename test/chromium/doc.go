// Package chromium opens pages in a headless Chromium for tests, as phones and desks show them, by day and by night.
//
// A test calls [Start] for a tab, and runs actions of chromedp in it. Packages of tests that look at pages share this one: test/page and test/htmlreport.
package chromium
